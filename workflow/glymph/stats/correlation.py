"""Partial correlation of metrics with scores, and of ALPS with perivascular spaces."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from glymph.stats.analysed import WHOLE, Plan, ratio_of
from glymph.stats.comparison import add_fdr
from glymph.stats.design import NotComputable, covariate_design


def residuals(frame: pd.DataFrame, x: str, y: str, covariates, categorical, method: str):
    """(residual x, residual y, number of covariate columns, notes): what the covariates leave.

    With ``method`` "spearman" everything that is a number is ranked first.
    """
    frame = frame.dropna(subset=list(dict.fromkeys([x, y, *covariates])))
    if method == "spearman":
        numbers = [x, y, *(c for c in covariates if c not in categorical)]
        frame = frame.assign(**{name: stats.rankdata(frame[name]) for name in numbers})
    for name in (x, y):
        if len(frame) and np.ptp(frame[name].to_numpy(float)) == 0:
            raise NotComputable(f"{name} is the same in all {len(frame)} subjects")
    if len(frame) < 3:
        raise NotComputable(f"{len(frame)} subjects have all the values")
    design = covariate_design(frame, covariates, categorical)
    both = frame[[x, y]].to_numpy(float)
    left = both - design.matrix @ np.linalg.lstsq(design.matrix, both, rcond=None)[0]
    if (left.std(axis=0) <= 1e-7 * both.std(axis=0)).any():
        raise NotComputable("the covariates explain one of the two entirely")
    return left[:, 0], left[:, 1], design.matrix.shape[1] - 1, design.notes


def partial_correlation(
    frame: pd.DataFrame, x: str, y: str, covariates: list[str], categorical: list[str], method: str
) -> dict:
    """r, R2, df = n - 2 - k, P and 95 % interval of ``x`` with ``y`` given the covariates.

    The interval is Fisher's; for Spearman with the variance of Bonett and Wright 2000
    (10.1007/BF02294183). Where nothing can be computed the row has a ``reason``.
    """
    row = {"x": x, "y": y, "method": method}
    try:
        a, b, k, notes = residuals(frame, x, y, covariates, categorical, method)
        row |= {"n": len(a), "covariates": k, "df": len(a) - 2 - k}
        if row["df"] < 1:
            raise NotComputable(f"{len(a)} subjects are too few for {k} covariates")
    except NotComputable as error:
        return row | {"reason": str(error)}
    r = float(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1, 1))
    t = r * np.sqrt(row["df"] / max(1 - r**2, 1e-300))
    row |= {"r": r, "r2": r**2, "p": float(2 * stats.t.sf(abs(t), row["df"]))}
    if len(a) - k > 3 and abs(r) < 1:
        error = np.sqrt((1 + (r**2 / 2 if method == "spearman" else 0)) / (len(a) - k - 3))
        z = stats.norm.ppf(0.975)
        row["r_low"], row["r_high"] = np.tanh(np.arctanh(r) + np.array([-z, z]) * error).tolist()
    return row | {"note": "; ".join(notes) or None}


def _everywhere(frame: pd.DataFrame, plan: Plan):
    yield WHOLE, frame
    for group in plan.groups:
        yield group, frame[frame["group"] == group]


def with_scores(frame: pd.DataFrame, plan: Plan, settings: dict) -> list[dict]:
    """Every metric with every cognitive score, in the cohort and within each group; false-discovery
    rate within each of these."""
    rows = []
    for name, part in _everywhere(frame, plan):
        found = [
            {"group": name} | partial_correlation(
                part, metric, score, plan.beside(metric, score),
                plan.categorical, settings["correlation"],
            )
            for score in plan.scores
            for metric in plan.metrics
            if metric != score
        ]  # fmt: skip
        add_fdr(found)
        rows += found
    return rows


def beyond_ratio(frame: pd.DataFrame, plan: Plan, settings: dict) -> list[dict]:
    """Whether ALPS says more of a score than the eigenvalue ratio of the same regions does.

    Each ALPS with each score, partial given the covariates, and given the ratio too, in the same
    subjects: what is left then has to do with direction, and not with fibres that cross or fan. No
    rows where the table has no ratio.
    """
    rows = []
    for name, part in _everywhere(frame, plan):
        for given in ("covariates", "covariates and ratio"):
            found = []
            for x, score in product(plan.metrics, plan.scores):
                ratio = ratio_of(x)
                if ratio not in frame:
                    continue
                covariates = plan.beside(x, score)
                covariates += [ratio] if given != "covariates" else []
                found.append({"group": name, "given": given} | partial_correlation(
                    part.dropna(subset=[ratio]), x, score, covariates, plan.categorical,
                    settings["correlation"],
                ))  # fmt: skip
            add_fdr(found)
            rows += found
    return rows


def alps_with_epvs(frame: pd.DataFrame, plan: Plan) -> list[dict]:
    """Every ALPS with every EPVS metric: Spearman, plain and partial, in all and within groups."""
    alps = [m for m in plan.metrics if m.startswith("alps_")]
    epvs = [m for m in plan.metrics if m.startswith("epvs_")]
    rows = []
    for name, part in _everywhere(frame, plan):
        for kind in ("plain", "partial"):
            found = [
                {"group": name, "kind": kind}
                | partial_correlation(
                    part,
                    a,
                    e,
                    plan.beside(a, e) if kind == "partial" else [],
                    plan.categorical,
                    "spearman",
                )
                for a in alps
                for e in epvs
            ]
            add_fdr(found)
            rows += found
    return rows
