"""How well ALPS, perivascular spaces and both tell the groups apart, never on training data.

Regularised logistic regression in repeated stratified cross-validation; scaling is fitted inside
the folds. All feature sets see the same subjects and the same folds, so that they can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from glymph.stats.analysed import Plan
from glymph.stats.design import covariate_design
from glymph.stats.roc import area

GRID = np.linspace(0, 1, 101)
LEAST = 4
"""Subjects that every group needs, so that two folds can hold two each."""
BINS = 5


@dataclass(frozen=True)
class Folds:
    """Cross-validated results of one feature set: AUC (folds), sensitivity and specificity at the
    threshold (folds), ROC (folds, GRID), and every subject's mean predicted probability (n, c)."""

    auc: np.ndarray
    sensitivity: np.ndarray
    specificity: np.ndarray
    roc: np.ndarray
    probability: np.ndarray


def all_sets(frame: pd.DataFrame, plan: Plan) -> dict[str, list[str]]:
    """Columns of each set of features that anybody here has, their union "both" where there are two
    sets, and "demographics": the covariates."""
    named = {k: [c for c in v if frame[c].notna().any()] for k, v in plan.sets.items()}
    named = {k: v for k, v in named.items() if v}
    if len(named) > 1:
        named["both" if len(named) == 2 else "together"] = sum(named.values(), [])
    if plan.covariates:
        named["demographics"] = plan.covariates
    return named


def contrasts(groups: list[str]) -> list[tuple[str, ...]]:
    """Every pair of groups, and all of them where there are more than two."""
    return [*combinations(groups, 2), *([tuple(groups)] if len(groups) > 2 else [])]


def discriminate(frame: pd.DataFrame, plan: Plan, settings: dict) -> dict[str, list[dict]]:
    """Tables ``auc``, ``roc``, ``calibration`` and ``differences`` of every contrast."""
    found: dict[str, list[dict]] = {k: [] for k in ("auc", "roc", "calibration", "differences")}
    sets = all_sets(frame, plan)
    for groups in contrasts(plan.groups):
        contrast = " vs ".join(groups)
        columns = list(dict.fromkeys(sum(sets.values(), [])))
        part = frame[frame["group"].isin(groups)].dropna(subset=columns)
        y = part["group"].astype(str).map({g: k for k, g in enumerate(groups)}).to_numpy(int)
        sizes = np.bincount(y, minlength=len(groups))
        about = {"contrast": contrast, "n": len(part)}
        if not sets or sizes.min() < LEAST:
            why = f"fewer than {LEAST} complete subjects of {groups[int(sizes.argmin())]}"
            reason = why if sets else "the table has none of the features"
            found["auc"].append(about | {"features": "none", "reason": reason})
            continue
        splits = make_folds(y, settings, settings["repeats"])
        results = {}
        for name, wanted in sets.items():
            x = _matrix(part, wanted, plan)
            results[name] = cross_validate(x, y, splits, settings["regularisation"])
            p = permutation_p(x, y, settings)
            row = about | {"features": name, "columns": ", ".join(wanted)}
            found["auc"].append(row | summary(results[name], y, splits) | {"p_permutation": p})
            for fpr, tpr, low, high in roc_band(results[name], y, splits):
                found["roc"].append({"contrast": contrast, "features": name, "fpr": fpr,
                                     "tpr": tpr, "tpr_low": low, "tpr_high": high})  # fmt: skip
            for row in calibration(results[name].probability, y):
                found["calibration"].append({"contrast": contrast, "features": name} | row)
            print(f"discrimination: {contrast}, {name}", flush=True)
        for first, second in combinations(results, 2):
            row = {"contrast": contrast, "features1": first, "features2": second}
            found["differences"].append(
                row | corrected(results[first].auc - results[second].auc, y, splits)
            )
    return found


def _matrix(part: pd.DataFrame, columns: list[str], plan: Plan) -> np.ndarray:
    """Features as numbers; categories as indicators, whose coding uses no outcome."""
    categorical = [c for c in columns if c in plan.categorical]
    numbers = part[[c for c in columns if c not in categorical]].to_numpy(float)
    coded = covariate_design(part, categorical, categorical).matrix[:, 1:]
    return np.hstack([numbers, coded])


def make_folds(y: np.ndarray, settings: dict, repeats: int) -> list[tuple]:
    """(train, test) indices; fewer folds where a group is small: each holds two of every group."""
    folds = max(2, min(settings["folds"], int(np.bincount(y).min()) // 2))
    splitter = RepeatedStratifiedKFold(
        n_splits=folds, n_repeats=repeats, random_state=settings["seed"]
    )
    return list(splitter.split(np.zeros((len(y), 1)), y))


def _predictions(x: np.ndarray, y: np.ndarray, splits: list, regularisation: float):
    """(train, test, probability of each group for the test subjects) of every split.

    The checks of scikit-learn take longer than its fits; what comes here is finite.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(C=regularisation, max_iter=1000))
    with config_context(skip_parameter_validation=True, assume_finite=True):
        for train, test in splits:
            yield train, test, model.fit(x[train], y[train]).predict_proba(x[test])


def _auc(y: np.ndarray, probability: np.ndarray) -> float:
    """AUC of the second of two groups; of more, Hand and Till's mean over pairs
    (10.1023/A:1010920819831)."""
    groups = range(probability.shape[1])
    if len(groups) == 2:
        return area(probability[y == 1, 1], probability[y == 0, 1])
    return float(np.mean([area(probability[y == a, a], probability[y == b, a])
                          for a in groups for b in groups if a != b]))  # fmt: skip


def cross_validate(x: np.ndarray, y: np.ndarray, splits: list, regularisation: float) -> Folds:
    """Fit and predict in every split. The threshold of sensitivity and specificity (two groups) is
    the second group's share of the training subjects, fixed before the test subjects are seen."""
    two = y.max() == 1
    auc, sensitivity, specificity, curves = [], [], [], []
    total, times = np.zeros((len(y), y.max() + 1)), np.zeros((len(y), 1))
    for train, test, probability in _predictions(x, y, splits, regularisation):
        total[test] += probability
        times[test] += 1
        auc.append(_auc(y[test], probability))
        if two:
            called = probability[:, 1] >= y[train].mean()
            sensitivity.append(called[y[test] == 1].mean())
            specificity.append((~called[y[test] == 0]).mean())
            fpr, tpr, _ = roc_curve(y[test], probability[:, 1], drop_intermediate=False)
            curves.append(_staircase(fpr, tpr))
    return Folds(np.array(auc), np.array(sensitivity), np.array(specificity), np.array(curves),
                 total / times)  # fmt: skip


def _staircase(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Sensitivity at each false-positive rate of `GRID`, linear between the curve's points."""
    highest = dict(zip(fpr, tpr, strict=True))  # of equal rates the last, the highest
    curve = np.interp(GRID, list(highest), list(highest.values()))
    curve[0] = 0.0
    return curve


def corrected(values: np.ndarray, y: np.ndarray, splits: list) -> dict:
    """Mean over folds with interval and two-sided P against 0, by the resampled t test corrected
    for the overlap of training sets. Source: Nadeau and Bengio 2003 (10.1023/A:1024068626366)."""
    error, df = _corrected_error(values, splits)
    mean, reach = float(values.mean()), stats.t.ppf(0.975, df) * error
    row = {"difference": mean, "low": mean - reach, "high": mean + reach}
    if error > 0:
        row |= {"t": mean / error, "p": float(2 * stats.t.sf(abs(mean / error), df))}
    return row


def _corrected_error(values: np.ndarray, splits: list) -> tuple[np.ndarray, int]:
    """Standard error of the mean over folds (axis 0), and its degrees of freedom."""
    train, test = splits[0]
    scale = 1 / len(values) + len(test) / len(train)
    return np.sqrt(scale * values.var(axis=0, ddof=1)), len(values) - 1


def summary(found: Folds, y: np.ndarray, splits: list) -> dict:
    """AUC with interval, sensitivity and specificity, Brier score."""
    error, df = _corrected_error(found.auc, splits)
    reach = stats.t.ppf(0.975, df) * error
    auc = float(found.auc.mean())
    row = {"auc": auc, "auc_low": max(0.0, auc - reach), "auc_high": min(1.0, auc + reach)}
    row["splits"] = len(splits)
    truth = np.eye(found.probability.shape[1])[y]
    row["brier"] = float(((found.probability - truth) ** 2).sum(axis=1).mean() / 2)
    if len(found.sensitivity):
        row |= {"sensitivity": float(found.sensitivity.mean()),
                "specificity": float(found.specificity.mean()),
                "threshold": "share of the second group in the training subjects"}  # fmt: skip
        slope, intercept = calibration_line(found.probability[:, 1], y)
        row |= {"calibration_slope": slope, "calibration_intercept": intercept}
    return row


def roc_band(found: Folds, y: np.ndarray, splits: list):
    """(false-positive rate, sensitivity, low, high) along `GRID`: mean over folds with pointwise
    intervals; nothing for more than two groups."""
    if not len(found.roc):
        return
    error, df = _corrected_error(found.roc, splits)
    reach = stats.t.ppf(0.975, df) * error
    mean = found.roc.mean(axis=0)
    low, high = np.clip(mean - reach, 0, 1), np.clip(mean + reach, 0, 1)
    yield from zip(*(v.tolist() for v in (GRID, mean, low, high)), strict=True)


def calibration(probability: np.ndarray, y: np.ndarray) -> list[dict]:
    """Predicted against observed share of the second of two groups, in bins of equal size."""
    if probability.shape[1] != 2:
        return []
    p = probability[:, 1]
    bins = np.array_split(np.argsort(p, kind="stable"), min(BINS, len(p)))
    return [{"bin": k + 1, "n": len(b), "predicted": float(p[b].mean()),
             "observed": float(y[b].mean())} for k, b in enumerate(bins)]  # fmt: skip


def calibration_line(p: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """(slope, intercept) of the outcome's log odds on the predicted ones; 1 and 0 are perfect."""
    logit = np.log(np.clip(p, 1e-6, 1 - 1e-6) / np.clip(1 - p, 1e-6, 1 - 1e-6))[:, None]
    line = LogisticRegression(C=np.inf, max_iter=1000).fit(logit, y)
    return float(line.coef_[0, 0]), float(line.intercept_[0])


def permutation_p(x: np.ndarray, y: np.ndarray, settings: dict) -> float | None:
    """P of the cross-validated AUC under shuffled groups, one repeat of the folds each time; None
    without permutations. Source: Ojala and Garriga 2010, JMLR 11."""
    count = settings["permutations"]
    if not count:
        return None
    rng = np.random.default_rng(settings["seed"])

    def score(labels):
        found = _predictions(x, labels, make_folds(labels, settings, 1), settings["regularisation"])
        return np.mean([_auc(labels[test], probability) for _, test, probability in found])

    seen = score(y)
    reached = sum(score(rng.permutation(y)) >= seen for _ in range(count))
    return (1 + int(reached)) / (1 + count)
