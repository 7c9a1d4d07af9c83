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
    covariates = [c for c in plan.covariates if c != "site"]
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
    if (~usable).any():
        notes.append(f"{int((~usable).sum())} subjects could not be harmonised (missing values)")
    return changed, notes
