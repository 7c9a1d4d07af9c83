"""Does the answer hang on a choice? The comparison again, one choice changed at a time."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from glymph.stats.analysed import Plan, alps_versions
from glymph.stats.comparison import compare

KEPT = ("metric", "n", "test", "statistic", "df1", "df2", "p", "effect_name", "effect",
        "effect_low", "effect_high", "reason")  # fmt: skip


def analyses(frame: pd.DataFrame, plan: Plan, settings: dict) -> list[tuple]:
    """(name, frame, plan, settings) of every analysis, the main one first."""
    found = [("main", frame, plan, settings)]
    if plan.covariates:
        found.append(("without covariates", frame, replace(plan, covariates=[], categorical=[]),
                      settings))  # fmt: skip
    if "flags" in frame and frame["flags"].notna().any():
        found.append(("without flagged subjects", frame[frame["flags"].isna()], plan, settings))
    for test, name in (("ancova", "ANCOVA"), ("kruskal", "Kruskal-Wallis")):
        if settings["test"] != test:
            found.append((f"always {name}", frame, plan, settings | {"test": test}))
    return found


def sensitivity(frame: pd.DataFrame, plan: Plan, settings: dict) -> list[dict]:
    """One row per analysis and metric; ALPS in all its versions that the table has."""
    metrics = list(dict.fromkeys(
        version
        for metric in plan.metrics
        for version in alps_versions(metric)
        if version in frame
    ))  # fmt: skip
    rows = []
    for name, part, its_plan, its_settings in analyses(frame, plan, settings):
        for metric in metrics:
            (test,) = compare(part, metric, its_plan, its_settings)["tests"]
            rows.append({"analysis": name} | {k: test.get(k) for k in KEPT})
    return rows
