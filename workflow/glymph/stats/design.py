"""Linear models: design matrices with covariates coded properly, and what can be estimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.regression.linear_model import OLS

TOLERANCE = 1e-8


class NotComputable(ValueError):
    """A result that these data do not allow; the message says why, for the table."""


@dataclass(frozen=True)
class Design:
    """Covariates as columns: ``matrix`` (n, k) with intercept first, numbers centred and scaled,
    categories as indicators; ``average`` (k) is the reference point of adjusted means: mean of
    numbers, equal weight of categories, as R's emmeans has it. ``numeric`` indexes the columns of
    numbers, ``notes`` name covariates that say nothing here."""

    matrix: np.ndarray
    average: np.ndarray
    numeric: list[int]
    notes: list[str]


def covariate_design(frame: pd.DataFrame, covariates: list[str], categorical: list[str]) -> Design:
    """Design of ``covariates``, all present in ``frame`` and without missing values.

    Constant covariates, and columns that follow from earlier ones, are left out and named; what
    the covariates explain together is the same without them.
    """
    columns, average, numeric, notes = [np.ones(len(frame))], [1.0], [], []
    for name in covariates:
        if name in categorical:
            levels = sorted(frame[name].unique(), key=str)
            new = [(frame[name] == level).to_numpy(float) for level in levels[1:]]
            centre = [1 / len(levels)] * len(new)
        else:
            values = frame[name].to_numpy(float)
            spread = values.std()
            constant = spread <= TOLERANCE * max(1.0, abs(values.mean()))
            new = [] if constant else [(values - values.mean()) / spread]
            centre = [0.0] * len(new)
        if not new:
            notes.append(f"{name} is the same in all subjects and was left out")
            continue
        before = len(columns)
        for column, middle in zip(new, centre, strict=True):
            if _rank([*columns, column]) > len(columns):
                columns.append(column)
                average.append(middle)
        if name not in categorical and len(columns) > before:
            numeric.append(before)
        if len(columns) - before < len(new):
            part = "partly " if len(columns) > before else ""
            notes.append(f"{name} follows {part}from the other covariates and was {part}left out")
    return Design(np.column_stack(columns), np.array(average), numeric, notes)


def indicators(group: pd.Series, groups: list[str]) -> np.ndarray:
    """Columns (n, groups - 1) that are 1 in a group; the first group has none."""
    return np.column_stack([(group == g).to_numpy(float) for g in groups[1:]])


def fit(y: np.ndarray, matrix: np.ndarray):
    """Ordinary least squares. Raises `NotComputable` where nothing is left to estimate error."""
    if len(y) - matrix.shape[1] < 1:
        raise NotComputable(
            f"{len(y)} subjects are too few for {matrix.shape[1]} parameters of the model"
        )
    return OLS(y, matrix).fit()


def check_estimable(covariates: np.ndarray, groups: np.ndarray) -> None:
    """Raise `NotComputable` where a covariate is one with the groups."""
    if _rank([*covariates.T, *groups.T]) < covariates.shape[1] + groups.shape[1]:
        raise NotComputable("a covariate cannot be told apart from the groups")


def _rank(columns: list[np.ndarray]) -> int:
    return int(np.linalg.matrix_rank(np.column_stack(columns), tol=1e-7 * np.sqrt(len(columns[0]))))
