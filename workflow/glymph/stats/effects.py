"""Effect sizes with 95 % confidence intervals."""

from __future__ import annotations

import numpy as np
from scipy import optimize, stats

LEVEL = 0.95
RESAMPLES = 1000


def partial_eta2(f: float, df1: float, df2: float) -> tuple[float, float, float]:
    """(eta2, low, high) of an F test: partial eta squared, its interval by the noncentral F.

    Source: Steiger 2004 (10.1037/1082-989X.9.2.164).
    """
    value = f * df1 / (f * df1 + df2)
    alpha = 1 - LEVEL
    low, high = (_noncentrality(f, df1, df2, p) for p in (1 - alpha / 2, alpha / 2))
    total = df1 + df2 + 1
    return value, low / (low + total), high / (high + total)


def _noncentrality(f: float, df1: float, df2: float, probability: float) -> float:
    """Noncentrality at which F values up to ``f`` have this ``probability``; 0 where none does."""

    def miss(nc):
        return stats.ncf.cdf(f, df1, df2, nc) - probability

    if stats.f.cdf(f, df1, df2) <= probability:
        return 0.0
    high = max(10.0, 4 * f * df1)
    while miss(high) > 0:
        high *= 2
    return float(optimize.brentq(miss, 0, high))


def hedges_g(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """(g, low, high): difference of means (first - second) in pooled standard deviations, with the
    small-sample correction; interval by the normal approximation.

    NaN where a group has fewer than two values or nothing varies. Source: Hedges 1981
    (10.3102/10769986006002107), variance as in Borenstein 2009 (10.1002/9780470743386), ch. 4.
    """
    n1, n2 = len(first), len(second)
    df = n1 + n2 - 2
    if min(n1, n2) < 2:
        return (np.nan,) * 3
    pooled = np.sqrt(((n1 - 1) * first.var(ddof=1) + (n2 - 1) * second.var(ddof=1)) / df)
    if not pooled > 0:
        return (np.nan,) * 3
    d = (first.mean() - second.mean()) / pooled
    correction = 1 - 3 / (4 * df - 1)
    error = correction * np.sqrt((n1 + n2) / (n1 * n2) + d**2 / (2 * (n1 + n2)))
    g, z = correction * d, stats.norm.ppf(0.5 + LEVEL / 2)
    return g, g - z * error, g + z * error


def cliffs_delta(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """(delta, low, high): P(first > second) - P(first < second), with the asymmetric interval of
    Cliff's consistent variance.

    NaN bounds where a group has fewer than two values, and where the groups do not overlap at all.
    Source: Cliff 1993
    (10.1037/0033-2909.114.3.494), Feng and Cliff 2004 (10.22237/jmasm/1099267560).
    """
    n1, n2 = len(first), len(second)
    sign = np.sign(first[:, None] - second[None, :])
    delta = float(sign.mean())
    if min(n1, n2) < 2 or abs(delta) == 1:
        return delta, np.nan, np.nan
    by_first, by_second = sign.mean(axis=1), sign.mean(axis=0)
    spread = float(((sign - delta) ** 2).sum())
    variance = (
        n2**2 * ((by_first - delta) ** 2).sum() + n1**2 * ((by_second - delta) ** 2).sum() - spread
    ) / (n1 * n2 * (n1 - 1) * (n2 - 1))
    variance = max(variance, (1 - delta**2) / (n1 * n2 - 1))
    z = stats.norm.ppf(0.5 + LEVEL / 2)
    root = z * np.sqrt(variance * ((1 - delta**2) ** 2 + z**2 * variance))
    below = 1 - delta**2 + z**2 * variance
    low, high = ((delta - delta**3 + s * root) / below for s in (-1, 1))
    return delta, max(-1.0, low), min(1.0, high)


def epsilon2(values: list[np.ndarray], h: float, seed: int) -> tuple[float, float, float]:
    """(epsilon2, low, high) of a Kruskal-Wallis H: H / (n - 1); interval by the bootstrap within
    groups (1,000 resamples, percentiles).

    Source: Tomczak and Tomczak 2014, Trends in Sport Sciences 1(21).
    """
    sizes = [len(v) for v in values]
    total = sum(sizes)
    value = h / (total - 1)
    rng = np.random.default_rng(seed)
    drawn = []
    block = max(1, 2_000_000 // total)
    for start in range(0, RESAMPLES, block):
        count = min(block, RESAMPLES - start)
        sample = [v[rng.integers(0, len(v), (count, len(v)))] for v in values]
        drawn.append(_h_of_rows(np.concatenate(sample, axis=1), sizes) / (total - 1))
    low, high = np.nanpercentile(np.concatenate(drawn), (2.5, 97.5))
    return value, float(low), float(high)


def _h_of_rows(samples: np.ndarray, sizes: list[int]) -> np.ndarray:
    """H of every row of ``samples`` (resamples, n), whose columns lie group by group."""
    ranks = stats.rankdata(samples, axis=1)
    edges = np.cumsum([0, *sizes])
    n = edges[-1]
    between = (
        sum(
            ranks[:, a:b].sum(axis=1) ** 2 / (b - a) for a, b in zip(edges, edges[1:], strict=False)
        )
        - n * ((n + 1) / 2) ** 2
    )
    within = ((ranks - (n + 1) / 2) ** 2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(within > 0, (n - 1) * between / within, np.nan)
