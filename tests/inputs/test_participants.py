"""People's tables: columns under other names, codes, ranges, rows and tables of sessions."""

import time
from pathlib import Path

import pytest
import yaml

from glymph.common.names import Unit
from glymph.common.registry import metrics, variables
from glymph.inputs.cohort import unmatched
from glymph.inputs.index import Scan
from glymph.inputs.participants import (
    ParticipantsError,
    as_in_dataset,
    namesakes,
    read_participants,
)
from glymph.inputs.sessions import with_sessions

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())["participants"]["columns"]


def people(tmp_path, *lines, columns=None, groups=None, ranges=None):
    """A table of these lines, cells separated by spaces."""
    path = tmp_path / "participants.tsv"
    path.write_text("".join("\t".join(line.split()) + "\n" for line in lines))
    return read_participants(path, COLUMNS | (columns or {}), groups, ranges)


def reasons(found, name="sub-01"):
    return [stop.reason for stop in found.problems.get(name, [])]


def test_the_configuration_knows_every_variable_of_the_registry():
    assert set(COLUMNS) == set(variables())
    assert [n for n, v in variables().items() if n in metrics()] == ["brain_volume_mm3"]


@pytest.mark.parametrize("header", ["Group AGE Sex MMSE", "GROUP Age sEx mmse"])
def test_columns_are_matched_without_regard_to_case(tmp_path, header):
    found = people(tmp_path, f"Participant_ID {header}", "01 AD 70 F 20")
    values = found.rows["sub-01"]
    assert [values[n] for n in ("group", "age", "sex", "mmse")] == ["AD", 70, "F", 20]


@pytest.mark.parametrize(
    ("columns", "header", "message"),
    [
        (
            {"age": "age_yrs"},
            "age_years",
            "participants.columns.age is 'age_yrs'.*did you mean age_years",
        ),
        (
            {"group": "dx"},
            "Diagnosis",
            "participants.columns.group is 'dx'.*did you mean Diagnosis",
        ),
        (
            {"sex": "SEX2"},
            "a b",
            "participants.columns.sex is 'SEX2'.*the table has participant_id",
        ),
    ],
)
def test_a_configured_column_that_is_absent_stops_the_start(tmp_path, columns, header, message):
    with pytest.raises(ParticipantsError, match=message):
        people(tmp_path, f"participant_id {header}", "01 1", columns=columns)


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ("Gender", "if that is Gender, set participants.columns.sex"),
        ("Years_of_Education", "if that is Years_of_Education, set participants.columns.education"),
        ("Diagnosis", "if that is Diagnosis, set participants.columns.group"),
        ("x", "no column group, age, sex, education, mmse, moca: no groups are compared"),
    ],
)
def test_what_the_table_lacks_is_said(tmp_path, header, note):
    found = people(tmp_path, f"participant_id {header}", "01 1")
    assert any(note in str(stop) for stop in found.notes)


def test_a_table_that_has_all_needs_no_note(tmp_path):
    header = "participant_id group age sex education mmse moca"
    assert people(tmp_path, header, "01 AD 70 F 9 20 20").notes == []


@pytest.mark.parametrize(
    ("variable", "cell", "problem"),
    [
        ("age", "999", "age is 999, outside 0 to 120"), ("age", "-9", "outside 0 to 120"),
        ("age", "seventy", "not a number"), ("age", "70,5", "not a number"),
        ("age", "inf", "not a number"), ("age", "1e3", "outside"),
        ("mmse", "88", "outside 0 to 30"), ("mmse", "-1", "outside"), ("moca", "31", "outside"),
        ("education", "99", "outside 0 to 40"), ("sex", "-9", "a code for unknown"),
        ("sex", "999", "a code"), ("group", "-9", "a code"), ("site", "-99", "a code"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_missing_and_listed(tmp_path, variable, cell, problem):
    found = people(tmp_path, f"participant_id {variable}", f"01 {cell}", "02 n/a",
                   columns={"site": "site"})  # fmt: skip
    assert found.rows["sub-01"][variable] is None
    assert problem in reasons(found)[0] and "taken as missing" in reasons(found)[0]
    assert "sub-02" not in found.problems


@pytest.mark.parametrize(
    ("variable", "cell", "value"),
    [("age", "0", 0), ("age", "120", 120), ("age", "99", 99), ("mmse", "30", 30), ("mmse", "0", 0),
     ("education", "40", 40), ("site", "99", "99"), ("group", "1", "1"), ("sex", "2", "2")],
)  # fmt: skip
def test_what_can_be_is_taken(tmp_path, variable, cell, value):
    found = people(tmp_path, f"participant_id {variable}", f"01 {cell}", columns={"site": "site"})
    assert found.rows["sub-01"][variable] == value
    assert not found.problems


@pytest.mark.parametrize("cell", ["89+", ">89", "≥89", "89.0+"])
def test_ages_that_are_cut_at_the_top_are_taken_and_listed(tmp_path, cell):
    found = people(tmp_path, "participant_id age", f"01 {cell}")
    assert found.rows["sub-01"]["age"] == 89
    assert "taken as 89" in reasons(found)[0]


def test_ranges_are_configurable(tmp_path):
    found = people(
        tmp_path, "participant_id mmse age", "01 45 17", ranges={"mmse": [0, 50], "age": [18, 90]}
    )
    assert (found.rows["sub-01"]["mmse"], found.rows["sub-01"]["age"]) == (45, None)


LONG = ("participant_id session_id group age", "AD01 1 AD 66", "AD01 2 AD 67.5", "NC01 1 NC 80")


@pytest.mark.parametrize(("session", "age"), [("1", 66), ("2", 67.5), ("01", 66), ("3", None)])
def test_rows_of_sessions_are_matched_by_session(tmp_path, session, age):
    found = people(tmp_path, *LONG)
    assert not found.problems
    assert found.of(Unit("AD01", session)) == dict.fromkeys(COLUMNS) | {"group": "AD", "age": age}


def test_values_of_one_session_are_not_those_of_another(tmp_path):
    found = people(tmp_path, "participant_id session_id group age mmse", "1 1 AD 70 29")
    assert found.of(Unit("1", "1"))["age"] == 70
    assert found.of(Unit("1", "2")) == dict.fromkeys(COLUMNS) | {"group": "AD"}
    assert found.unclear(Unit("1", "2")) == ["age", "mmse"]
    assert found.of(Unit("1"))["age"] == 70 and not found.unclear(Unit("1"))


@pytest.mark.parametrize("cell", ["26.03.2018", "43185", "12", "now", "2108-01-01", "2020-13-01"])
def test_dates_that_are_none_are_missing_and_listed(tmp_path, cell):
    found = people(tmp_path, "participant_id acq_time", f"1 {cell}", "2 20180326", "3 1899-01-01")
    assert found.rows["sub-1"]["acq_time"] is None
    assert "not a date as 2020-01-31" in reasons(found, "sub-1")[0]
    assert [found.rows[f"sub-{n}"]["acq_time"] for n in (2, 3)] == ["20180326", "1899-01-01"]


@pytest.mark.parametrize("cell", [".", "#N/A", "NULL", "-", "?", "unknown", "-9.0", "999.0"])
def test_words_for_missing_make_no_group(tmp_path, cell):
    found = people(tmp_path, "participant_id group sex", f"1 {cell} {cell}")
    assert found.rows["sub-1"]["group"] is found.rows["sub-1"]["sex"] is None


def test_images_without_session_get_what_all_rows_say_and_the_rest_is_listed(tmp_path):
    found = people(tmp_path, *LONG)
    assert found.of(Unit("AD01"))["group"] == "AD"
    assert found.of(Unit("AD01"))["age"] is None
    assert found.of(Unit("NC01"))["age"] == 80
    listed = unmatched([Scan(Unit("AD01")), Scan(Unit("NC01"))], found)
    assert [(name, stop.reason.split(" ")[1]) for name, stop in listed] == [("sub-AD01", "age")]


@pytest.mark.parametrize("header", ["session_id", "Session_ID", "session"])
def test_equal_rows_of_one_session_are_merged_and_others_are_refused(tmp_path, header):
    same = people(tmp_path, f"participant_id {header} age", "1 ses-1 70", "1 1 70", "1 2 71")
    assert same.of(Unit("1", "1"))["age"] == 70 and not same.problems
    other = people(tmp_path, f"participant_id {header} age", "1 ses-1 70", "1 1 71")
    assert other.unusable == {"sub-1"} and other.of(Unit("1", "1")) == {}
    assert "several rows for sub-1" in other.problems["sub-1"][0].reason


def tables_of(tmp_path, unit, **texts):
    """A scan of ``unit`` with tables of sessions or scans (cells separated by spaces)."""
    paths = []
    for kind, lines in texts.items():
        prefix = unit.participant_id if kind == "sessions" else unit.prefix
        path = tmp_path / f"{prefix}_{kind}.tsv"
        path.write_text("".join("\t".join(line.split()) + "\n" for line in lines))
        paths.append(str(path))
    files = {"T1w": str(tmp_path / f"{unit.folder}/anat/{unit.prefix}_T1w.nii.gz")}
    return Scan(unit, files, tables=tuple(paths))


def test_the_tables_of_sessions_and_scans_say_when_a_session_was(tmp_path):
    one = tables_of(tmp_path, Unit("AD01", "1"), sessions=["session_id acq_time age",
                    "ses-1 2020-01-01T00:00:00 66.5", "ses-2 2021-01-01 68"])  # fmt: skip
    two = tables_of(tmp_path, Unit("NC01", "1"), scans=["filename acq_time",
                    "dwi/x.nii.gz 2019-01-01",
                    "anat/sub-NC01_ses-1_T1w.nii.gz 2020-05-05"])  # fmt: skip
    found = with_sessions(people(tmp_path, *LONG), [one, two], COLUMNS, {})
    known = found.of(one.unit)
    assert (known["acq_time"], known["age"]) == ("2020-01-01T00:00:00", 66.5)
    assert found.of(two.unit)["acq_time"] == "2020-05-05"
    assert found.of(two.unit)["age"] == 80


def test_a_date_of_a_session_does_not_bring_the_values_of_another(tmp_path):
    scan = tables_of(tmp_path, Unit("1", "2"), scans=["filename acq_time",
                     "anat/sub-1_ses-2_T1w.nii.gz 2021-01-01"])  # fmt: skip
    table = people(tmp_path, "participant_id session_id group age", "1 1 AD 70")
    found = with_sessions(table, [scan], COLUMNS, {})
    known = found.of(scan.unit)
    assert (known["group"], known["age"], known["acq_time"]) == ("AD", None, "2021-01-01")
    assert found.unclear(scan.unit) == ["age"]


def test_one_row_for_all_sessions_holds_for_each(tmp_path):
    scan = tables_of(tmp_path, Unit("1", "2"), sessions=["session_id mmse", "1 29", "2 27"])
    found = with_sessions(people(tmp_path, "participant_id age", "1 70"), [scan], COLUMNS, {})
    known = found.of(scan.unit)
    assert (known["age"], known["mmse"]) == (70, 27) and not found.unclear(scan.unit)


def test_without_a_participants_table_the_tables_of_sessions_still_count(tmp_path):
    scan = tables_of(tmp_path, Unit("1", "a"), sessions=["session_id MMSE", "ses-a 25", "b 9"])
    found = with_sessions(None, [scan], COLUMNS, {})
    assert found.of(scan.unit)["mmse"] == 25
    assert not found.has_table
    assert unmatched([scan], found) == []
    assert with_sessions(None, [Scan(Unit("1"))], COLUMNS, {}) is None


def test_a_table_of_sessions_that_cannot_be_read_is_its_participants_problem(tmp_path):
    scan = tables_of(tmp_path, Unit("AD01", "1"), sessions=["session_id age", "ses-1 666"])
    found = with_sessions(people(tmp_path, *LONG), [scan], COLUMNS, {})
    assert "outside 0 to 120" in reasons(found, "sub-AD01")[0]
    Path(scan.tables[0]).write_bytes(b"\xff\0")
    found = with_sessions(people(tmp_path, *LONG), [scan], COLUMNS, {})
    assert "not readable as a table" in reasons(found, "sub-AD01")[0]
    assert found.of(scan.unit)["age"] == 66


def test_zeros_that_a_spreadsheet_stripped(tmp_path):
    lines = ("1 a 70", "1 b 71", "2 a 60", "9 a 50", "09 a 51", "x a 40")
    table = people(tmp_path, "participant_id session_id age", *lines)
    names = {"sub-001", "sub-02", "sub-2", "sub-009"}
    found = as_in_dataset(table, names, tmp_path / "participants.tsv")
    assert found.of(Unit("001", "b"))["age"] == 71
    assert found.of(Unit("2", "a"))["age"] == 60 and not found.of(Unit("02", "a"))
    assert not found.of(Unit("009", "a")), "9 or 09?"
    assert "1 names fit the dataset's by their number alone (sub-1 is taken as sub-001)" in (
        found.notes[-1].reason
    )
    assert as_in_dataset(table, {"sub-2"}, tmp_path).notes == table.notes


def test_a_number_that_two_of_the_dataset_have_is_nobody_s(tmp_path):
    table = people(tmp_path, "participant_id age", "1 70", "01 60")
    found = as_in_dataset(table, {"sub-001", "sub-01"}, tmp_path)
    assert not found.of(Unit("001")) and found.of(Unit("01"))["age"] == 60
    assert namesakes(["sub-1", "sub-001", "sub-2", "sub-x"]) == ["sub-001", "sub-1"]


def test_ids_of_a_large_cohort_are_matched_in_seconds(tmp_path):
    table = people(tmp_path, "participant_id", *(str(n) for n in range(1, 20_001)))
    began = time.monotonic()
    found = as_in_dataset(table, {f"sub-{n:05}" for n in range(1, 20_001)}, tmp_path)
    assert "sub-20000" in found.rows and "sub-00001" in found.rows and len(found.rows) == 20_000
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("row", "names", "near"),
    [
        ("1", ["001", "01"], "sub-001 or sub-01"),
        ("NC1", ["NC001", "NC010"], "sub-NC001"),
        ("nc_001", ["NC001"], "sub-NC001"),
        ("NC1", ["NC10"], ""),
    ],
)
def test_who_may_be_meant_by_a_row_without_images(tmp_path, row, names, near):
    found = people(tmp_path, "participant_id age", f"{row} 70")
    cure = dict(unmatched([Scan(Unit(name)) for name in names], found))[f"sub-{row}"].cure
    assert cure.startswith(f"did you mean {near}? " if near else "remove the row, ")


def test_groups_of_the_tables_of_sessions_are_checked(tmp_path):
    scan = tables_of(tmp_path, Unit("1", "1"), sessions=["session_id group", "1 Converter"])
    table = people(tmp_path, "participant_id age", "1 70")
    found = with_sessions(table, [scan], COLUMNS, {}, ["NC", "AD"])
    assert found.of(scan.unit).get("group") is None
    assert "group 'Converter' is not one of NC, AD" in reasons(found, "sub-1")[0]


def test_rows_of_one_session_that_differ_are_not_used(tmp_path):
    lines = ["session_id mmse", "1 29", "01 27", "2 26", "2 26"]
    scans = [tables_of(tmp_path, Unit("1", s), sessions=lines) for s in ("1", "2")]
    found = with_sessions(None, scans, COLUMNS, {})
    assert found.of(scans[0].unit).get("mmse") is None
    assert found.of(scans[1].unit)["mmse"] == 26
    assert reasons(found, "sub-1") == [
        "several rows for session 1 (lines 2, 3) that differ; none is used"
    ]


def test_the_configured_column_of_the_date_is_that_of_sessions_too(tmp_path):
    scan = tables_of(tmp_path, Unit("1", "1"), sessions=["session_id scan_date", "1 2020-02-02"])
    found = with_sessions(None, [scan], COLUMNS | {"acq_time": "scan_date"}, {})
    assert found.of(scan.unit)["acq_time"] == "2020-02-02"


def test_a_date_that_is_missing_of_one_image_is_taken_from_another(tmp_path):
    scan = tables_of(tmp_path, Unit("1"), scans=["filename acq_time",
                     "anat/sub-1_T1w.nii.gz n/a", "dwi/sub-1_dwi.nii.gz 2020-03-03"])  # fmt: skip
    scan.files["dwi"] = str(tmp_path / "sub-1/dwi/sub-1_dwi.nii.gz")
    assert with_sessions(None, [scan], COLUMNS, {}).of(scan.unit)["acq_time"] == "2020-03-03"


def test_spaces_within_cells_and_grouped_digits(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_text("participant_id\tgroup\tage\n1\tNC  x\t7_0\n2\tNC x\t>=89\n")
    assert read_participants(path, COLUMNS, ["NC   x"]).rows["sub-2"]["group"] == "NC x"
    found = read_participants(path, COLUMNS, ["NC x"])
    assert found.rows["sub-1"]["group"] == "NC x" and found.rows["sub-1"]["age"] is None
    assert found.rows["sub-2"]["age"] == 89
