"""Single markers, regressions, moderation and mediation as R has them (reference/make_models.R)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from glymph.stats import counts, discrimination, mediation, power, regression, roc
from glymph.stats.analysed import Plan
from glymph.stats.comparison import compare
from glymph.stats.longitudinal import mixed_models
from tests.stats.conftest import draw

FOLDER = Path(__file__).parent / "reference"
EXPECTED = pd.read_csv(FOLDER / "models.tsv", sep="\t", index_col=False)
COVARIATES = {
    "ties": ["age", "sex"], "unbalanced": ["age", "sex", "site"],
    "missing": ["age", "sex", "site"],
}  # fmt: skip


def cohort(name):
    frame = pd.read_csv(FOLDER / f"{name}.csv")
    groups = sorted(frame["group"].unique())
    frame["group"] = pd.Categorical(frame["group"], groups, ordered=True)
    categorical = [c for c in COVARIATES[name] if c != "age"]
    return frame, Plan(groups, ["value"], ["score"], COVARIATES[name], categorical,
                       sets={"one": ["value"], "two": ["score"]},
                       moderators=["group", "age"])  # fmt: skip


def single(frame, plan):
    found = {}
    for row in roc.markers(frame, plan):
        k = row["contrast"].replace(" vs", "")
        found |= {f"{name} {k}": row[name] for name in ("auc", "auc_low", "auc_high", "cut",
                                                        "sensitivity", "specificity")}  # fmt: skip
        found[f"auc_z {k}"] = row["z"]
    for row in roc.differences(frame, plan):
        k = row["contrast"].replace(" vs", "")
        found |= {f"delong_z {k}": row["z"], f"delong_p {k}": row["p"]}
    return found


def linear(frame, plan):
    found = {}
    for row in regression.nested(frame, plan):
        names = {"beta": "beta", "beta_low": "beta_low", "p": "beta_p", "r2": "r2", "vif": "vif",
                 "cook_max": "cook_max", "influential": "influential",
                 "beta_without": "beta_without"}  # fmt: skip
        found |= {f"{r} {row['model']}": row[mine] for mine, r in names.items() if mine in row}
    tests, slopes = regression.moderated(frame, plan)
    for row in tests:
        found[f"{row['moderator']}_f"] = row["statistic"]
        if row["moderator"] == "group":
            found["group_p"] = row["p"]
    for row in slopes:
        start, level = "" if row["moderator"] == "group" else "age_", row["level"]
        found |= {f"{start}slope {level}": row["beta"],
                  f"{start}slope_low {level}": row["beta_low"]}  # fmt: skip
        if not start:
            found[f"slope_p {level}"] = row["p"]
    triple = {"mediation": [{"from": "age", "through": "value", "to": "score"}], "seed": 1}
    return found | {f"path {r['path']}": r["beta"] for r in mediation.mediate(frame, plan, triple)}


@pytest.mark.parametrize("name", list(COVARIATES))
def test_every_number_is_that_of_r(name):
    values = single(*cohort(name)) | linear(*cohort(name))
    expected = EXPECTED[EXPECTED["data"] == name].set_index("quantity")["value"]
    assert set(expected.index) == set(values)
    wrong = {k: (values[k], e) for k, e in expected.items()
             if not np.isclose(values[k], e, rtol=1e-6, atol=1e-9)}  # fmt: skip
    assert not wrong


def test_counts_are_those_of_r():
    frame = pd.read_csv(FOLDER / "counts.csv")
    frame["group"] = pd.Categorical(frame["group"], ["A", "B", "C"], ordered=True)
    plan = Plan(["A", "B", "C"], ["epvs_total_count"], [], ["age", "sex"], ["sex"])
    expected = EXPECTED[EXPECTED["data"] == "counts"].set_index("quantity")["value"]
    found = counts.rates(frame, plan)
    assert [row["group1"] for row in found] == ["B", "C"]
    for row in found:
        group = row["group1"]
        assert row["rate_ratio"] == pytest.approx(expected[f"rate_ratio {group}"], rel=1e-4)
        for name in ("t", "p"):
            assert row[name] == pytest.approx(expected[f"{name} {group}"], rel=1e-4)
        for name in ("dispersion", "p_groups", "zeros_expected"):
            assert row[name] == pytest.approx(expected[name], rel=1e-4)
        assert row["model"] == "negative binomial"
    part = frame.dropna()
    columns = [part["age"] - 70, part["sex"] == "M", part["group"] == "B", part["group"] == "C"]
    matrix = np.column_stack([np.ones(len(part)), *columns]).astype(float)
    even = np.floor(part["age"] / 10) + 3 * (part["group"] == "C")
    plain, dispersion = counts.fit_counts(even.to_numpy(float), matrix)
    assert dispersion == 0
    assert plain.params[-1] == pytest.approx(expected["poisson C"], rel=1e-5)
    even = np.full(len(part), 5.0) + np.arange(len(part)) % 2
    assert counts.fit_counts(even, matrix)[1] == 0


@pytest.mark.parametrize("size", [3, 8])
@pytest.mark.parametrize("dispersion", [1e-3, 0.4])
def test_counts_of_few_subjects_are_not_called_different(size, dispersion):
    """Tests by likelihood called 36 to 46 % of 3 x 3 subjects without any difference different."""
    rng, called = np.random.default_rng(1), []
    plan = Plan(["A", "B", "C"], ["epvs_total_count"], [], ["a", "b", "c", "d"], [])
    for _ in range(200):
        frame = pd.DataFrame(rng.standard_normal((3 * size, 4)), columns=plan.covariates)
        frame["group"] = np.repeat(plan.groups, size)
        mean = 18 * np.exp(0.1 * frame["a"])
        frame["epvs_total_count"] = rng.negative_binomial(
            1 / dispersion, 1 / (1 + dispersion * mean)
        )
        called.append(counts.rates(frame, plan)[0].get("p_groups", 1) < 0.05)
    assert np.mean(called) < 0.1


def test_change_over_sessions_is_that_of_r():
    """Errors to 0.3 %: those of statsmodels hold the uncertainty of the variances."""
    frame = pd.read_csv(FOLDER / "sessions.csv")
    frame["group"] = pd.Categorical(frame["group"], ["NC", "AD"], ordered=True)
    frame["session_number"] = frame.groupby("participant_id").cumcount().astype(float)
    plan = Plan(["NC", "AD"], ["value"], [], ["age", "sex"], ["sex"])
    found = {row["term"]: row for row in mixed_models(frame, plan, site="combat")}
    expected = EXPECTED[EXPECTED["data"] == "sessions"].set_index("quantity")["value"]
    assert len(expected) == 6
    for name, value in expected.items():
        row = found[name.removesuffix(" z")]
        if name.endswith(" z"):
            assert row["z"] == pytest.approx(value, rel=3e-3), name
        else:
            assert row["estimate"] == pytest.approx(value, rel=1e-3), name


def test_power_and_equivalence_are_those_of_r():
    expected = EXPECTED[EXPECTED["data"] == "power"].set_index("quantity")["value"]
    for n1, n2 in ((32, 24), (9, 41)):
        found = power.detectable(n1, n2, 0.05 / 3)
        assert found == pytest.approx(expected[f"detectable {n1} {n2}"], rel=1e-5)
    frame, plan = cohort("unbalanced")
    settings = {"test": "ancova", "alpha": 0.05, "equivalence": 0.5, "seed": 1}
    pairs = compare(frame, "value", plan, settings)["pairs"]
    assert len(pairs) == 3
    for row in pairs:
        pair = f"{row['group1']} {row['group2']}"
        assert row["equivalence_p"] == pytest.approx(expected[f"equivalence {pair}"], rel=1e-6)


def test_bootstrap_intervals_agree_with_pingouin():
    """It draws other resamples and corrects for bias. statsmodels' intervals are wider, as it adds
    noise of the mediator to every draw."""
    pingouin = pytest.importorskip("pingouin")
    frame, plan = cohort("unbalanced")
    triple = {"mediation": [{"from": "age", "through": "value", "to": "score"}], "seed": 1}
    plan = Plan(plan.groups, ["value"], ["score"], [], [])
    mine = mediation.mediate(frame, plan, triple)[-1]
    z = {c: (frame[c] - frame[c].mean()) / frame[c].std() for c in ("age", "value", "score")}
    table = pd.DataFrame(z)
    theirs = pingouin.mediation_analysis(table, "age", "value", "score", n_boot=5000, seed=2)
    theirs = theirs[theirs["path"] == "Indirect"].iloc[0]
    assert mine["beta"] == pytest.approx(theirs["coef"], rel=1e-6)
    low, high = (column for column in theirs.index if column.startswith(("CI2.5", "CI97.5")))
    width = mine["beta_high"] - mine["beta_low"]
    assert abs(mine["beta_low"] - theirs[low]) < 0.12 * width
    assert abs(mine["beta_high"] - theirs[high]) < 0.12 * width


def test_the_bootstrap_is_that_of_a_fit_to_every_resample():
    rng = np.random.default_rng(0)
    x, m, y = rng.normal(size=(3, 20))
    with_x = np.column_stack([np.ones(20), x])
    drawn = mediation.bootstrap(with_x, m, y, seed=4)
    counts = np.random.default_rng(4).multinomial(20, np.full(20, 1 / 20), size=3)
    for k, count in enumerate(counts):
        rows = np.repeat(np.arange(20), count)
        a = np.linalg.lstsq(with_x[rows], m[rows], rcond=None)[0][-1]
        b = np.linalg.lstsq(np.column_stack([with_x, m])[rows], y[rows], rcond=None)[0][-1]
        assert drawn[k] == pytest.approx(a * b, rel=1e-8)


def test_areas_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    y, p = rng.integers(0, 3, 60), rng.dirichlet(np.ones(3), 60).round(2)
    p /= p.sum(axis=1, keepdims=True)
    assert discrimination._auc(y, p) == pytest.approx(roc_auc_score(y, p, multi_class="ovo"))
    two = p[y < 2][:, :2]
    assert discrimination._auc(y[y < 2], two) == pytest.approx(roc_auc_score(y[y < 2], two[:, 1]))


def null(seed):
    """A cohort in which nothing has to do with anything but education with the mediator."""
    rng = np.random.default_rng(seed)
    frame = draw({"NC": 24, "AD": 20}, seed=seed, shift=0.0)
    frame["group"] = pd.Categorical(frame["group"], ["NC", "AD"], ordered=True)
    frame["mmse"] = rng.normal(size=44)
    frame["alps_native_mean"] = rng.normal(size=44) + 0.2 * frame["education"]
    frame["education"] = frame["education"].astype(float)
    return frame, Plan(["NC", "AD"], ["alps_native_mean"], ["mmse"], ["age"], [],
                       moderators=["group"])  # fmt: skip


def test_where_nothing_is_there_few_are_called_significant(monkeypatch):
    """1,000 cohorts each; the share below 0.05 lies in 0.035 to 0.065."""
    monkeypatch.setattr(mediation, "RESAMPLES", 500)
    triple = {
        "mediation": [{"from": "education", "through": "alps_native_mean", "to": "mmse"}],
        "seed": 1,
    }
    found = []
    for seed in range(1000):
        frame, plan = null(seed)
        marker = roc._marker(*(frame.loc[frame["group"] == g, "age"].to_numpy()
                               for g in plan.groups))["p"]  # fmt: skip
        models = regression.nested(frame, plan)[0]["p"]
        interaction = regression.moderated(frame, plan)[0][0]["p"]
        indirect = mediation.mediate(frame, plan, triple)[-1]["p"]
        drawn = np.random.default_rng(seed).negative_binomial(2, 0.1, len(frame))
        plan = replace(plan, metrics=["epvs_total_count"])
        row = counts.rates(frame.assign(epvs_total_count=drawn), plan)[0]
        found.append([marker, models, interaction, indirect, row["p_groups"]])
    shares = dict(zip(("DeLong", "model", "interaction", "mediation", "counts"),
                      (np.array(found) < 0.05).mean(axis=0), strict=True))  # fmt: skip
    print(shares)
    assert all(0.035 <= share <= 0.065 for share in shares.values()), shares
