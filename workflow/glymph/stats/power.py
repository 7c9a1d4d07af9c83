"""What a cohort could have found: the smallest difference it would see, and equivalence."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.optimize import brentq

POWER = 0.8
MOST = 20.0
"""Standard deviations beyond which no difference is looked for."""


def detectable(n1: int, n2: int, alpha: float) -> float | None:
    """Difference of two groups, in standard deviations, that a two-sided t test at ``alpha`` finds
    in 8 of 10 cohorts of this size; None for groups of which one has fewer
    than two, and where no difference would do."""
    if min(n1, n2) < 2:
        return None
    df = n1 + n2 - 2
    critical = stats.t.isf(alpha / 2, df)

    def lacking(difference: float) -> float:
        # the other tail of a difference of this size is nothing
        return POWER - stats.nct.sf(critical, df, difference * np.sqrt(n1 * n2 / (n1 + n2)))

    return float(brentq(lacking, 1e-3, MOST)) if lacking(MOST) < 0 else None


def equivalence(difference: float, error: float, df: float, bound: float) -> float:
    """P of two one-sided t tests that a difference lies outside -``bound`` to ``bound``: small
    where the groups are alike. Source: Schuirmann 1987 (10.1007/BF01068419)."""
    if error <= 0:
        return float(abs(difference) >= bound)
    above = stats.t.sf((difference + bound) / error, df)
    below = stats.t.cdf((difference - bound) / error, df)
    return float(max(above, below))
