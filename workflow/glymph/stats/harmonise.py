"""ComBat harmonisation of metrics over sites."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pandas as pd

from glymph.stats.analysed import Plan
from glymph.stats.design import NotComputable, check_estimable, covariate_design, indicators

LEAST = 3
"""Subjects that a site needs."""
MOST_NAMES = 10
"""Subjects that a note names one by one."""


def combat(frame: pd.DataFrame, plan: Plan) -> tuple[pd.DataFrame, list[str]]:
    """``frame`` with its metrics freed from shifts and scales of the sites, and notes.

    Not for discrimination: what is learned from all subjects, groups included, may not enter a
    cross-validation. Groups and covariates are preserved. ComBat (Johnson 2007,
    10.1093/biostatistics/kxj037; for images Fortin 2018, 10.1016/j.neuroimage.2017.11.024) by
    neuroCombat: unchanged since 2021, equal to R's sva (tests), and what neuroHarmonize calls too.
    Subjects whose site, covariate or any metric is missing cannot be harmonised; their metrics
    become missing.
    """
    from neuroCombat import neuroCombat

    if "site" not in frame:
        return frame, ["no ComBat: the table has no column site"]
    wanted = list(dict.fromkeys([*plan.metrics, *plan.also]))
    varying = [m for m in wanted if frame[m].nunique() > 1]
    covariates = plan.beside("site")
    usable = frame[[*varying, *covariates, "site"]].notna().all(axis=1)
    sizes = frame.loc[usable, "site"].value_counts()
    if len(sizes) < 2 or sizes.min() < LEAST or len(varying) < 2:
        return frame, [
            f"no ComBat: it needs two sites of at least {LEAST} complete subjects and two metrics"
        ]
    part = frame[usable]
    design = covariate_design(part, covariates, [c for c in covariates if c in plan.categorical])
    present = [g for g in plan.groups if (part["group"] == g).any()]
    kept = design.matrix
    if len(present) > 1:
        kept = np.hstack([kept, indicators(part["group"], present)])
    sites = indicators(part["site"], sorted(part["site"].unique()))
    try:
        check_estimable(kept, sites)
    except NotComputable:
        return frame, ["no ComBat: the sites cannot be told apart from groups and covariates"]
    kept = kept[:, 1:]
    covars = pd.DataFrame(kept, columns=[f"kept{k}" for k in range(kept.shape[1])])
    covars["site"] = pd.Categorical(part["site"]).codes + 1
    with contextlib.redirect_stdout(io.StringIO()):
        found = neuroCombat(
            dat=part[varying].to_numpy(float).T, covars=covars, batch_col="site",
            continuous_cols=[c for c in covars if c != "site"],
        )["data"]  # fmt: skip
    changed = frame.copy()
    changed.loc[:, varying] = np.nan
    changed.loc[usable, varying] = found.T
    notes = [f"metrics harmonised by ComBat over {len(sizes)} sites, groups and covariates kept"]
    return changed, notes + _said_lacking(frame[~usable], [*varying, *covariates, "site"])


def _said_lacking(frame: pd.DataFrame, needed: list[str]) -> list[str]:
    """Who could not be harmonised, and what most of them lack: one column that few have takes all
    metrics from everybody else."""
    if frame.empty:
        return []
    lacking = frame[needed].isna().sum().sort_values(ascending=False, kind="stable")
    most = ", ".join(f"{name} ({n})" for name, n in lacking[lacking > 0].head(3).items())
    names = frame["participant_id"] + ("_" + frame["session_id"].astype("string")).fillna("")
    who = ", ".join(names.head(MOST_NAMES)) + (" ..." if len(names) > MOST_NAMES else "")
    return [
        f"{len(frame)} subjects could not be harmonised, so none of their metrics counts: {who}; "
        f"lacking most often: {most} (take such a metric out of stats.metrics)"
    ]
