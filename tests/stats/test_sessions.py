"""In which order sessions were: told by what the data say, never by the alphabet."""

import numpy as np
import pandas as pd
import pytest

from glymph.common.errors import BadInput
from glymph.stats.longitudinal import mixed_models
from glymph.stats.sessions import choose, order
from tests.stats.conftest import draw


def frame(*rows, **columns):
    """Rows of (participant, session), and columns of further values."""
    found = pd.DataFrame(rows, columns=["participant_id", "session_id"], dtype=object)
    return found.assign(**columns)


TWO = [("a", "ses-pre"), ("a", "ses-post"), ("b", "ses-post"), ("b", "ses-pre")]


@pytest.mark.parametrize(
    "dates",
    [["2020-01-01", "2021-01-01", "2022-07-01", "2022-01-01"],
     ["2020-01-01T10:00:00", "2021-01-01T09:00:00", "2022-07-01T00:00:00.5",
      "2022-01-01T00:00:00Z"],
     ["1900-01-01", "1901-01-01", "1850-07-01", "1850-01-01"]],
)  # fmt: skip
def test_dates_order_words_and_give_years(dates):
    found = order(frame(*TWO, acq_time=dates, age=[1, 1, 1, 1]), [])
    assert found.basis == "acq_time"
    assert found.number.tolist() == [0, 1, 1, 0]
    assert found.years.round(1).tolist() == [0, 1, 0.5, 0]


def test_ages_do_where_there_are_no_dates():
    found = order(frame(*TWO, age=[60.0, 61.5, 72.0, 70.0]), [])
    assert (found.basis, found.number.tolist()) == ("age", [0, 1, 1, 0])
    assert found.years.tolist() == [0, 1.5, 2, 0]


def test_ages_that_do_not_differ_tell_nothing():
    found = order(frame(*TWO, age=[60, 60, 72, 70]), [])
    assert found.basis == "" and found.number.isna().all()
    assert "the order of sessions post, pre is not known" in found.problem


@pytest.mark.parametrize("configured", [["pre", "post"], ["ses-pre", "ses-post"]])
def test_a_configured_order(configured):
    found = order(frame(*TWO), configured)
    assert found.number.tolist() == [0, 1, 1, 0]
    assert found.years.isna().all()
    with_age = order(frame(*TWO, age=[60, 61, 62, 60]), configured)
    assert with_age.years.tolist() == [0, 1, 2, 0]
    assert with_age.basis == "stats.sessions, years by age"


def test_a_configured_order_that_lacks_a_session_or_contradicts_the_dates_is_refused():
    with pytest.raises(BadInput, match="does not name session post"):
        order(frame(*TWO), ["pre", "followup"])
    found = order(frame(*TWO, age=[61, 60, 60, 61]), ["pre", "post"])
    assert "stats.sessions and age put the sessions of a in different orders" in found.problem
    found = order(frame(("a", "ses-1"), ("a", "ses-2"), age=[70, 69]), [])
    assert "age and the number in session_id put the sessions of a" in found.problem


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [(["ses-1", "ses-2"], [0, 1]), (["ses-10", "ses-9"], [1, 0]), (["ses-m12", "ses-m00"], [12, 0]),
     (["ses-01", "ses-002"], [0, 1]), (["ses-20200102", "ses-20200101"], [1, 0]),
     (["2", "1"], [1, 0])],
)  # fmt: skip
def test_numbers_in_labels(labels, numbers):
    found = order(frame(("a", labels[0]), ("a", labels[1])), [])
    assert (found.basis, found.number.tolist()) == ("the number in session_id", numbers)
    assert found.years.isna().all()


@pytest.mark.parametrize(
    "labels",
    [["ses-pre", "ses-post"], ["ses-baseline", "ses-m12"], ["ses-1A", "ses-1B"],
     ["ses-a1", "ses-b2"],     ["ses-01", "ses-1"], ["ses-1", None], ["ses-1x2", "ses-1x3"]],
)  # fmt: skip
def test_labels_that_cannot_be_ordered(labels):
    assert order(frame(("a", labels[0]), ("a", labels[1])), []).problem


def test_times_of_day_without_dates_tell_nothing():
    stamps = ["1925-01-01T15:00:00", "1925-01-01T09:00:00"]
    found = order(frame(("a", "ses-1"), ("a", "ses-2"), acq_time=stamps), [])
    assert found.basis == "the number in session_id"


def test_a_session_that_was_missed_leaves_a_gap():
    found = order(frame(("a", "ses-1"), ("a", "ses-2"), ("b", "ses-1"), ("b", "ses-3")), [])
    assert found.number.tolist() == [0, 1, 0, 2]


def test_one_session_each_needs_no_order():
    found = order(frame(("a", "ses-pre"), ("b", "ses-post"), ("c", None)), [])
    assert found.problem == "" and found.number.tolist() == [0, 0, 0]


def test_first_and_last_need_an_order_and_a_label_does_not():
    rows = frame(*TWO)
    with pytest.raises(BadInput, match="stats.session is first.*order of sessions post, pre"):
        choose(rows, "first", order(rows, []))
    for label in ("pre", "ses-pre"):
        assert choose(rows, label, order(rows, [])).tolist() == [True, False, False, True]
    with pytest.raises(BadInput, match=r"nobody has session ses-3 \(the table has: post, pre\)"):
        choose(rows, "ses-3", order(rows, []))
    known = order(rows, ["pre", "post"])
    assert choose(rows, "first", known).tolist() == [True, False, False, True]
    assert choose(rows, "last", known).tolist() == [False, True, True, False]


def repeated(labels, per_year=(-0.15, -0.02), gap=1.0, ages=True, seed=1):
    """Two groups in two sessions ``gap`` years apart, ALPS changing by ``per_year``."""
    first = draw({"AD": 14, "NC": 14}, seed=seed).assign(session_id=labels[0])
    slope = np.where(first["group"] == "AD", *per_year)
    noise = np.random.default_rng(seed).normal(0, 0.02, len(first))
    later = first.assign(
        session_id=labels[1], age=first["age"] + gap * ages,
        alps_native_mean=first["alps_native_mean"] + gap * slope + noise,
    )  # fmt: skip
    return pd.concat([later, first])


def test_the_change_is_per_year_and_has_the_right_sign(make):
    """ses-post comes before ses-pre in the alphabet; half a year passes between them."""
    cohort, _ = make(repeated(("ses-pre", "ses-post"), gap=0.5), metrics=["alps_native_mean"],
                     covariates=["age"], groups=["NC", "AD"])  # fmt: skip
    assert set(cohort.frame["session_id"]) == {"ses-pre"}
    rows = {r["term"]: r for r in mixed_models(cohort.everything, cohort.plan)}
    assert rows["year"]["estimate"] == pytest.approx(-0.02, abs=0.03)
    assert rows["year x AD vs NC"]["estimate"] == pytest.approx(-0.13, abs=0.04)
    assert "sessions are in order by age" in cohort.notes


def test_without_an_order_no_change_is_given(make):
    table = repeated(("ses-pre", "ses-post"), ages=False)
    cohort, _ = make(table, metrics=["alps_native_mean"], session="pre")
    (row,) = mixed_models(cohort.everything, cohort.plan, cohort.order.problem)
    assert row["term"] == "none" and "order of sessions" in row["reason"]
    with pytest.raises(BadInput, match="stats.session is first"):
        make(table, metrics=["alps_native_mean"])


def test_a_row_without_metrics_is_never_picked(make):
    """As where a phantom of every subject without a session stands in the table."""
    table = draw({"AD": 8, "NC": 8})
    measured = [name for name in table if name.startswith(("alps_", "epvs_"))]
    phantom = table.assign(**dict.fromkeys(measured, np.nan))
    cohort, _ = make(pd.concat([phantom, table.assign(session_id="ses-1")]))
    assert len(cohort.frame) == 16
    assert set(cohort.frame["session_id"]) == {"ses-1"}
    assert [row["reason"] for row in cohort.left_out] == ["no metric"] * 16


def test_columns_of_a_table_made_elsewhere(make):
    table = draw({"AD": 8, "NC": 8}).rename(
        columns={"age": "Age", "alps_native_mean": "ALPS_native_mean", "mmse": "MMSE"}
    )
    table["MMSE"] = table["MMSE"].astype(object)
    table.loc[0, "MMSE"] = 99
    columns = {"age": "age", "mmse": "mmse"}
    cohort, _ = make(table, columns=columns)
    assert cohort.frame["age"].notna().all()
    assert cohort.frame["mmse"].isna().sum() == 1
    assert "sub-AD000: mmse is 99, outside 0 to 30; taken as missing" in cohort.notes
    assert cohort.frame["alps_native_mean"].notna().all()
    with pytest.raises(BadInput, match="participants.columns.age is 'years'.*did you mean Age"):
        make(table, columns={"age": "years"})


@pytest.mark.parametrize("code", [-9, 999])
def test_codes_in_a_metric_are_missing_and_named(make, code):
    table = draw({"AD": 8, "NC": 8})
    table.loc[0, "alps_native_mean"] = code
    cohort, _ = make(table)
    assert cohort.frame["alps_native_mean"].isna().sum() == 1
    assert any(f"alps_native_mean is {code}" in note for note in cohort.notes)


@pytest.mark.parametrize("cell", ["1,39", "ok"])
def test_a_metric_without_any_number_is_refused(make, cell):
    with pytest.raises(BadInput, match="alps_native_mean (has numbers with|holds no number)"):
        make(draw({"AD": 8, "NC": 8}).assign(alps_native_mean=cell))


def test_one_person_under_two_names_is_refused(make):
    table = draw({"AD": 8, "NC": 8})
    table.loc[1, "participant_id"] = "AD000"
    with pytest.raises(BadInput, match="AD000 is in the table twice"):
        make(table)


@pytest.mark.parametrize("cell", ["70,5", "old", "seventy"])
def test_ages_that_are_no_numbers_are_never_categories(make, cell):
    with pytest.raises(BadInput, match="age (holds no number|has numbers with a comma)"):
        make(draw({"AD": 8, "NC": 8}).assign(age=cell))
