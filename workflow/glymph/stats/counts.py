"""Numbers of perivascular spaces compared as what they are: counts, by negative binomial models."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.discrete.discrete_model import NegativeBinomial, Poisson

from glymph.stats.analysed import Plan, with_sites
from glymph.stats.comparison import add_fdr
from glymph.stats.design import NotComputable, check_estimable, covariate_design, indicators

POISSON = 1e-4
"""Dispersion below which counts scatter no more than a Poisson's, and are modelled so."""


def rates(frame: pd.DataFrame, plan: Plan, site: str = "none") -> list[dict]:
    """Rate ratio of every group against the first for every number of perivascular spaces.

    Negative binomial regression (log link, variance mu + dispersion mu^2) on the groups
    and covariates by maximum likelihood, with Wald intervals; ``p_groups`` is the likelihood ratio
    test of all groups together. Counts that scatter no more than a Poisson's are modelled as such.
    ``zeros`` and ``zeros_expected`` tell whether there are more subjects without any than the model
    allows for. False-discovery rate over all rows. ``frame``: as measured, since harmonised counts
    are none; where ``site`` (`stats.site`) is "combat" the sites are covariates instead.
    """
    plan = with_sites(plan, frame, site)
    rows = []
    for metric in (m for m in plan.metrics if m.startswith("epvs_") and m.endswith("_count")):
        try:
            rows += [{"metric": metric} | row for row in _rates(frame, plan, metric)]
        except NotComputable as error:
            rows.append({"metric": metric, "reason": str(error)})
    add_fdr(rows)
    return rows


def _rates(frame: pd.DataFrame, plan: Plan, metric: str) -> list[dict]:
    covariates = plan.beside(metric)
    part = frame.dropna(subset=[metric, *covariates])
    y = part[metric].to_numpy(float)
    present = [g for g in plan.groups if (part["group"] == g).any()]
    if len(present) < 2:
        raise NotComputable("fewer than two groups have values")
    if (y < 0).any() or not np.allclose(y, np.round(y)):
        raise NotComputable("values that are no whole numbers from 0")
    for group in present:
        if not y[(part["group"] == group).to_numpy()].any():
            raise NotComputable(f"no subject of group {group} has any")
    terms = covariate_design(part, covariates, plan.categorical).matrix
    groups = indicators(part["group"], present)
    check_estimable(terms, groups)
    matrix = np.column_stack([terms, groups])
    if len(y) - matrix.shape[1] < 2:
        raise NotComputable(f"{len(y)} subjects are too few for {matrix.shape[1]} parameters")
    model, dispersion = fit_counts(y, matrix)
    without, _ = fit_counts(y, terms, poisson=dispersion == 0)
    ratio = max(0.0, 2 * (model.llf - without.llf))
    mean = np.exp(matrix @ model.params[: matrix.shape[1]])
    kind = "negative binomial" if dispersion else "Poisson"
    about = {
        "group2": present[0], "n": len(y), "model": kind,
        "dispersion": dispersion, "zeros": int((y == 0).sum()),
        "zeros_expected": float(_zero(mean, dispersion).sum()),
        "p_groups": float(stats.chi2.sf(ratio, groups.shape[1])),
    }  # fmt: skip
    rows = []
    for k, group in enumerate(present[1:], terms.shape[1]):
        low, high = np.exp(model.conf_int()[k])
        rows.append({"group1": group} | about | {
            "rate_ratio": float(np.exp(model.params[k])), "low": float(low), "high": float(high),
            "z": float(model.tvalues[k]), "p": float(model.pvalues[k])})  # fmt: skip
    return rows


def fit_counts(y: np.ndarray, matrix: np.ndarray, poisson: bool = False):
    """(model, dispersion) by maximum likelihood; the dispersion of a Poisson is 0.

    ``y`` (n,) whole numbers, ``matrix`` (n, k). Raises `NotComputable` where nothing converges.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what did not converge is found below
        try:
            plain = Poisson(y, matrix).fit(disp=0, maxiter=200)
            if poisson:
                return plain, 0.0
            start = [*plain.params, _moment(y, plain.predict())]
            wide = NegativeBinomial(y, matrix).fit(start, disp=0, maxiter=500, method="bfgs")
            if wide.params[-1] > POISSON and not wide.mle_retvals["converged"]:
                wide = NegativeBinomial(y, matrix).fit(start, disp=0, maxiter=2000, method="nm")
        except (np.linalg.LinAlgError, ValueError):
            raise NotComputable("the model of the counts did not converge") from None
    if not wide.params[-1] > POISSON:
        return plain, 0.0
    if not (wide.mle_retvals["converged"] and np.isfinite(wide.bse).all()):
        raise NotComputable("the model of the counts did not converge")
    return wide, float(wide.params[-1])


def _moment(y: np.ndarray, mean: np.ndarray) -> float:
    """Start of the dispersion, by moments."""
    return float(max(0.05, np.mean(((y - mean) ** 2 - mean) / mean**2)))


def _zero(mean: np.ndarray, dispersion: float) -> np.ndarray:
    """Probability of no object at all, of subjects with these expected numbers."""
    if not dispersion:
        return np.exp(-mean)
    return (1 + dispersion * mean) ** (-1 / dispersion)
