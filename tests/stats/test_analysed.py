"""Who is analysed: nobody is lost without a reason, no session counts as another subject."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from glymph.common.errors import BadInput
from glymph.stats.analysed import (
    alps_versions,
    by_severity,
    ratio_of,
    read,
    reload,
    same_rows,
    select,
    settle,
    without_rejected,
)
from glymph.stats.comparison import compare_all
from glymph.stats.correlation import beyond_ratio
from glymph.stats.discrimination import all_sets
from glymph.stats.harmonise import combat
from glymph.stats.longitudinal import mixed_models
from glymph.stats.mediation import mediate
from glymph.stats.tables import write
from tests.stats.conftest import SETTINGS, draw


def everyone(cohort):
    return len(cohort.frame) + len(cohort.left_out)


def test_groups_come_in_the_configured_order(make):
    cohort, _ = make(draw({"AD": 5, "MCI": 5, "NC": 5}), groups=["NC", "AD"])
    assert cohort.plan.groups == ["NC", "AD"]
    assert set(cohort.frame["group"]) == {"NC", "AD"}
    assert [r["reason"] for r in cohort.left_out] == [
        "a group that is not analysed (stats.groups)"
    ] * 5


def test_everyone_is_analysed_or_listed_with_a_reason(make):
    frame = draw({"AD": 6, "NC": 6})
    frame.loc[2, "group"] = None
    frame["session_id"] = "ses-1"
    again = frame.iloc[[7, 8]].assign(session_id="ses-2")
    cohort, _ = make(pd.concat([frame, again]), exclude=["sub-AD000", "sub-AD001_ses-1"])
    assert everyone(cohort) == 14
    assert {r["participant_id"]: r["reason"].split(" (")[0] for r in cohort.left_out} == {
        "sub-AD000": "listed under exclude of the configuration",
        "sub-AD001": "listed under exclude of the configuration",
        "sub-AD002": "no group in the table",
        "sub-NC001": "not the session that is analysed",
        "sub-NC002": "not the session that is analysed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "kept"), [("first", "ses-1"), ("last", "ses-2"), ("ses-2", "ses-2")]
)
def test_one_session_of_a_subject_is_analysed_all_are_kept_for_the_mixed_model(make, rule, kept):
    frame = draw({"AD": 4, "NC": 4}).assign(session_id="ses-1")
    both = pd.concat([frame.assign(session_id="ses-2"), frame])
    cohort, _ = make(both, session=rule)
    assert len(cohort.frame) == 8
    assert set(cohort.frame["session_id"]) == {kept}
    assert len(cohort.everything) == 16
    assert any("several sessions" in note for note in cohort.notes)


def test_a_label_takes_that_session_alone(make):
    frame = draw({"AD": 4, "NC": 4}).assign(session_id="ses-1")
    again = frame.iloc[[0, 5]].assign(session_id="ses-2")
    cohort, _ = make(pd.concat([frame, again]), session="ses-2")
    assert set(cohort.frame["participant_id"]) == {"sub-AD000", "sub-NC001"}
    assert everyone(cohort) == 10


def test_sessions_sort_as_numbers(make):
    frame = draw({"AD": 3, "NC": 3}).assign(session_id="ses-10")
    cohort, _ = make(pd.concat([frame, frame.assign(session_id="ses-2")]))
    assert set(cohort.frame["session_id"]) == {"ses-2"}


def test_spaces_in_group_names_lose_nobody(make, tmp_path):
    frame = draw({"AD": 4, "NC": 4})
    frame["group"] = frame["group"].replace({"AD": " early\u00a0 AD "})
    cohort, _ = make(frame)
    write("analysed", cohort.frame.to_dict("records"), tmp_path / "analysed.tsv", {})
    again, _ = reload(tmp_path / "analysed.tsv", vars(cohort.plan))
    assert again["group"].value_counts().to_dict() == {"early AD": 4, "NC": 4}


def test_a_covariate_without_values_is_left_out_and_named(make):
    cohort, _ = make(draw({"AD": 4, "NC": 4}).assign(education=np.nan))
    assert cohort.plan.covariates == ["age", "sex"]
    assert "education is not in the table or has no values, and was left out" in cohort.notes


def test_a_stray_word_does_not_make_categories_of_ages(make):
    frame = draw({"AD": 8, "NC": 8}).astype({"age": object})
    frame.loc[0, "age"] = "unknown"
    frame.loc[1, "age"] = "NA"
    cohort, _ = make(frame)
    assert cohort.plan.categorical == ["sex"]
    assert cohort.frame["age"].isna().sum() == 2
    assert "sub-AD000: age is 'unknown', not a number; taken as missing" in cohort.notes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": ["CN", "AD"]}, r"nobody belongs to group CN \(the table has: AD, NC\)"),
        ({"exclude": ["sub-AD000", "sub-AD001", "sub-NC000", "sub-NC001"]}, "nobody can be"),
    ],
)
def test_what_leaves_nobody_is_refused(make, changes, message):
    with pytest.raises(BadInput, match=message):
        make(draw({"AD": 2, "NC": 2}), **changes)


def test_a_metric_that_is_named_twice_is_analysed_once(make):
    metrics = ["alps_native_mean", "alps_native_mean"]
    cohort, _ = make(draw({"AD": 4, "NC": 4}), metrics=metrics)
    assert cohort.plan.metrics == ["alps_native_mean"]


def test_a_configured_column_goes_before_one_of_the_same_name(make):
    frame = draw({"AD": 4, "NC": 4})
    frame["dx"], frame["group"] = frame["group"], "arm 1"
    cohort, _ = make(frame, columns={"group": "dx"})
    assert cohort.plan.groups == ["NC", "AD"]


def test_entries_that_are_no_numbers_are_missing_and_named(make):
    frame = draw({"AD": 4, "NC": 4}).astype(object)
    frame.loc[0, "alps_native_mean"] = "bad"
    frame.loc[1, "alps_native_mean"] = np.inf
    cohort, _ = make(frame)
    assert cohort.frame["alps_native_mean"].isna().tolist() == [True, True] + [False] * 6
    assert "alps_native_mean: 'bad' is not a number and counts as missing" in cohort.notes


def test_a_table_made_elsewhere_may_name_its_columns_otherwise(make, tmp_path):
    frame = draw({"AD": 4, "NC": 4}).rename(columns={"group": "dx", "age": "years"})
    cohort, _ = make(frame, columns={"group": "dx", "age": "years", "sex": "sex"})
    assert cohort.plan.groups == ["NC", "AD"]
    assert "age" in cohort.plan.covariates


def test_text_covariates_are_categories(make):
    frame = draw({"AD": 6, "NC": 6})
    frame["site"] = ["a", "b"] * 6
    cohort, _ = make(frame, site="covariate")
    assert cohort.plan.categorical == ["sex", "site"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("subject\tgroup\nsub-1\tA\n", "no column participant_id"),
        ("participant_id\tgroup\nsub-1\tA\nsub-1\tB\n", "sub-1 is in the table twice"),
        ("", "cannot be read"),
    ],
)
def test_wrong_tables_are_refused_with_a_cure(tmp_path, content, message):
    path = tmp_path / "table.tsv"
    path.write_text(content)
    with pytest.raises(BadInput, match=message):
        read(path, {})


def test_what_is_written_is_read_again(make, tmp_path):
    frame = draw({"AD": 4, "NC": 4})
    frame["flags"] = [None, "x"] * 4
    cohort, _ = make(frame)
    write("analysed", cohort.frame.to_dict("records"), tmp_path / "analysed.tsv", {})
    again, plan = reload(tmp_path / "analysed.tsv", vars(cohort.plan))
    assert plan == cohort.plan
    pd.testing.assert_series_equal(again["group"], cohort.frame["group"])
    assert again["flags"].isna().tolist() == [True, False] * 4
    np.testing.assert_allclose(again["age"], cohort.frame["age"], rtol=1e-6)


def test_unknown_columns_never_reach_a_table(tmp_path):
    with pytest.raises(KeyError, match="surprise"):
        write("pairs", [{"metric": "m", "surprise": 1}], tmp_path / "pairs.tsv", {})


def test_combat_takes_the_site_out_and_leaves_the_group_in(make):
    frame = draw({"AD": 40, "NC": 40}, shift=-0.3)
    frame["site"] = ["a", "b"] * 40
    shifted = frame["site"] == "b"
    frame.loc[shifted, "alps_native_mean"] += 0.5
    frame.loc[shifted, "epvs_total_volume_mm3"] += 400
    cohort, _ = make(frame, site="combat")
    harmonised, notes = combat(cohort.frame, cohort.plan)
    assert "harmonised" in notes[0]
    of_site = harmonised.groupby("site")["alps_native_mean"].mean()
    assert abs(of_site["a"] - of_site["b"]) < 0.05
    of_group = harmonised.groupby("group", observed=True)["alps_native_mean"].mean()
    assert of_group["NC"] - of_group["AD"] == pytest.approx(0.3, abs=0.1)


def test_discrimination_sees_what_was_measured(make, tmp_path):
    """Harmonising uses all subjects and their groups: its values may not enter the folds."""
    frame = draw({"AD": 12, "NC": 12})
    frame["site"] = ["a", "b"] * 12
    again = frame.assign(session_id="ses-2")
    cohort, _ = make(pd.concat([frame.assign(session_id="ses-1"), again]), site="combat")
    harmonised, _ = combat(cohort.frame, cohort.plan)
    found = same_rows(cohort.everything, harmonised)
    assert len(found) == 24
    assert set(found["session_id"]) == {"ses-1"}
    np.testing.assert_allclose(found["alps_native_mean"], frame["alps_native_mean"], rtol=1e-12)


def test_combat_refuses_sites_that_are_groups(make):
    frame = draw({"AD": 12, "NC": 12})
    frame["site"] = frame["group"].map({"AD": "a", "NC": "b"})
    cohort, _ = make(frame, site="combat")
    _, notes = combat(cohort.frame, cohort.plan)
    assert notes == ["no ComBat: the sites cannot be told apart from groups and covariates"]


def test_combat_says_why_it_cannot(make):
    frame = draw({"AD": 4, "NC": 4})
    frame["site"] = ["a"] * 8
    cohort, _ = make(frame, site="combat")
    same, notes = combat(cohort.frame, cohort.plan)
    assert same is cohort.frame
    assert "no ComBat" in notes[0]


def test_combat_names_whom_it_could_not_harmonise_and_for_want_of_what(make):
    frame = draw({"AD": 12, "NC": 12})
    frame["site"] = ["a", "b"] * 12
    frame.loc[:11, "alps_native_mean"] = np.nan
    cohort, _ = make(frame, site="combat")
    harmonised, notes = combat(cohort.frame, cohort.plan)
    assert harmonised["epvs_total_volume_mm3"].isna().sum() == 12
    assert "12 subjects could not be harmonised" in notes[1] and "sub-AD009 ..." in notes[1]
    assert "lacking most often: alps_native_mean (12)" in notes[1]


def test_rejected_items_leave_and_change_nothing_else():
    frame = pd.DataFrame(
        {"participant_id": ["sub-1", "sub-2", "sub-3"], "session_id": [None, None, "ses-a"],
         "group": "A", "age": ["60", "61", "62"], "alps_native_mean": ["1.1", "1.2", "1.3"],
         "epvs_bg_count": ["4", "5", "6"]}
    )  # fmt: skip
    entry = {"item": "epvs", "leaves": "epvs", "raters": "AB", "reason": "lesions"}
    rejected = [entry | {"participant_id": "sub-2", "session_id": None},
                entry | {"participant_id": "sub-3", "session_id": None},
                entry | {"participant_id": "sub-9", "session_id": None}]  # fmt: skip
    found, reasons = without_rejected(frame, rejected)
    assert reasons == {1: ["epvs rejected by AB: lesions"]}, "sub-3 has another session"
    assert found["epvs_bg_count"].isna().tolist() == [False, True, False]
    assert found.drop(columns="epvs_bg_count").equals(frame.drop(columns="epvs_bg_count"))
    assert frame["epvs_bg_count"].tolist() == ["4", "5", "6"]


def test_rejected_items_leave_a_table_that_names_people_without_prefixes():
    frame = pd.DataFrame(
        {"participant_id": ["01", "02", "sub-03"], "session_id": [None, "a", "b"],
         "epvs_bg_count": ["4", "5", "6"]}
    )  # fmt: skip
    entry = {"item": "epvs", "leaves": "epvs", "raters": "AB", "reason": None}
    rejected = [entry | {"participant_id": "sub-01", "session_id": None},
                entry | {"participant_id": "sub-02", "session_id": "ses-a"}]  # fmt: skip
    found, reasons = without_rejected(frame, rejected)
    assert found["epvs_bg_count"].isna().tolist() == [True, True, False]
    assert list(reasons) == [0, 1]


def test_who_has_nothing_left_is_not_analysed_and_listed():
    frame = pd.DataFrame(
        {"participant_id": ["sub-1", "sub-2", "sub-3"], "session_id": None, "group": "A",
         "alps_native_mean": ["1.1", "1.2", "1.3"], "epvs_bg_count": ["4", "5", "6"]}
    )  # fmt: skip
    entry = {"session_id": None, "raters": "AB", "reason": None}
    rejected = [entry | {"participant_id": "sub-1", "item": "brain", "leaves": "anat,epvs,alps"},
                entry | {"participant_id": "sub-2", "item": "epvs", "leaves": "epvs"}]  # fmt: skip
    frame, reasons = without_rejected(frame, rejected)
    wanted = SETTINGS | {"metrics": ["alps_native_mean", "epvs_bg_count"]}
    cohort = select(frame, settle(frame, wanted, []), wanted, {}, reasons)
    assert cohort.frame["participant_id"].tolist() == ["sub-2", "sub-3"]
    said = {row["participant_id"]: row["reason"] for row in cohort.left_out}
    assert said == {"sub-1": "brain rejected by AB", "sub-2":
                    "epvs rejected by AB (the other metrics are analysed)"}  # fmt: skip


@pytest.mark.parametrize("source", ["ratio", "direction"])
def test_what_alps_says_beyond_the_eigenvalue_ratio(make, source):
    """A score that follows the ratio alone leaves ALPS nothing; one that follows direction does.

    The second correlation equals pingouin's, with the ratio among the covariates.
    """
    rng = np.random.default_rng(4)
    frame = draw({"AD": 60, "NC": 60}, shift=0)
    ratio, direction = rng.normal(1.5, 0.2, 120), rng.normal(0, 0.1, 120)
    frame["alps_l2_l3_mean"], frame["alps_native_mean"] = ratio, ratio + direction
    true = ratio if source == "ratio" else 2 * direction
    frame["moca"] = 15 + 4 * (true - true.mean()) + rng.normal(0, 0.2, 120)
    cohort, settings = make(frame, metrics=["alps_native_mean", "epvs_total_volume_mm3"])
    assert "alps_l2_l3_mean" in cohort.frame
    rows = beyond_ratio(cohort.frame, cohort.plan, settings)
    assert {row["x"] for row in rows} == {"alps_native_mean"}
    whole = {row["given"]: row for row in rows if (row["group"], row["y"]) == ("all", "moca")}
    plain, beyond = whole["covariates"], whole["covariates and ratio"]
    assert plain["p"] < 0.001 and plain["n"] == beyond["n"]
    assert (beyond["p"] < 0.001) == (source == "direction")
    pingouin = pytest.importorskip("pingouin")
    numeric = cohort.frame.assign(sex=(cohort.frame["sex"] == "M").astype(float))
    theirs = pingouin.partial_corr(
        numeric, "alps_native_mean", "moca", ["age", "sex", "education", "alps_l2_l3_mean"]
    )
    assert beyond["r"] == pytest.approx(float(theirs["r"].iloc[0]), abs=1e-10)


def test_a_table_without_ratios_has_nothing_to_say_of_them(make):
    cohort, settings = make(draw({"AD": 8, "NC": 8}))
    assert beyond_ratio(cohort.frame, cohort.plan, settings) == []


def test_alps_in_its_other_versions():
    found = alps_versions("alps_adaptive_template_left")
    assert found[0] == "alps_adaptive_native_left" and "alps_adaptive_ld_left" in found
    assert found[-1] == "alps_template_left"
    assert alps_versions("alps_native_mean")[-1] == "alps_adaptive_native_mean"
    assert alps_versions("epvs_bg_count") == ["epvs_bg_count"]
    assert ratio_of("alps_pas_left") == "alps_l2_l3_left"
    assert ratio_of("alps_adaptive_pas_mean") == "alps_adaptive_l2_l3_mean"
    assert ratio_of("alps_native_asymmetry") is ratio_of("epvs_bg_count") is None


def groups_of(names, mmse=None):
    frame = pd.DataFrame({"group": names} | ({"mmse": mmse} if mmse else {}))
    return by_severity(sorted(set(names)), frame)


@pytest.mark.parametrize(
    "names, mmse, expected, basis",
    [
        (["AD", "aMCI", "NC"], None, ["NC", "aMCI", "AD"], "by their names"),
        (["Dementia", "SCD", "CN", "LMCI", "EMCI"], None,
         ["CN", "SCD", "EMCI", "LMCI", "Dementia"], "by their names"),
        (["svMCI", "Healthy Controls", "VaD"], ["22", "29", "18"],
         ["Healthy Controls", "svMCI", "VaD"], "controls first, the others by mean MMSE"),
        (["x", "y"], ["20", "30"], ["y", "x"], "by mean MMSE"),
        (["x", "y"], ["20", None], ["x", "y"], "by the alphabet"),
        (["PD", "HC"], None, ["HC", "PD"], "controls first, the others by the alphabet"),
    ],
)  # fmt: skip
def test_groups_are_in_order_from_healthy_to_ill_and_it_is_said_how(names, mmse, expected, basis):
    found, how = groups_of(names, mmse)
    assert found == expected
    assert how.startswith(basis)


def test_a_set_of_features_takes_what_the_table_has_of_its_kind(make):
    frame = draw({"AD": 4, "NC": 4}).rename(columns={"epvs_total_volume_mm3": "epvs_bg_count"})
    frame = frame.drop(columns=["epvs_cso_volume_mm3", "alps_template_mean"])
    wished = {"ALPS": ["alps_pas_left", "alps_pas_right"], "EPVS": ["epvs_cso_volume_mm3"],
              "lesions": ["wmh_volume_mm3"]}  # fmt: skip
    cohort, _ = make(frame, features=wished)
    assert cohort.plan.sets == {"ALPS": ["alps_native_mean"], "EPVS": ["epvs_bg_count"],
                                "lesions": []}  # fmt: skip
    said = " ".join(cohort.notes)
    assert "features EPVS are epvs_bg_count: the table has no epvs_cso_volume_mm3" in said
    assert "features lesions could not be used: the table has no wmh_volume_mm3" in said
    assert set(all_sets(cohort.frame, cohort.plan)) == {"ALPS", "EPVS", "both", "demographics"}


def test_a_set_takes_nothing_that_few_have_and_never_one_side_of_alps(make):
    frame = draw({"AD": 6, "NC": 6}).drop(columns=["epvs_cso_volume_mm3", "alps_template_mean"])
    frame.loc[3:, "epvs_total_volume_mm3"] = np.nan
    frame["alps_template_left"] = frame["alps_native_mean"]
    cohort, _ = make(frame, features={"ALPS": ["alps_pas_left"], "EPVS": ["epvs_bg_count"]})
    assert cohort.plan.sets == {"ALPS": ["alps_native_mean"], "EPVS": []}


def test_what_mediation_names_is_carried_and_is_no_metric(make):
    """A marker of another laboratory: who has nothing else is not analysed for it."""
    frame = draw({"AD": 8, "NC": 8}).assign(ptau=lambda f: f["age"] / 10)
    frame.loc[0, ["alps_native_mean", "epvs_total_volume_mm3", "epvs_cso_volume_mm3",
                  "alps_template_mean"]] = np.nan  # fmt: skip
    triple = {"from": "ptau", "through": "alps_native_mean", "to": "mmse"}
    cohort, settings = make(frame, mediation=[triple], covariates=[])
    assert cohort.plan.others == ["ptau"]
    assert "ptau" not in cohort.plan.also
    assert [row["reason"] for row in cohort.left_out] == ["no metric"]
    rows = mediate(cohort.frame, cohort.plan, settings)
    assert [row["path"] for row in rows] == ["a", "b", "total", "direct", "indirect"]
    (absent,) = mediate(cohort.frame, cohort.plan, settings | {
        "mediation": [triple | {"from": "nothing"}]})  # fmt: skip
    assert absent["reason"] == "the table has no nothing"
    (words,) = mediate(cohort.frame, cohort.plan, settings | {
        "mediation": [triple | {"from": "sex"}]})  # fmt: skip
    assert words["reason"] == "sex is a category, and numbers are needed"


@pytest.mark.parametrize("case", [str.lower, str.title, str.upper])
def test_names_of_the_configuration_hold_in_any_case(make, case):
    frame = draw({"AD": 8, "NC": 8})
    frame["sex"] = [1, 2] * 8
    frame["mmse"] = frame["mmse"].astype(float)
    frame.loc[[0, 1, 2], "mmse"] = [-9, 99, 12]
    frame.loc[0, "age"] = 999
    cohort, _ = make(
        frame, scores=[case("mmse")], covariates=[case("age"), case("sex")],
        categorical=[case("sex")], moderators=[case("group"), case("sex")],
        metrics=["alps_native_mean"], features={}, mediation=[],
    )  # fmt: skip
    plan = cohort.plan
    assert (plan.scores, plan.covariates) == (["mmse"], ["age", "sex"])
    assert (plan.categorical, plan.moderators) == (["sex"], ["group", "sex"])
    assert cohort.frame["mmse"].isna().sum() == 2 and cohort.frame["age"].isna().sum() == 1
    said = " ".join(cohort.notes)
    assert "mmse is -9" in said and "age is 999" in said and "not in the table" not in said


def test_a_column_of_ones_own_is_found_in_any_case(make):
    frame = draw({"AD": 8, "NC": 8}).assign(Apoe=[33, 34] * 8)
    cohort, _ = make(frame, covariates=["apoe"], categorical=["APOE"])
    assert cohort.plan.covariates == cohort.plan.categorical[:1] == ["Apoe"]
    assert "apoe is taken as the table's column Apoe" in cohort.notes
    cohort, _ = make(frame, covariates=["age"], categorical=["apoee"])
    assert "stats.categorical names apoee, and no covariate or moderator is called so" in (
        cohort.notes
    )


def test_sites_that_are_numbers_are_categories_whatever_else_is_configured(make):
    frame = draw({"AD": 8, "NC": 8}).assign(site=[1, 2, 3, 1] * 4)
    cohort, _ = make(frame, site="covariate", categorical=["sex"])
    assert "site" in cohort.plan.covariates and "site" in cohort.plan.categorical
    assert not any("holds words" in note for note in cohort.notes)


Z_SCORES = stats.norm.ppf(np.linspace(0.03, 0.97, 16))


@pytest.mark.parametrize(
    ("values", "code", "missing"),
    [
        (np.linspace(1.2, 1.7, 16), 999, True),
        (np.linspace(1.2, 1.7, 16), -9, True),
        (np.linspace(1.2, 1.7, 16), 9.99, True),
        (np.linspace(1.2, 1.7, 16), 2.4, False),  # far off, and no such number
        (np.linspace(18, 42, 16), 99, True),
        (np.linspace(18, 42, 16), -1, False),
        (np.linspace(40, 97, 16), 99, False),  # a score of at most 100
        (Z_SCORES, -1, False),
        (Z_SCORES, -9, True),
        (Z_SCORES, -99, True),
        (np.array([0.0] * 12 + [0.5, 4, 10, 18]), 99, True),
        (np.linspace(300, 1200, 16), 999, False),
    ],
)
def test_codes_for_missing_in_columns_of_ones_own(make, values, code, missing):
    frame = draw({"AD": 9, "NC": 8}).assign(mine=[*values, code])
    cohort, _ = make(frame, covariates=["mine"], metrics=["alps_native_mean"])
    assert cohort.frame["mine"].isna().sum() == missing
    assert any("mine is" in note for note in cohort.notes) == missing


def test_an_alps_index_of_nought_is_missing_and_a_count_of_99_is_none(make):
    frame = draw({"AD": 8, "NC": 8})
    frame.loc[0, "alps_native_mean"] = 0
    frame["epvs_bg_count"] = [99, *range(15)]
    cohort, _ = make(frame, metrics=["alps_native_mean", "epvs_bg_count"])
    assert cohort.frame["alps_native_mean"].isna().sum() == 1
    assert cohort.frame["epvs_bg_count"].max() == 99


def test_one_sex_written_two_ways_is_one(make):
    frame = draw({"AD": 8, "NC": 8})
    frame["sex"] = ["M", "F", "male", "Female", "m", "F", "M", "F"] * 2
    cohort, _ = make(frame)
    assert set(cohort.frame["sex"]) == {"M", "F"}
    said = " ".join(cohort.notes)
    assert "sex: M, m, male are taken as M" in said and "Female" in said


def test_an_infinite_value_is_named(make):
    frame = draw({"AD": 8, "NC": 8})
    frame["alps_native_mean"] = frame["alps_native_mean"].astype(object)
    frame.loc[0, "alps_native_mean"] = "inf"
    cohort, _ = make(frame)
    assert cohort.frame["alps_native_mean"].isna().sum() == 1
    assert "alps_native_mean: 'inf' is not a number and counts as missing" in cohort.notes


def test_no_metric_is_adjusted_for_itself(make):
    frame = draw({"AD": 12, "NC": 12})
    frame["brain_volume_mm3"] = np.random.default_rng(0).normal(1e6, 5e4, 24)
    both = pd.concat([frame.assign(session_id=f"ses-{k}", age=frame["age"] + k) for k in (1, 2)])
    both["brain_volume_mm3"] += np.random.default_rng(1).normal(0, 1e4, 48)
    chosen = {"metrics": ["brain_volume_mm3"], "covariates": ["age", "brain_volume_mm3"]}
    alone = {"metrics": ["brain_volume_mm3"], "covariates": ["age"]}
    results = []
    for settings in (chosen, alone):
        cohort, full = make(both, features={}, mediation=[], **settings)
        tests = compare_all(cohort.frame, cohort.plan, full)["tests"]
        results.append([tests, mixed_models(cohort.everything, cohort.plan)])
    assert results[0][0][0]["test"] == "ANCOVA"
    assert results[0] == results[1]


def test_what_was_not_measured_alike_is_told_group_by_group(make):
    frame = draw({"AD": 6, "NC": 6})
    frame["epvs_input"] = ["T1w"] * 2 + ["T1w+T2w"] * 10
    frame["epvs_lesions"] = "none"
    frame["registration"] = [None, *["T1w"] * 11]
    cohort, _ = make(frame, groups=["NC", "AD"])
    (note,) = [note for note in cohort.notes if "alike" in note]
    assert note == (
        "EPVS was not measured alike, which may differ between groups: epvs_input is T1w in 2 "
        "(NC 0, AD 2), T1w+T2w in 10 (NC 6, AD 4)"
    )
    frame["epvs_input"] = "T1w+T2w"
    cohort, _ = make(frame, groups=["NC", "AD"])
    assert not [note for note in cohort.notes if "alike" in note]
