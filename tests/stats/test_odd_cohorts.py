"""Small and odd cohorts: every analysis answers, with numbers or with the reason for none."""

import numpy as np
import pandas as pd
import pytest

from glymph.stats import roc
from glymph.stats.comparison import compare, compare_all
from glymph.stats.correlation import alps_with_epvs, beyond_ratio, with_scores
from glymph.stats.counts import rates
from glymph.stats.demographics import table
from glymph.stats.discrimination import discriminate
from glymph.stats.longitudinal import mixed_models
from glymph.stats.mediation import mediate
from glymph.stats.regression import moderated, nested
from glymph.stats.sensitivity import sensitivity
from glymph.stats.tables import write
from tests.stats.conftest import SETTINGS, draw


def without_scores(frame):
    return frame.assign(mmse=np.nan, moca=np.nan)


def age_is_the_group(frame):
    return frame.assign(age=frame["group"].map({"AD": 60, "MCI": 70, "NC": 80}).astype(float))


COHORTS = {
    "two groups": draw({"AD": 8, "NC": 9}),
    "seven groups": draw({f"G{k}": 5 for k in range(7)}),
    "one group": draw({"AD": 9}),
    "a group of one": draw({"AD": 9, "MCI": 1, "NC": 9}),
    "groups of one": draw({"AD": 1, "MCI": 1, "NC": 1}),
    "two subjects": draw({"AD": 1, "NC": 1}),
    "constant covariates": draw({"AD": 8, "NC": 8}).assign(age=70, sex="F"),
    "a covariate is the group": age_is_the_group(draw({"AD": 6, "MCI": 6, "NC": 6})),
    "no scores": without_scores(draw({"AD": 8, "NC": 8})),
    "no covariates at all": draw({"AD": 8, "NC": 8}).assign(age=np.nan, sex=None, education=np.nan),
    "a group without covariates": draw({"AD": 6, "NC": 6}).assign(
        age=lambda f: f["age"].where(f["group"] == "NC")
    ),
    "a metric is a score": draw({"AD": 8, "NC": 8}).assign(alps_native_mean=lambda f: f["moca"]),
    "a group without values": draw({"AD": 6, "NC": 6}).assign(
        alps_native_mean=lambda f: f["alps_native_mean"].where(f["group"] == "AD")
    ),
    "all metrics missing": draw({"AD": 5, "NC": 5}).assign(
        alps_native_mean=np.nan, epvs_total_volume_mm3=np.nan, epvs_cso_volume_mm3=np.nan
    ),
    "two equal scores": draw({"AD": 8, "NC": 8}).assign(moca=lambda f: f["mmse"]),
}


@pytest.mark.parametrize("name", list(COHORTS))
@pytest.mark.filterwarnings("error")
def test_every_analysis_answers(make, tmp_path, name):
    found = COHORTS[name]
    found = found.assign(epvs_total_count=np.random.default_rng(1).negative_binomial(
        1, 0.15, len(found)))  # fmt: skip
    cohort, settings = make(found, metrics=[*SETTINGS["metrics"], "epvs_total_count"])
    frame, plan = cohort.frame, cohort.plan
    compared = compare_all(frame, plan, settings)
    described, tests = table(frame, plan, 0.05, 1)
    tables = {
        "comparison": compared["tests"], "pairs": compared["pairs"], "groups": compared["groups"],
        "demographics": described, "demographics_tests": tests,
        "correlations": with_scores(frame, plan, settings),
        "alps_beyond_ratio": beyond_ratio(frame, plan, settings),
        "alps_epvs": alps_with_epvs(frame, plan),
        "discrimination": discriminate(frame, plan, settings)["auc"],
        "sensitivity": sensitivity(frame, plan, settings),
        "longitudinal": mixed_models(cohort.everything, plan),
    }  # fmt: skip
    moderation, slopes = moderated(frame, plan)
    tables |= {
        "markers": roc.markers(frame, plan), "marker_differences": roc.differences(frame, plan),
        "regression": nested(frame, plan), "moderation": moderation, "simple_slopes": slopes,
        "mediation": mediate(frame, plan, settings), "counts": rates(frame, plan),
    }  # fmt: skip
    for kind, rows in tables.items():
        write(kind, rows, tmp_path / f"{kind}.tsv", {})  # knows every column
    for row in compared["tests"] + tests:
        assert row["test"] != "none" or row["reason"], row
    for row in [*tables["correlations"], *tables["alps_beyond_ratio"], *tables["alps_epvs"]]:
        assert np.isfinite(row.get("r", np.nan)) or row["reason"], row
    for kind, number in (("regression", "beta"), ("moderation", "p"), ("mediation", "beta"),
                         ("markers", "p"), ("counts", "rate_ratio")):  # fmt: skip
        for row in tables[kind]:
            assert np.isfinite(row.get(number, np.nan)) or row["reason"], row
            assert all(v is None or isinstance(v, str) or np.isfinite(v) for v in row.values()), row
    for row in tables["discrimination"]:
        assert np.isfinite(row.get("auc", np.nan)) or row["reason"], row
    assert {r["metric"] for r in compared["tests"]} == set(settings["metrics"])


def reason_of(make, name, metric):
    cohort, settings = make(COHORTS[name])
    (row,) = compare(cohort.frame, metric, cohort.plan, settings)["tests"]
    return row


@pytest.mark.parametrize(
    ("name", "metric", "reason"),
    [
        ("two groups", "epvs_cso_volume_mm3", "all values are equal"),
        ("one group", "alps_native_mean", "fewer than two groups have values"),
        ("groups of one", "alps_native_mean", "no group has a second subject"),
        ("a covariate is the group", "alps_native_mean",
         "no ANCOVA: a covariate cannot be told apart from the groups"),
        ("a group without covariates", "alps_native_mean",
         "no ANCOVA: no subject of group AD has all covariates"),
        ("a group without values", "alps_native_mean", "fewer than two groups have values"),
    ],
)  # fmt: skip
def test_the_reason_says_what_is_wrong(make, name, metric, reason):
    assert reason_of(make, name, metric)["reason"] == reason


def test_a_constant_covariate_changes_nothing_and_is_named(make):
    frame = draw({"AD": 12, "NC": 12})
    cohort, settings = make(frame, covariates=["age"])
    (plain,) = compare(cohort.frame, "alps_native_mean", cohort.plan, settings)["tests"]
    cohort, settings = make(frame.assign(education=12), covariates=["age", "education"])
    (row,) = compare(cohort.frame, "alps_native_mean", cohort.plan, settings)["tests"]
    assert row["ancova_f"] == plain["ancova_f"]
    assert row["note"] == "education is the same in all subjects and was left out"


def test_a_covariate_that_follows_from_others_is_named(make):
    frame = draw({"AD": 12, "NC": 12}).assign(education=lambda f: 2 * f["age"] - 3)
    wide = {"education": [0, 1000]}
    cohort, settings = make(frame, covariates=["age", "education"], ranges=wide)
    (row,) = compare(cohort.frame, "alps_native_mean", cohort.plan, settings)["tests"]
    assert "education follows from the other covariates" in row["note"]


def test_a_nested_site_keeps_what_it_adds(make):
    """Scanner x is sites a and b, scanner y is c: whichever comes first, both explain the same."""
    frame = draw({"AD": 30, "NC": 30})
    frame["site"] = ["a", "b", "c"] * 20
    frame["scanner"] = frame["site"].map({"a": "x", "b": "x", "c": "y"})
    rows = []
    for covariates in (["site", "scanner"], ["scanner", "site"]):
        cohort, settings = make(frame, covariates=covariates)
        rows += compare(cohort.frame, "alps_native_mean", cohort.plan, settings)["tests"]
    assert rows[0]["ancova_f"] == pytest.approx(rows[1]["ancova_f"], rel=1e-9)
    assert rows[0]["note"] == "scanner follows from the other covariates and was left out"
    assert rows[1]["note"].startswith("site follows partly")


def test_n_of_ancova_are_those_with_all_covariates(make):
    frame = draw({"AD": 15, "NC": 15})
    frame.loc[[0, 1, 20], "age"] = np.nan
    cohort, settings = make(frame, test="ancova")
    found = compare(cohort.frame, "alps_native_mean", cohort.plan, settings)
    assert (found["tests"][0]["n"], found["tests"][0]["missing"]) == (27, 3)
    (pair,) = found["pairs"]
    assert (pair["n1"], pair["n2"]) == (14, 13)  # controls first
    assert pair["df"] == found["tests"][0]["df2"]


def test_metrics_that_the_table_lacks_are_listed(make):
    cohort, settings = make(draw({"AD": 6, "NC": 6}), metrics=["alps_native_mean", "not_there"])
    rows = compare_all(cohort.frame, cohort.plan, settings)["tests"]
    assert rows[1] == {"metric": "not_there", "test": "none", "reason": "not in the table"}


def test_scale_and_shift_of_covariates_change_nothing(make):
    frame = draw({"AD": 15, "MCI": 8, "NC": 12})
    wild = frame.assign(age=frame["age"] * 1e6 + 1e9)
    rows = []
    for one in (frame, wild):
        cohort, settings = make(one, test="ancova", ranges={"age": [0, 1e12]})
        rows.append(compare(cohort.frame, "alps_native_mean", cohort.plan, settings))
    a, b = (r["tests"][0] for r in rows)
    assert a["ancova_f"] == pytest.approx(b["ancova_f"], rel=1e-6)
    for x, y in zip(rows[0]["groups"], rows[1]["groups"], strict=True):
        assert x["adjusted_mean"] == pytest.approx(y["adjusted_mean"], rel=1e-6)


def sessions(slope, seed=0):
    rng = np.random.default_rng(seed)
    first = draw({"AD": 14, "NC": 14}, seed=seed).assign(session_id="ses-1")
    found = [first]
    for k in (2, 3):
        later = first.assign(session_id=f"ses-{k}")
        fall = np.where(later["group"] == "AD", slope, 0.0) * (k - 1)
        noise = rng.normal(0, 0.02, len(later))
        found.append(later.assign(alps_native_mean=later["alps_native_mean"] + fall + noise))
    return pd.concat(found)


def test_the_mixed_model_finds_the_group_that_changes(make):
    cohort, _ = make(sessions(-0.2), metrics=["alps_native_mean"], covariates=["age"])
    rows = {r["term"]: r for r in mixed_models(cohort.everything, cohort.plan)}
    assert rows["session"]["estimate"] == pytest.approx(0, abs=0.02)  # of the controls
    assert rows["session x AD vs NC"]["estimate"] == pytest.approx(-0.2, abs=0.03)
    assert rows["session x group"]["p"] < 1e-6
    assert rows["session"]["n_subjects"] == 28
    assert rows["session"]["n_sessions"] == 84


def test_the_mixed_model_finds_nothing_where_nothing_changes(make):
    cohort, _ = make(sessions(0.0, seed=3), metrics=["alps_native_mean"], covariates=["age"])
    rows = {r["term"]: r for r in mixed_models(cohort.everything, cohort.plan)}
    assert rows["session x group"]["p"] > 0.01
