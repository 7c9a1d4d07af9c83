"""How well single metrics tell two groups apart: the ROC curve of the cohort itself.

Nothing is fitted but the cut, which is chosen and judged on the same subjects (apparent): for what
a model would do with people it has not seen, see `glymph.stats.discrimination`.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from glymph.stats.analysed import Plan
from glymph.stats.comparison import add_fdr

LEAST = 4
"""Subjects that both groups need."""


def area(positive: np.ndarray, negative: np.ndarray) -> float:
    """AUC of a score, both (n,): how often a value of ``positive`` exceeds one of ``negative``,
    ties counting half (Mann-Whitney)."""
    m, n = len(positive), len(negative)
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    return float((ranks[:m].sum() - m * (m + 1) / 2) / (m * n))


def components(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong's structural components of k scores: (k, m) of the ``positive`` (k, m) subjects, and
    (k, n) of the ``negative`` (k, n); the mean of either is the AUC.

    Source: DeLong 1988 (10.2307/2531595), by the ranks of Sun and Xu 2014
    (10.1109/LSP.2014.2337313).
    """
    m, n = positive.shape[1], negative.shape[1]
    together = stats.rankdata(np.hstack([positive, negative]), axis=1)
    of_positive = (together[:, :m] - stats.rankdata(positive, axis=1)) / n
    of_negative = 1 - (together[:, m:] - stats.rankdata(negative, axis=1)) / m
    return of_positive, of_negative


def covariance(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC (k,) of k scores of the same subjects and DeLong's covariance (k, k) of these."""
    of_positive, of_negative = components(positive, negative)
    spread = np.atleast_2d(np.cov(of_positive)) / positive.shape[1]
    spread += np.atleast_2d(np.cov(of_negative)) / negative.shape[1]
    return of_positive.mean(axis=1), spread


def youden(positive: np.ndarray, negative: np.ndarray) -> dict:
    """The cut above which a subject is called positive that makes sensitivity + specificity - 1
    largest; of equal ones the most sensitive. It lies midway between two values."""
    values = np.unique(np.concatenate([positive, negative]))
    cuts = (values[:-1] + values[1:]) / 2
    if not len(cuts):
        return {}
    sensitivity = (positive[:, None] > cuts).mean(axis=0)
    specificity = (negative[:, None] <= cuts).mean(axis=0)
    best = int(np.argmax(np.round(sensitivity + specificity, 12)))  # the lowest of equal cuts
    return {"cut": float(cuts[best]), "sensitivity": float(sensitivity[best]),
            "specificity": float(specificity[best])}  # fmt: skip


def markers(frame: pd.DataFrame, plan: Plan) -> list[dict]:
    """A row for each pair of groups and metric: AUC with DeLong's 95 % interval, its P against 0.5,
    and Youden's cut.

    The AUC is that of the direction in which the medians, or else the means, of the second group
    lie: "higher" or "lower". False-discovery rate within each pair of groups.
    """
    rows = []
    for first, second in combinations(plan.groups, 2):
        found = []
        for metric in plan.metrics:
            (positive,), (negative,) = _sides(frame, [metric], second, first)
            about = {"contrast": f"{first} vs {second}", "metric": metric}
            about["n"] = len(positive) + len(negative)
            found.append(about | _marker(positive, negative))
        add_fdr(found)
        rows += found
    return rows


def _sides(frame: pd.DataFrame, columns: list[str], *groups: str) -> list[np.ndarray]:
    """Values (columns, subjects) of each of the ``groups``, of subjects who have all of them."""
    own = frame[["group", *columns]].dropna()
    return [own.loc[own["group"] == g, columns].to_numpy(float).T for g in groups]


def _marker(positive: np.ndarray, negative: np.ndarray) -> dict:
    if min(len(positive), len(negative)) < LEAST:
        return {"reason": f"fewer than {LEAST} subjects of a group"}
    sign = _direction(positive, negative)
    (auc,), ((variance,),) = covariance(sign * positive[None], sign * negative[None])
    row = {"direction": "higher" if sign > 0 else "lower", "auc": float(auc)}
    if variance < 1e-20:
        return row | {"reason": "the groups do not overlap, or nothing varies: no interval"}
    low, high, z, p = _normal(float(auc) - 0.5, variance)
    best = youden(sign * positive, sign * negative)
    row |= {"auc_low": max(0.0, 0.5 + low), "auc_high": min(1.0, 0.5 + high), "z": z, "p": p}
    return row | best | {"cut": sign * best["cut"]}


def _normal(value: float, variance: float) -> tuple[float, float, float, float]:
    """95 % interval, z and two-sided P against 0 of a normally distributed estimate."""
    error = float(np.sqrt(variance))
    reach, z = float(stats.norm.ppf(0.975)) * error, value / error
    return value - reach, value + reach, z, float(2 * stats.norm.sf(abs(z)))


def _direction(positive: np.ndarray, negative: np.ndarray) -> int:
    for middle in (np.median, np.mean):
        if middle(positive) != middle(negative):
            return 1 if middle(positive) > middle(negative) else -1
    return 1


def differences(frame: pd.DataFrame, plan: Plan) -> list[dict]:
    """AUC of the metrics of all sets of features against one another, by DeLong's test, in the
    subjects who have both; both in the direction of `markers`."""
    wanted = list(dict.fromkeys(name for names in plan.sets.values() for name in names))
    rows = []
    for first, second in combinations(plan.groups, 2):
        for pair in combinations(wanted, 2):
            positive, negative = _sides(frame, list(pair), second, first)
            if min(positive.shape[1], negative.shape[1]) < LEAST:
                continue
            sign = np.array([[_direction(a, b)] for a, b in zip(positive, negative, strict=True)])
            auc, spread = covariance(sign * positive, sign * negative)
            row = {"contrast": f"{first} vs {second}", "features1": pair[0], "features2": pair[1],
                   "n": positive.shape[1] + negative.shape[1]}  # fmt: skip
            rows.append(row | _difference(float(auc[0] - auc[1]), spread))
    return rows


def _difference(difference: float, spread: np.ndarray) -> dict:
    variance = spread[0, 0] + spread[1, 1] - 2 * spread[0, 1]
    if variance < 1e-20:
        return {"difference": difference, "reason": "the two order the subjects alike"}
    low, high, z, p = _normal(difference, variance)
    return {"difference": difference, "low": low, "high": high, "z": z, "p": p}
