"""Discrimination: never on training data, centred on chance without a difference."""

import numpy as np
import pandas as pd
import pytest

from glymph.stats.comparison import compare
from glymph.stats.discrimination import (
    calibration_line,
    corrected,
    cross_validate,
    discriminate,
    make_folds,
    roc_band,
)
from tests.stats.conftest import SETTINGS, draw

PLAIN = {"folds": 5, "seed": 1}


def test_groups_apart_are_told_apart_and_the_useless_set_is_not(make):
    cohort, settings = make(draw({"AD": 30, "NC": 30}, shift=0.5), permutations=19)
    found = discriminate(cohort.frame, cohort.plan, settings)
    auc = {r["features"]: r for r in found["auc"]}
    assert set(auc) == {"ALPS", "EPVS", "both", "demographics"}
    assert auc["ALPS"]["auc"] > 0.9
    assert auc["ALPS"]["p_permutation"] == pytest.approx(0.05)
    assert auc["EPVS"]["auc_low"] < 0.5 < auc["EPVS"]["auc_high"] + 0.15
    difference = next(r for r in found["differences"] if r["features2"] == "EPVS")
    assert difference["difference"] > 0.2
    assert difference["p"] < 0.05
    curve = pd.DataFrame(found["roc"]).query("features == 'ALPS'")
    assert curve["tpr"].is_monotonic_increasing
    assert (curve["tpr_low"] <= curve["tpr"] + 1e-12).all()
    assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(auc["ALPS"]["auc"], abs=0.02)


def test_without_a_difference_the_auc_is_centred_on_one_half():
    scores = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        y = np.repeat([0, 1], [24, 36])
        splits = make_folds(y, PLAIN, 1)
        scores.append(cross_validate(rng.standard_normal((60, 3)), y, splits, 1.0).auc.mean())
    error = np.std(scores) / np.sqrt(len(scores))
    assert abs(np.mean(scores) - 0.5) < 3 * error
    assert error < 0.01


def test_a_test_subject_never_trains():
    """A feature that is the subject's own number would be learned by heart."""
    y = np.repeat([0, 1], 20)
    splits = make_folds(y, PLAIN, 3)
    for train, test in splits:
        assert not set(train) & set(test)
    x = np.eye(40)  # every subject has a column of their own
    assert cross_validate(x, y, splits, 1e6).auc.mean() == pytest.approx(0.5, abs=1e-9)


def test_small_groups_get_fewer_folds():
    y = np.repeat([0, 1], [4, 30])
    splits = make_folds(y, PLAIN, 1)
    assert len(splits) == 2
    assert all(y[test].min() == 0 for _, test in splits)


def test_the_corrected_test_is_wider_than_the_naive_one():
    y = np.repeat([0, 1], 25)
    splits = make_folds(y, PLAIN, 4)
    values = np.random.default_rng(1).normal(0.02, 0.05, len(splits))
    row = corrected(values, y, splits)
    naive = values.std(ddof=1) / np.sqrt(len(values))
    assert (row["high"] - row["low"]) / 2 > 2 * naive
    # 10.1023/A:1024068626366: variance times (1 / J + n_test / n_train)
    assert row["t"] == pytest.approx(values.mean() / (values.std(ddof=1) * np.sqrt(1 / 20 + 0.25)))


def test_calibration_of_true_probabilities_is_the_diagonal():
    rng = np.random.default_rng(2)
    p = rng.uniform(0.05, 0.95, 20000)
    slope, intercept = calibration_line(p, (rng.random(20000) < p).astype(int))
    assert slope == pytest.approx(1, abs=0.05)
    assert intercept == pytest.approx(0, abs=0.05)


def test_three_groups_have_an_auc_but_no_curve(make):
    cohort, settings = make(draw({"AD": 12, "MCI": 12, "NC": 12}, shift=0.4))
    found = discriminate(cohort.frame, cohort.plan, settings)
    rows = [r for r in found["auc"] if r["contrast"] == "NC vs MCI vs AD"]
    assert {r["features"] for r in rows} == {"ALPS", "EPVS", "both", "demographics"}
    assert rows[0]["auc"] > 0.8
    assert not any(r["contrast"].count(" vs ") > 1 for r in found["roc"])


def test_same_seed_same_numbers(make):
    cohort, settings = make(draw({"AD": 12, "NC": 12}))
    first, again = (discriminate(cohort.frame, cohort.plan, settings) for _ in range(2))
    assert first == again


def test_bands_of_three_groups_are_empty():
    y = np.repeat([0, 1, 2], 10)
    splits = make_folds(y, PLAIN, 1)
    found = cross_validate(np.random.default_rng(1).standard_normal((30, 2)), y, splits, 1.0)
    assert list(roc_band(found, y, splits)) == []


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_the_rule_is_wrong_in_one_of_twenty_null_cohorts(make, shape):
    """1,000 cohorts of the study's sizes without a difference, with covariates that matter."""
    cohort, settings = make(draw({"AD": 89, "MCI": 24, "NC": 32}))
    rng = np.random.default_rng(7)
    frame, plan, wrong, ancova = cohort.frame, cohort.plan, 0, 0
    for _ in range(1000):
        noise = rng.standard_normal(145)
        value = 0.02 * frame["age"] + (noise if shape == "normal" else np.exp(noise))
        (row,) = compare(frame.assign(value=value), "value", plan, SETTINGS)["tests"]
        wrong += row["p"] < 0.05
        ancova += row["test"] == "ANCOVA"
    print(f"{shape}: {wrong} of 1,000 below 0.05, {ancova} by ANCOVA")
    assert 35 <= wrong <= 65
    assert ancova > 900 if shape == "normal" else ancova < 10
