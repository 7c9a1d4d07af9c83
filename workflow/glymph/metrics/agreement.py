"""Agreement with raters over the cohort: per subject, and medians with quartiles per group."""

from __future__ import annotations

import numpy as np

KEYS = ("participant_id", "session_id", "group", "result", "reference")
DESCRIPTIONS = {
    "participant_id": "Subject, with the prefix sub-.",
    "session_id": "Session, with the prefix ses-; n/a where there are no sessions.",
    "group": "Diagnostic group from the participants table; all: the whole cohort.",
    "result": "What is compared: workflow, or a rater.",
    "reference": "What it is compared with: a rater, or union or intersection of all raters.",
    "reference_made": "How the raters' masks were made: drawn from scratch, corrected from this "
    "workflow's own result (which flatters it), or unknown.",
    "n": "Subject-sessions with a value.",
    "measure": "Measure of agreement.",
    "median": "Median over subject-sessions.",
    "q1": "25th percentile.",
    "q3": "75th percentile.",
}


def long_table(units: list[tuple[dict, list[dict]]]) -> list[dict]:
    """One row per subject-session and pair; ``units`` are (identity with group, rows)."""
    return [identity | row for identity, rows in units for row in rows]


def summary(rows: list[dict], measures: list[str]) -> list[dict]:
    """Median and quartiles of every measure per group, and over all, for each pair."""
    pairs = dict.fromkeys((r["result"], r["reference"]) for r in rows)
    groups = [*dict.fromkeys(r["group"] for r in rows if r["group"]), "all"]
    return [
        _row(rows, pair, group, measure)
        for pair in pairs
        for measure in measures
        for group in groups
    ]


def _row(rows, pair, group, measure) -> dict:
    values = [
        r[measure]
        for r in rows
        if (r["result"], r["reference"]) == pair
        and group in (r["group"], "all")
        and r[measure] is not None
    ]
    quartiles = np.percentile(values, (50, 25, 75)) if values else (None,) * 3
    middle, low, high = (None if q is None else float(q) for q in quartiles)
    return {"result": pair[0], "reference": pair[1], "measure": measure, "group": group} | {
        "n": len(values), "median": middle, "q1": low, "q3": high,
    }  # fmt: skip
