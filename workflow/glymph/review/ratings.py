"""Ratings: read from the raters' files, the latest of each counts, the rejected ones leave."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

from glymph.common.errors import BadInput
from glymph.review.definitions import columns, definitions
from glymph.review.table import check_word, read_rows, unit_of

LONGEST = {"rater": 40, "comment": 2000}
"""Characters."""


def rating_files(folder: str | Path) -> list[str]:
    """The files of ratings in a review folder, in the order of their names."""
    return sorted(str(path) for path in Path(folder).glob("ratings*.tsv"))


def read_ratings(path: str | Path) -> list[dict[str, str | None]]:
    """The rows of a file of ratings. Raises `BadInput` naming the line that means nothing."""
    needed = [name for name in columns("ratings") if name not in ("session_id", "comment", "time")]
    return [checked_rating(row, path, line) for line, row in read_rows(path, needed)]


def checked_rating(row: dict[str, str], path, line: int) -> dict[str, str | None]:
    """A row with every cell checked, empty ones None, in the columns' order. Raises `BadInput`."""
    check_word(row, "item", definitions()["items"], path, line)
    check_word(row, "rating", definitions()["ratings"], path, line)
    check_rater(row, path, line)
    unit = unit_of(row, path, line)
    row = row | {"participant_id": unit.participant_id, "session_id": unit.session_id}
    row["time"] = checked_time(row.get("time", ""), path, line)
    return {name: row.get(name) or None for name in columns("ratings")}


def check_rater(row: dict[str, str], path, line: int) -> None:
    """Raises `BadInput` where a row has no rater, or a cell is longer than `LONGEST`."""
    if not row["rater"]:
        raise BadInput(f"line {line}: no rater", path, "say who judged")
    for name, most in LONGEST.items():
        if len(row.get(name, "")) > most:
            raise BadInput(f"line {line}: {name} has over {most} characters", path, "shorten it")


def checked_time(text: str, path, line: int) -> str | None:
    """``text`` if it is a moment in ISO 8601; without an offset it counts as UTC."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        raise BadInput(
            f"line {line}: time '{text[:40]}' is not ISO 8601", path, "2026-01-31T12:00:00+00:00"
        ) from None


def latest(rows: Iterable[dict]) -> list[dict]:
    """Of each rater's ratings of one thing the latest; of equally late ones the last."""
    found: dict[tuple, dict] = {}
    for row in rows:
        key = (*_thing(row), row["rater"])
        if key not in found or moment(row) >= moment(found[key]):
            found[key] = row
    return sorted(found.values(), key=lambda r: (*map(str, _thing(r)), r["rater"]))


def _thing(row: dict) -> tuple:
    return row["participant_id"], row["session_id"], row["item"]


def moment(row: dict) -> float:
    """Seconds since 1970 of a row's time; one without comes before all others."""
    if not row["time"]:
        return float("-inf")
    time = datetime.fromisoformat(row["time"])
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def rejected(rows: list[dict], reject_if: str) -> list[dict]:
    """What leaves the group analysis: things that ``any`` or ``all`` of their raters reject.

    ``rows`` are the `latest` ratings.
    """
    things: dict[tuple, list[dict]] = {}
    for row in rows:
        things.setdefault(_thing(row), []).append(row)
    found = []
    for (participant, session, item), given in things.items():
        against = [row for row in given if row["rating"] == "reject"]
        if against and (reject_if == "any" or len(against) == len(given)):
            found.append(
                {
                    "participant_id": participant,
                    "session_id": session,
                    "item": item,
                    "leaves": ",".join(definitions()["items"][item]["leaves"]),
                    "raters": ", ".join(row["rater"] for row in against),
                    "reason": "; ".join(row["comment"] for row in against if row["comment"])
                    or None,
                }
            )
    return found


def agreement(rows: list[dict]) -> list[dict]:
    """Cohen's kappa of every pair of raters, per item and for all items together.

    ``rows`` are the `latest` ratings.
    """
    given: dict[str, dict[tuple, str]] = {}
    for row in rows:
        given.setdefault(row["rater"], {})[_thing(row)] = row["rating"]
    found = []
    for first, second in combinations(sorted(given), 2):
        for item in [*definitions()["items"], "all"]:
            both = sorted(
                (t for t in given[first].keys() & given[second] if item in ("all", t[2])), key=str
            )
            pairs = [(given[first][t], given[second][t]) for t in both]
            found.append(agreement_row(item, first, second, pairs))
    return found


def agreement_row(item: str, first: str, second: str, pairs: list[tuple[str, str]]) -> dict:
    """A row of rating_agreement.tsv: how far two raters, whose judgements of the same things are
    ``pairs``, agree."""
    from sklearn.metrics import cohen_kappa_score

    entry = {"item": item, "rater1": first, "rater2": second, "n": len(pairs)}
    entry |= {"agreement": None, "kappa": None, "reason": _no_kappa(pairs)}
    if pairs:
        entry["agreement"] = sum(a == b for a, b in pairs) / len(pairs)
    if entry["reason"] is None:
        entry["kappa"] = float(cohen_kappa_score(*zip(*pairs, strict=True)))
    return entry


def _no_kappa(pairs: list[tuple[str, str]]) -> str | None:
    if not pairs:
        return "nothing was judged by both"
    if len({rating for pair in pairs for rating in pair}) == 1:
        return "both gave one and the same rating throughout"
    return None
