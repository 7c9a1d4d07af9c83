"""One record per unit, one row per record, and a reason for everything that is missing."""

import json

import pytest

from glymph.common.errors import Stop, read_stop, write_stop
from glymph.common.names import Unit
from glymph.common.registry import metrics
from glymph.common.tables import read_tsv, write_tsv
from glymph.inputs.index import Scan
from glymph.inputs.participants import Participants
from glymph.metrics.exclusions import EXCLUSION_COLUMNS, exclusions
from glymph.metrics.flags import FEWEST, flag_rows, flags, outliers, robust_z
from glymph.metrics.table import describe, table, with_given_volumes
from glymph.metrics.unit import unit_record

ALPS = {"axes": "native", "placement": "fixed"}
EPVS = {"engine": "vbnet", "without_t2w": "t1w_only"}
STOP = Stop("no volume with b = 0", "x.bval", "acquire one", "inputs_check")


def facts(folder, name, **content):
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return str(path)


def record(tmp_path, unit=None, **values):
    path = facts(tmp_path, "facts", metrics=values, registration="T1w", distortion="none")
    return unit_record(unit or Unit("01"), [path], [])


def test_record_merges_stages_and_lists_stops_once(tmp_path):
    for name in ("check", "alps"):
        write_stop(tmp_path / name, STOP)
    one = facts(tmp_path, "one", metrics={"brain_volume_mm3": 1.2e6}, notes=["a note"])
    found = unit_record(Unit("01", "a"), [one, str(tmp_path / "alps")], [str(tmp_path / "check")])
    assert (found["participant_id"], found["session_id"]) == ("sub-01", "ses-a")
    assert found["values"] == {"brain_volume_mm3": 1.2e6}
    assert found["stops"] == [vars(STOP)]
    assert found["notes"] == ["a note"]


def test_a_metric_from_two_stages_is_an_error(tmp_path):
    one = facts(tmp_path, "one", metrics={"dwi_snr": 20})
    two = facts(tmp_path, "two", metrics={"dwi_snr": 30})
    with pytest.raises(ValueError, match="two stages"):
        unit_record(Unit("01"), [one, two], [])


def test_a_metric_that_the_registry_does_not_know_is_an_error(tmp_path):
    with pytest.raises(KeyError, match="mystery"):
        record(tmp_path, mystery=1.0)


def test_flags_say_what_is_implausible():
    found = flags({"alps_native_mean": 3.0, "brain_volume_mm3": 1.2e6, "alps_template_mean": None})
    assert [f["metric"] for f in found] == ["alps_native_mean", "alps_template_mean"]
    assert "plausible is 0.8 to 2.2" in found[0]["message"]
    assert "has no value" in found[1]["message"]


def test_every_flag_says_what_to_look_at():
    assert all("look" in flag and flag["look"] for flag in flags(dict.fromkeys(metrics())))


def test_thresholds_of_the_configuration_replace_the_registry():
    values = {"alps_left_projection_coverage": 0.85, "mean_framewise_displacement": 0.5}
    assert [f["metric"] for f in flags(values)] == ["alps_left_projection_coverage"]
    mine = {"alps_*_coverage": [0.8, 1], "mean_framewise_displacement": [None, 0.3]}
    (found,) = flags(values, mine)
    assert found["metric"] == "mean_framewise_displacement"
    assert found["message"].endswith("plausible is at most 0.3")


def test_robust_z_is_that_of_iglewicz_and_hoaglin():
    values = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3] * 2
    found = robust_z([*values, None])
    assert found[8] == pytest.approx(0.6745 * (8.2 - 2.45) / 0.15, rel=1e-3)
    assert found[-1] is None


def test_no_outliers_in_small_or_constant_cohorts():
    spread = [1.0 + 0.01 * k for k in range(FEWEST - 2)]
    assert robust_z([*spread, 50.0]) == [None] * (FEWEST - 1)
    assert robust_z([*spread, 1.5, 50.0])[-1] > 100
    assert robust_z([1.0] * FEWEST + [50.0]) == [None] * (FEWEST + 1)


def test_nine_people_are_too_few_for_outliers():
    assert FEWEST == 20
    records = cohort_of(template_similarity=[0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.6])
    assert outliers(records, 3.5) == [[]] * 9


def cohort_of(**columns):
    """One bare record per value."""
    size = len(next(iter(columns.values())))
    return [
        {"participant_id": f"sub-{k:02d}", "session_id": None, "flags": [],
         "values": {name: column[k] for name, column in columns.items()}}
        for k in range(size)
    ]  # fmt: skip


def test_outliers_are_flagged_on_the_side_that_the_registry_names():
    spread = [0.90 + 0.004 * k for k in range(FEWEST)]
    records = cohort_of(template_similarity=[*spread, 0.6], mean_framewise_displacement=[
        *(0.1 * v for v in spread), 0.001])  # fmt: skip
    found = outliers(records, 3.5)
    assert [len(own) for own in found] == [0] * FEWEST + [1], "little motion is no fault"
    assert found[-1][0]["kind"] == "outlier"
    assert "below the cohort's median" in found[-1][0]["message"]
    (row,) = flag_rows(records, 3.5)
    assert (row["participant_id"], row["metric"]) == ("sub-20", "template_similarity")


def test_the_table_names_every_flag_once(tmp_path):
    own = record(tmp_path, alps_native_mean=3.0)
    flag = {"participant_id": "sub-01", "session_id": None}
    flagged = [flag | {"metric": name} for name in ("alps_native_mean", "alps_native_mean", "x")]
    rows, _ = table([own], None, [], ALPS, flagged)
    assert rows[0]["flags"] == "alps_native_mean,x"


def people(**problems):
    rows = {"sub-01": {"group": "AD", "age": 70.0, "brain_volume_mm3": None},
            "sub-02": {"group": "NC", "age": 68.0, "brain_volume_mm3": 1.1e6}}  # fmt: skip
    return Participants(rows, problems, frozenset(k for k in problems if k == "sub-02"))


def test_table_joins_participants_and_measures(tmp_path):
    records = [record(tmp_path, Unit(k), brain_volume_mm3=1e6, alps_native_mean=1.4)
               for k in ("01", "02", "03")]  # fmt: skip
    records = with_given_volumes(records, people(), {})
    rows, columns = table(records, people(), ["group", "age"], ALPS, [])
    assert columns[:4] == ["participant_id", "session_id", "group", "age"]
    assert [row["group"] for row in rows] == ["AD", "NC", None]
    assert rows[0]["brain_volume_mm3"] == 1e6
    assert rows[1]["brain_volume_mm3"] == 1.1e6, "the participants table overrides"
    assert (rows[0]["alps_registration"], rows[0]["alps_axes"]) == ("T1w", "native")
    assert rows[0]["alps_placement"] == "fixed"
    assert set(columns) <= set(describe(columns, {}, {}))


def test_a_duplicate_participant_gets_no_variables(tmp_path):
    problem = Stop("several rows for sub-02")
    rows, _ = table(
        [record(tmp_path, Unit("02"))], people(**{"sub-02": [problem]}), ["group"], ALPS, []
    )
    assert rows[0]["group"] is None


def test_every_kind_of_absence_is_listed(tmp_path):
    missing = {kind: Stop(f"no {kind} image", stage="inputs") for kind in ("T1w", "FLAIR")}
    scan = Scan(Unit("01"), {}, (), missing)
    stopped = record(tmp_path, Unit("01")) | {"stops": [vars(STOP)]}
    without = [("sub-09", Stop("sub-09 has no images", "", "", "inputs"))]
    rows = exclusions([scan], [stopped], people(**{"sub-02": [Stop("age is 'old'")]}), without,
                      {"sub-07_ses-b": "listed under exclude"}, EPVS)  # fmt: skip
    assert [(r["participant_id"], r["session_id"], r["branch"]) for r in rows] == [
        ("sub-01", None, "anat"), ("sub-01", None, "inputs"), ("sub-02", None, "statistics"),
        ("sub-07", "ses-b", "all"), ("sub-09", None, "statistics"),
    ]  # fmt: skip
    assert all(row["reason"] for row in rows)
    assert not any("FLAIR" in row["reason"] for row in rows), "nothing needs a FLAIR"
    write_tsv(rows, tmp_path / "x.tsv", EXCLUSION_COLUMNS)
    assert read_tsv(tmp_path / "x.tsv")[1]["cure"] == "acquire one"


@pytest.mark.parametrize(
    "epvs, told",
    [
        (EPVS, True),
        (EPVS | {"without_t2w": "skip"}, False),  # the rule that stops lists it
        (EPVS | {"engine": "none"}, False),
    ],
)
def test_a_missing_t2w_is_told_where_it_is_missed(epvs, told):
    scan = Scan(Unit("01"), {"T1w": "t1w.nii.gz"}, (), {"T2w": Stop("no T2w image")})
    rows = exclusions([scan], [], None, [], {}, epvs)
    assert [(r["branch"], "T1w alone" in r["reason"]) for r in rows] == [("epvs", True)] * told


def test_brain_volume_of_the_participants_table_enters_the_fractions(tmp_path):
    values = {"brain_volume_mm3": 1e6, "epvs_bg_volume_mm3": 200.0, "epvs_bg_fraction_brain": 2e-4}
    one = record(tmp_path, Unit("01")) | {"values": values}
    cohort = people(**{"sub-01": []})
    cohort.rows["sub-01"] = {"brain_volume_mm3": 8e5}
    one["flags"] = flags({"brain_volume_mm3": 1e5, "epvs_bg_volume_mm3": None})
    (one,) = with_given_volumes([one], cohort, {"brain_volume_mm3": [9e5, 2e6]})
    assert [(f["metric"], f["value"]) for f in one["flags"]] == [
        ("epvs_bg_volume_mm3", None), ("brain_volume_mm3", 8e5),
    ], "flags are of the volume that is in the table"  # fmt: skip
    (row,), _ = table([one], cohort, [], ALPS, [])
    assert row["brain_volume_mm3"] == 8e5
    assert row["epvs_bg_fraction_brain"] == pytest.approx(2.5e-4)


def test_tables_write_na_and_keep_one_line_per_row(tmp_path):
    write_tsv([{"a": None, "b": float("nan"), "c": 1 / 3, "d": "x\ty\nz"}], tmp_path / "t.tsv")
    text = (tmp_path / "t.tsv").read_text()
    assert text == "a\tb\tc\td\nn/a\tn/a\t0.3333333\tx y z\n"


def test_a_stop_is_told_from_a_result(tmp_path):
    write_stop(tmp_path / "a.nii.gz", STOP)
    assert read_stop(tmp_path / "a.nii.gz") == STOP
    (tmp_path / "b.json").write_text("{}")
    assert read_stop(tmp_path / "b.json") is None
