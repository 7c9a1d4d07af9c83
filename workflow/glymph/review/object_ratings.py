"""Decisions of raters on single perivascular spaces, and how far two raters agree on them.

They are read from tables alone: what a decision changes in the counts comes with the rater's
corrected mask.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

from glymph.common import legend
from glymph.common.errors import BadInput
from glymph.review.definitions import columns
from glymph.review.ratings import agreement_row, check_rater, checked_time, moment
from glymph.review.table import check_word, read_rows, unit_of

DECISIONS = ("accept", "delete")
CENTRE = ("x_mm", "y_mm", "z_mm")
SAME_MM = 1.0
"""Centres further apart are of two objects. Numbers do not tell: every run gives them anew."""
FARTHEST_MM = 10_000
"""No scanner is larger; guards against numbers that are none of a place."""


def object_files(folder: str | Path) -> list[str]:
    """The files of decisions in a review folder, in the order of their names."""
    return sorted(str(path) for path in Path(folder).glob("objects*.tsv"))


def read_objects(path: str | Path) -> list[dict]:
    """The rows of a file of decisions, numbers as numbers, empty cells None.

    Raises `BadInput` naming the line that means nothing.
    """
    needed = [name for name in columns("objects") if name not in ("session_id", "time")]
    return [_checked(row, path, line) for line, row in read_rows(path, needed)]


def _checked(row: dict[str, str], path, line: int) -> dict:
    check_word(row, "decision", DECISIONS, path, line)
    check_word(row, "region", legend.names(), path, line)
    if not (row["object"].isascii() and row["object"].isdigit() and len(row["object"]) < 10):
        raise BadInput(
            f"line {line}: object '{row['object'][:40]}' is no number of an object", path,
            "a whole number, as in the table *_desc-EPVS_objects.tsv",
        )  # fmt: skip
    check_rater(row, path, line)
    unit = unit_of(row, path, line)
    row = row | {"participant_id": unit.participant_id, "session_id": unit.session_id}
    row |= {name: _mm(row[name], name, path, line) for name in CENTRE}
    row |= {"object": int(row["object"])}
    row |= {"time": checked_time(row.get("time", ""), path, line)}
    return {name: row[name] for name in columns("objects")}


def _mm(text: str, name: str, path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= FARTHEST_MM:
        raise BadInput(
            f"line {line}: {name} of '{text[:40]}' is no place", path,
            "millimetres in the T1w's world, with a point for the decimals",
        )  # fmt: skip
    return value


def latest_objects(rows: Iterable[dict]) -> list[dict]:
    """Of each rater's decisions on one object the latest; of equally late ones the last.

    Every row has ``thing`` besides: the object that it means, the same for all raters. One object
    is one place in one subject-session: centres within `SAME_MM` of the first that is told.
    """
    centres: dict[tuple, list[tuple]] = {}
    found: dict[tuple, dict] = {}
    for row in rows:
        unit = row["participant_id"], row["session_id"]
        known = centres.setdefault(unit, [])
        centre = tuple(row[name] for name in CENTRE)
        away = [math.dist(centre, other) for other in known]
        if min(away, default=math.inf) > SAME_MM:
            away.append(0.0)
            known.append(centre)
        row = row | {"thing": (*unit, away.index(min(away)))}
        key = row["thing"], row["rater"]
        if key not in found or moment(row) >= moment(found[key]):
            found[key] = row
    return list(found.values())


def object_agreement(rows: list[dict]) -> list[dict]:
    """Cohen's kappa of every pair of raters over the objects on which both decided: rows of
    rating_agreement.tsv for all ("objects") and for every region that has any ("objects_bg").

    ``rows`` are the `latest_objects`.
    """
    given: dict[str, dict[tuple, dict]] = {}
    for row in rows:
        given.setdefault(row["rater"], {})[row["thing"]] = row
    found = []
    for first, second in combinations(sorted(given), 2):
        both = sorted(given[first].keys() & given[second].keys(), key=str)
        pairs = [(given[first][t]["decision"], given[second][t]["decision"]) for t in both]
        regions = [given[first][t]["region"] for t in both]
        found.append(agreement_row("objects", first, second, pairs))
        for name in legend.names():
            own = [pair for pair, region in zip(pairs, regions, strict=True) if region == name]
            if own:
                found.append(agreement_row(f"objects_{name}", first, second, own))
    return found
