"""Numbers of perivascular spaces compared as what they are: counts, by negative binomial models."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from statsmodels.genmod.families import NegativeBinomial, Poisson
from statsmodels.genmod.generalized_linear_model import GLM

from glymph.stats.analysed import Plan, with_sites
from glymph.stats.comparison import add_fdr
from glymph.stats.design import NotComputable, check_estimable, covariate_design, indicators

DISPERSIONS = 1e-4, 1e3
"""Where the dispersion is sought; below, counts scatter no more than a Poisson's."""


def rates(frame: pd.DataFrame, plan: Plan, site: str = "none") -> list[dict]:
    """Rate ratio of every group against the first for every number of perivascular spaces.

    Negative binomial regression (log link, variance mu + dispersion mu^2) on the groups and
    covariates (`fit_counts`), with Wald intervals and tests by Student's t; ``p_groups`` is the F
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
    together = np.eye(matrix.shape[1])[terms.shape[1] :]
    kind = "negative binomial" if dispersion else "Poisson"
    about = {
        "group2": present[0], "n": len(y), "model": kind,
        "dispersion": dispersion, "zeros": int((y == 0).sum()),
        "zeros_expected": float(_zero(model.mu, dispersion).sum()),
        "df": float(model.df_resid), "p_groups": float(model.f_test(together).pvalue),
    }  # fmt: skip
    rows = []
    for k, group in enumerate(present[1:], terms.shape[1]):
        low, high = np.exp(model.conf_int()[k])
        rows.append({"group1": group} | about | {
            "rate_ratio": float(np.exp(model.params[k])), "low": float(low), "high": float(high),
            "t": float(model.tvalues[k]), "p": float(model.pvalues[k])})  # fmt: skip
    return rows


def fit_counts(y: np.ndarray, matrix: np.ndarray):
    """(statsmodels' result, dispersion) of ``y`` (n,), whole numbers, on ``matrix`` (n, k).

    The dispersion is that at which Pearson's chi square equals the n - k degrees of freedom
    (Breslow 1984, 10.2307/2347661), 0 where a Poisson's is smaller already. The likelihood's own is
    too small in small cohorts, and its tests call too many of them different. Raises
    `NotComputable` where nothing converges.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what did not converge is found below
        try:
            plain = GLM(y, matrix, Poisson()).fit(use_t=True)
            dispersion = _dispersion(y, matrix, plain)
            found = _wide(y, matrix, dispersion, plain) if dispersion else plain
        except (np.linalg.LinAlgError, ValueError):
            raise NotComputable("the model of the counts did not converge") from None
    if not (found.converged and np.isfinite(found.bse).all()):
        raise NotComputable("the model of the counts did not converge")
    return found, dispersion


def _dispersion(y: np.ndarray, matrix: np.ndarray, plain) -> float:
    """Where Pearson's chi square, from the Poisson model ``plain`` on, meets its freedom."""

    def beyond(log: float) -> float:
        return _wide(y, matrix, np.exp(log), plain).pearson_chi2 - plain.df_resid

    low, high = np.log(DISPERSIONS)
    return float(np.exp(brentq(beyond, low, high, xtol=1e-8))) if beyond(low) > 0 else 0.0


def _wide(y: np.ndarray, matrix: np.ndarray, dispersion: float, plain):
    """The negative binomial model of this ``dispersion``, sought from the ``plain`` one."""
    model = GLM(y, matrix, NegativeBinomial(alpha=dispersion))
    return model.fit(start_params=plain.params, use_t=True)


def _zero(mean: np.ndarray, dispersion: float) -> np.ndarray:
    """Probability of no object at all, of subjects with these expected numbers."""
    if not dispersion:
        return np.exp(-mean)
    return (1 + dispersion * mean) ** (-1 / dispersion)
