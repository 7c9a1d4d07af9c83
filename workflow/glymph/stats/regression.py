"""Scores regressed on metrics: nested models, what they rest on, and what moderates them.

Numbers are standardised in the subjects who enter, so that a coefficient is in standard deviations
of the score per standard deviation of the metric.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from glymph.stats.analysed import Plan
from glymph.stats.comparison import add_fdr
from glymph.stats.design import NotComputable, check_estimable, covariate_design, fit, indicators

MODELS = ("1", "2", "3")
"""The metric alone; and the covariates; and the groups."""
INFLUENCE = 4
"""A subject is called influential whose Cook's distance exceeds this over n
(Bollen and Jackman 1985, 10.1177/0049124185013004004)."""


def nested(frame: pd.DataFrame, plan: Plan) -> list[dict]:
    """Every score on every metric in up to three models, all in the same subjects.

    Each row has the coefficient with interval, the variance explained and what it gains on the
    model before, the metric's variance inflation, and the coefficient without the subjects of
    large Cook's distance. False-discovery rate within each model.
    """
    rows = []
    for score, metric in product(plan.scores, plan.metrics):
        covariates = plan.beside(metric, score)
        part = frame.dropna(subset=[metric, score, *covariates])
        before = 0.0
        for model, terms in _models(part, plan, covariates).items():
            row = {"x": metric, "y": score, "model": model, "n": len(part)}
            try:
                row |= _coefficient(part, metric, score, terms)
            except NotComputable as error:
                row["reason"] = str(error)
            else:
                row["r2_change"] = row["r2"] - before
                before = row["r2"]
            rows.append(row)
    for model in MODELS:
        add_fdr([row for row in rows if row["model"] == model])
    return rows


def _models(part: pd.DataFrame, plan: Plan, covariates: list[str]) -> dict[str, np.ndarray]:
    """Columns of each model beside the metric, intercept first."""
    if not len(part):
        return {"1": np.ones((0, 1))}
    found = {"1": np.ones((len(part), 1))}
    if covariates:
        found["2"] = covariate_design(part, covariates, plan.categorical).matrix
    present = [g for g in plan.groups if (part["group"] == g).any()]
    if len(present) > 1:
        groups = indicators(part["group"], present)
        found["3"] = np.hstack([list(found.values())[-1], groups])
    return found


def standardised(values: pd.Series) -> np.ndarray:
    """``values`` (n,) with mean 0 and standard deviation (n - 1) 1. Raises `NotComputable`."""
    numbers = values.to_numpy(float)
    if len(numbers) < 3:
        raise NotComputable(f"{len(numbers)} subjects have all the values")
    if np.ptp(numbers) == 0:
        raise NotComputable(f"{values.name} is the same in all {len(numbers)} subjects")
    return (numbers - numbers.mean()) / numbers.std(ddof=1)


def _coefficient(part: pd.DataFrame, metric: str, score: str, terms: np.ndarray) -> dict:
    x, y = standardised(part[metric]), standardised(part[score])
    check_told_apart(x, terms)
    matrix = np.column_stack([terms, x])
    if not _full(matrix):
        raise NotComputable("a covariate cannot be told apart from the groups")
    model = fit(y, matrix)
    low, high = model.conf_int()[-1]
    row = {"beta": model.params[-1], "beta_low": low, "beta_high": high, "t": model.tvalues[-1],
           "df": model.df_resid, "p": model.pvalues[-1], "r2": model.rsquared,
           "vif": 1 / (1 - _explained(x, terms))}  # fmt: skip
    distance = _cook(model)
    far = distance > INFLUENCE / len(y)
    row |= {"cook_max": float(distance.max()), "influential": int(far.sum())}
    if far.any() and (~far).sum() > matrix.shape[1] and _full(matrix[~far]):
        row["beta_without"] = fit(y[~far], matrix[~far]).params[-1]
    return row


def _full(matrix: np.ndarray) -> bool:
    return np.linalg.matrix_rank(matrix) == matrix.shape[1]


def _cook(model) -> np.ndarray:
    """Cook's distance (n,) of every subject; 0 for one who has a parameter to himself, such as the
    only one of a group: no other coefficient feels him."""
    with np.errstate(divide="ignore", invalid="ignore"):
        influence = model.get_influence()
        distance = influence.cooks_distance[0]
    alone = influence.hat_matrix_diag > 1 - 1e-9
    return np.where(alone | ~np.isfinite(distance), 0.0, distance)


def check_told_apart(x: np.ndarray, terms: np.ndarray) -> None:
    """Raise `NotComputable` where the other ``terms`` (n, k) of a model explain ``x`` entirely."""
    if _explained(x, terms) > 1 - 1e-10:
        raise NotComputable("the metric cannot be told apart from the covariates or groups")


def _explained(x: np.ndarray, terms: np.ndarray) -> float:
    """Share of the variance of ``x`` that ``terms``, with intercept, explain."""
    left = x - terms @ np.linalg.lstsq(terms, x, rcond=None)[0]
    return float(1 - left @ left / ((x - x.mean()) @ (x - x.mean())))


def moderated(frame: pd.DataFrame, plan: Plan) -> tuple[list[dict], list[dict]]:
    """Whether a moderator changes how a metric goes with a score: the interaction's F test for each
    of them, and the metric's coefficient at the moderator's levels (simple slopes).

    Levels are categories, or the mean and one standard deviation about it. The model holds the
    covariates. False-discovery rate within each moderator.
    """
    tests, slopes = [], []
    for moderator in plan.moderators:
        found = []
        for score, metric in product(plan.scores, plan.metrics):
            if moderator in (score, metric):
                continue
            row = {"x": metric, "y": score, "moderator": moderator}
            try:
                test, lines = _moderation(frame, plan, metric, score, moderator)
                slopes += [row | line for line in lines]
                found.append(row | test)
            except NotComputable as error:
                found.append(row | {"reason": str(error)})
        add_fdr(found)
        tests += found
    return tests, slopes


def _moderation(frame: pd.DataFrame, plan: Plan, metric: str, score: str, moderator: str):
    """The row of the interaction, and those of the simple slopes."""
    covariates = plan.beside(metric, score, moderator)
    part = frame.dropna(subset=[metric, score, moderator, *covariates])
    x, y = standardised(part[metric]), standardised(part[score])
    coded, levels = _levels(part[moderator], plan, moderator)
    base = covariate_design(part, covariates, plan.categorical).matrix
    check_estimable(base, coded)
    plain = np.column_stack([base, coded, x])
    check_told_apart(x, plain[:, :-1])
    full = np.column_stack([plain, x[:, None] * coded])
    if not _full(full):
        raise NotComputable("the interaction cannot be told apart from the other terms")
    model = fit(y, full)
    f, p, df1 = model.compare_f_test(fit(y, plain))
    test = {"n": len(part), "statistic": float(f), "df1": float(df1), "df2": model.df_resid,
            "p": float(p)}  # fmt: skip
    lines = []
    for name, place in levels.items():
        at = np.zeros(full.shape[1])
        at[plain.shape[1] - 1] = 1
        at[plain.shape[1] :] = place
        found = model.t_test(at)
        low, high = np.squeeze(found.conf_int())
        lines.append({"level": name, "beta": float(np.squeeze(found.effect)), "beta_low": low,
                      "beta_high": high, "p": float(np.squeeze(found.pvalue))})  # fmt: skip
    return test, lines


def _levels(values: pd.Series, plan: Plan, moderator: str):
    """A moderator as columns (n, k), and where its levels lie in these."""
    if moderator == "group" or moderator in plan.categorical:
        ordered = plan.groups if moderator == "group" else sorted(values.unique(), key=str)
        names = [str(v) for v in ordered if (values == v).any()]
        if len(names) < 2:
            raise NotComputable(f"{moderator} is the same in all {len(values)} subjects")
        coded = indicators(values.astype(str), names)
        return coded, dict(zip(names, np.eye(len(names))[:, 1:], strict=True))
    coded = standardised(values)[:, None]
    return coded, {"mean - 1 SD": [-1.0], "mean": [0.0], "mean + 1 SD": [1.0]}
