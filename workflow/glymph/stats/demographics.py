"""Table 1: who the groups are."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from glymph.stats.analysed import Plan
from glymph.stats.comparison import describe, shapiro
from glymph.stats.design import NotComputable
from glymph.stats.ranks import kruskal

MOST_TABLES = 2_000_000
"""Contingency tables that are enumerated; beyond, the exact test is sampled."""
SAMPLED = 99_999


def table(frame: pd.DataFrame, plan: Plan, alpha: float, seed: int) -> tuple[list, list]:
    """(one row per variable and group, one test per variable) of covariates and scores."""
    described, tests = [], []
    for name in dict.fromkeys([*plan.covariates, *plan.scores]):
        if name in plan.categorical:
            rows, test = _categorical(frame, name, plan.groups, seed)
        else:
            rows, test = _number(frame, name, plan.groups, alpha)
        described += [{"variable": name} | row for row in rows]
        tests.append({"variable": name} | test)
    return described, tests


def _number(frame, name, groups, alpha):
    have = frame[frame[name].notna()]
    rows = []
    for group in groups:
        row = describe(have.loc[have["group"] == group, name], name, group, frame)
        del row["metric"]
        rows.append(row)
    values = [have.loc[have["group"] == g, name].to_numpy(float) for g in groups]
    values = [v for v in values if len(v)]
    try:
        if len(values) < 2:
            raise NotComputable("fewer than two groups have values")
        h, df, p = kruskal(values)
    except NotComputable as error:
        return rows, {"test": "none", "reason": str(error)}
    normal = [shapiro(v) for v in values]
    if None not in normal and min(normal) >= alpha:
        f = stats.f_oneway(*values)
        return rows, {"test": "ANOVA", "statistic": float(f.statistic), "df1": len(values) - 1,
                      "df2": len(have) - len(values), "p": float(f.pvalue),
                      "reason": "normal in every group (Shapiro-Wilk)"}  # fmt: skip
    why = "not normal in every group (Shapiro-Wilk)"
    if None in normal:
        why = "normality cannot be tested in every group"
    return rows, {"test": "Kruskal-Wallis", "statistic": h, "df1": df, "p": p, "reason": why}


def _categorical(frame, name, groups, seed):
    have = frame[frame[name].notna()]
    levels = sorted(have[name].unique(), key=str)
    counts = np.array([[((have["group"] == g) & (have[name] == v)).sum() for g in groups]
                       for v in levels], int).reshape(len(levels), len(groups))  # fmt: skip
    missing = {g: int(frame.loc[frame["group"] == g, name].isna().sum()) for g in groups}
    rows = [
        {"group": group, "level": str(level), "n": int(counts[k, j]), "missing": missing[group]}
        for j, group in enumerate(groups)
        for k, level in enumerate(levels)
    ]
    return rows, contingency(counts, seed)


def contingency(counts: np.ndarray, seed: int) -> dict:
    """Test of independence of ``counts`` (levels, groups): chi-square without continuity
    correction; Fisher-Freeman-Halton where more than a fifth of the expected counts is below 5 or
    one is below 1 (Cochran 1954)."""
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(counts.shape, default=0) < 2:
        return {"test": "none", "reason": "one and the same in all subjects, or one group"}
    chi2, p, df, expected = stats.chi2_contingency(counts, correction=False)
    if expected.min() >= 1 and (expected < 5).mean() <= 0.2:
        return {"test": "chi-square", "statistic": float(chi2), "df1": int(df), "p": float(p),
                "reason": f"smallest expected count {expected.min():.1f}"}  # fmt: skip
    p, how = fisher_freeman_halton(counts, seed)
    return {"test": "Fisher-Freeman-Halton", "p": p,
            "reason": f"smallest expected count {expected.min():.1f}; {how}"}  # fmt: skip


def fisher_freeman_halton(counts: np.ndarray, seed: int) -> tuple[float, str]:
    """(P, how) of the exact test of independence: all tables with these margins that are no more
    likely than ``counts``; for large tables of seeded random ones. Source: Freeman and Halton 1951
    (10.1093/biomet/38.1-2.141)."""
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    free = [min(r, c) + 1 for r, c in product(rows[:-1], columns[:-1])]
    if np.prod(np.array(free, float)) > MOST_TABLES:
        method = stats.MonteCarloMethod(n_resamples=SAMPLED, rng=np.random.default_rng(seed))
        p = stats.fisher_exact(counts, method=method).pvalue
        return float(p), f"{SAMPLED} random tables"
    axes = np.meshgrid(*[np.arange(n) for n in free], indexing="ij")
    inner = np.stack([a.ravel() for a in axes]).reshape(len(rows) - 1, len(columns) - 1, -1)
    full = np.zeros((*counts.shape, inner.shape[-1]), int)
    full[:-1, :-1] = inner
    full[:-1, -1] = rows[:-1, None] - inner.sum(axis=1)
    full[-1] = columns[:, None] - full[:-1].sum(axis=0)
    full = full[..., (full >= 0).all(axis=(0, 1))]
    from scipy.special import gammaln

    likely = -gammaln(full + 1.0).sum(axis=(0, 1))
    seen = -gammaln(counts + 1.0).sum()
    weights = np.exp(likely - likely.max())
    # R's fisher.test counts tables as equally likely within a relative 1e-7 as well.
    return float(weights[likely <= seen + 1e-7].sum() / weights.sum()), "all tables"
