"""The page of the whole cohort: thumbnails, flags, every value against the others, ratings."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from glymph.common.registry import metrics
from glymph.metrics.flags import FEWEST, plausible, robust_z
from glymph.review.definitions import columns, definitions

TEMPLATES = Path(__file__).parent


def page_data(
    units: list[tuple[str, str | None, str]],
    table: list[dict],
    flags: list[dict],
    exclusions: list[dict],
    ratings: list[dict],
    thresholds: dict,
) -> dict:
    """Everything that the page shows, as plain JSON.

    ``units``: (participant_id, session_id, folder); the others are rows of group/metrics.tsv,
    flags.tsv, exclusions.tsv and ratings.tsv as text. Values and robust z stand in the order of
    ``metrics``; paths start at the page's folder.
    """
    rows = {_key(row): row for row in table}
    shown = [m for name, m in metrics().items() if any(name in row for row in table)]
    values = {m.name: [_number(rows[unit[:2]].get(m.name)) for unit in units] for m in shown}
    flagged, gone = _by_participant(flags), _by_participant(exclusions)
    distances = {name: robust_z(column) for name, column in values.items()}
    return {
        "items": definitions()["items"],
        "ratings": definitions()["ratings"],
        "columns": columns("ratings"),
        "tiles": definitions()["tiles"],
        "metrics": [_described(metric, thresholds) for metric in shown],
        "fewest": FEWEST,
        "rated": ratings,
        "rows": [
            {
                "id": participant,
                "session": session,
                "group": rows[participant, session].get("group"),
                "page": f"../{folder}/{_prefix(participant, session)}_qc.html",
                "thumbnails": f"../{folder}/figures/{_prefix(participant, session)}"
                "_desc-thumbnails_qc.jpg",
                "corrected": rows[participant, session].get("corrected"),
                "values": [values[m.name][number] for m in shown],
                "z": [_rounded(distances[m.name][number]) for m in shown],
                "flags": [
                    {name: flag[name] for name in ("metric", "message", "look")}
                    | chip(flag, thresholds)
                    for flag in _of(flagged, participant, session)
                ],
                "missing": [
                    {name: row[name] for name in ("branch", "reason", "cure")}
                    for row in _of(gone, participant, session)
                ],
            }
            for number, (participant, session, folder) in enumerate(units)
        ],
    }


def render(data: dict) -> str:
    """The HTML page, which loads nothing but the thumbnails and pages of the output folder.

    ``data`` stands in it as JSON in which no < is left, so that no text can end the script.
    """
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return environment.get_template("page.html.j2").render(
        count=len(data["rows"]), data=Markup(text)
    )


def chip(flag: dict, thresholds: dict) -> dict[str, str]:
    """A row of flags.tsv (as text) in two words: ``label`` of the metric, and ``short``, why."""
    metric = metrics()[flag["metric"]]
    if flag["kind"] == "missing":
        short = "no value"
    elif flag["kind"] == "outlier":
        short = f"z {float(flag['z']):+.1f}".replace("-", "\N{MINUS SIGN}")
    else:
        low, _ = plausible(metric, thresholds)
        short = "low" if low is not None and float(flag["value"]) < low else "high"
    return {"label": metric.label, "short": short}


def _key(row: dict) -> tuple[str, str | None]:
    return row["participant_id"], row["session_id"]


def _prefix(participant: str, session: str | None) -> str:
    return "_".join(filter(None, (participant, session)))


def _number(cell: str | None) -> float | None:
    return None if cell is None else float(cell)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _described(metric, thresholds: dict) -> dict:
    low, high = plausible(metric, thresholds)
    shown = ("name", "label", "unit", "description", "stage", "look")
    return {name: getattr(metric, name) for name in shown} | {
        "low": low,
        "high": high,
        "watched": bool(metric.outlier),
    }


def _by_participant(rows: list[dict]) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for row in rows:
        found.setdefault(row["participant_id"], []).append(row)
    return found


def _of(rows: dict[str, list[dict]], participant: str, session: str | None) -> list[dict]:
    """The rows of one unit; a row without session is of all sessions."""
    return [row for row in rows.get(participant, []) if row["session_id"] in (session, None)]
