"""Kruskal-Wallis, and Dunn's comparisons after it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import stats

from glymph.stats.design import NotComputable


def kruskal(values: list[np.ndarray]) -> tuple[float, int, float]:
    """(H corrected for ties, degrees of freedom, P). Raises `NotComputable` for constant data."""
    pooled = np.concatenate(values)
    if len(pooled) <= len(values):
        raise NotComputable("no group has a second subject")
    if np.ptp(pooled) == 0:
        raise NotComputable("all values are equal")
    h, p = stats.kruskal(*values)
    return float(h), len(values) - 1, float(p)


def dunn(values: list[np.ndarray]) -> dict[tuple[int, int], tuple[float, float]]:
    """Dunn's z (first minus second) and two-sided P, unadjusted, of every pair of groups.

    Ranks are those of all groups together, the variance is corrected for ties. Source: Dunn 1964
    (10.1080/00401706.1964.10490181).
    """
    pooled = np.concatenate(values)
    n = len(pooled)
    ranks = np.split(stats.rankdata(pooled), np.cumsum([len(v) for v in values])[:-1])
    _, ties = np.unique(pooled, return_counts=True)
    variance = (n * (n + 1) - (ties**3 - ties).sum() / (n - 1)) / 12
    found = {}
    for a, b in combinations(range(len(values)), 2):
        error = np.sqrt(variance * (1 / len(values[a]) + 1 / len(values[b])))
        z = (ranks[a].mean() - ranks[b].mean()) / error
        found[a, b] = float(z), float(2 * stats.norm.sf(abs(z)))
    return found
