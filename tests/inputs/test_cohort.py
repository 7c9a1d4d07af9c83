"""Configuration, index and participants: what is found, what is refused, what is only reported."""

import copy
import json
import os
import time
from pathlib import Path

import pytest
import yaml

from glymph.common.names import Unit
from glymph.inputs.cohort import (
    Cohort,
    CohortError,
    known_units,
    load_participants,
    participants_alike,
    prepare,
    reread,
    start,
    unmatched,
)
from glymph.inputs.config import ConfigError, check_config, settle_types
from glymph.inputs.index import (
    DatasetError,
    read_bids,
    read_index,
    read_path_table,
    scan_bids,
    write_index,
)
from glymph.inputs.participants import ParticipantsError, read_participants

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


@pytest.fixture
def config(tmp_path):
    return copy.deepcopy(DEFAULTS) | {
        "bids_dir": str(tmp_path / "bids"),
        "output_dir": str(tmp_path / "out"),
    }


@pytest.fixture
def bids(tmp_path):
    """A skeleton: empty files in the right places."""
    folder = tmp_path / "bids"

    def add(*paths):
        for path in paths:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        return folder

    add("sub-01/anat/sub-01_T1w.nii.gz", "sub-01/dwi/sub-01_dwi.nii.gz")
    add("sub-01/dwi/sub-01_dwi.bval", "sub-01/dwi/sub-01_dwi.bvec", "sub-01/dwi/sub-01_dwi.json")
    (folder / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    return add


def scan(tmp_path, filters=None, several="error", mask=None, raters=None):
    found = scan_bids(tmp_path / "bids", filters or {}, several, {"brain_mask": mask}, raters)
    return {s.unit.prefix: s for s in found}


def test_default_configuration_is_valid():
    check_config(DEFAULTS)


def test_every_key_of_the_schema_has_a_description_and_refuses_strangers():
    schema = json.loads((ROOT / "workflow" / "schemas" / "config.schema.json").read_text())

    def walk(node, place):
        if node.get("type") == "object" and "properties" in node:
            assert node["additionalProperties"] is False, place
            for key, value in node["properties"].items():
                assert value.get("description"), f"{place}.{key}"
                walk(value, f"{place}.{key}")
        for choice in node.get("oneOf", []):
            walk(choice, place)

    walk(schema, "config")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"alps": {"radios": 3}}, r"alps.radios: unknown key"),
        ({"bids_dri": "x"}, r"bids_dri: unknown key; did you mean 'bids_dir'"),
        ({"dwi": {"b_max": "many"}}, r"dwi.b_max: 'many' is not of type number"),
        ({"dwi": {"unring": "yes"}}, r"dwi.unring: 'yes' is not of type boolean"),
        ({"alps": {"axes": "nativ"}}, r"alps.axes: 'nativ' is not one of"),
        ({"anat": {"bet_intensity": 2}}, r"anat.bet_intensity: 2"),
        ({"exclude": ["01"]}, r"exclude.0: '01' does not match"),
    ],
)
def test_wrong_configuration(change, message):
    config = copy.deepcopy(DEFAULTS)
    for key, value in change.items():
        config[key] = (config[key] | value) if isinstance(value, dict) else value
    with pytest.raises(ConfigError, match=message):
        check_config(config)


def test_words_from_the_command_line_become_numbers():
    config = copy.deepcopy(DEFAULTS)
    config["dwi"] |= {"b_max": "1000", "unring": "true"}
    config["anat"]["registration"]["iterations"] = ["40", "20", "0"]
    config["alps"]["min_coverage"] = "most"
    settle_types(config)
    assert (config["dwi"]["b_max"], config["dwi"]["unring"]) == (1000, True)
    assert config["anat"]["registration"]["iterations"] == [40, 20, 0]
    with pytest.raises(ConfigError, match="alps.min_coverage: 'most'"):
        check_config(config)


def given(*words):
    """The configuration of ``snakemake --config WORDS``."""
    from snakemake.cli import parse_config
    from snakemake.utils import update_config

    config = copy.deepcopy(DEFAULTS)
    update_config(config, parse_config(words))
    settle_types(config)
    check_config(config)
    return config


def test_words_under_free_keys_become_numbers():
    config = given("qc={thresholds: {alps_*_coverage: [0.8, null]}}")
    assert config["qc"]["thresholds"] == {"alps_*_coverage": [0.8, None]}


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("inputs={filters: {T1w: {acq: null}}}", ("inputs", "filters", "T1w", "acq")),
        ("template=null", ("template",)),
        ("epvs={raters: null}", ("epvs", "raters")),
        ("participants={columns: {education: null}}", ("participants", "columns", "education")),
        ("review={folder: null}", ("review", "folder")),
        ("alps={user_rois: null}", ("alps", "user_rois")),
        ("bids_dir=null", ("bids_dir",)),
    ],
)
def test_the_word_null_is_nothing_where_nothing_is_allowed(words, place):
    found = given(words)
    for key in place:
        found = found[key]
    assert found is None


def test_words_stay_words_where_words_are_wanted():
    config = given("inputs={filters: {T1w: {acq: 2, run: '01'}}}", "stats={groups: [null, 1]}")
    assert config["inputs"]["filters"]["T1w"] == {"acq": "2", "run": "01"}
    assert config["stats"]["groups"] == ["null", "1"]


def test_index_of_one_subject(bids, tmp_path):
    found = scan(tmp_path)["sub-01"]
    assert set(found.files) == {"T1w", "dwi", "bval", "bvec", "json"}
    assert found.problems["T2w"].reason == "no T2w image"


def test_sessions_are_units_of_their_own(bids, tmp_path):
    bids("sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz", "sub-02/ses-b/dwi/sub-02_ses-b_dwi.nii.gz")
    found = scan(tmp_path)
    assert list(found) == ["sub-01", "sub-02_ses-a", "sub-02_ses-b"]
    assert found["sub-02_ses-a"].unit.folder == "sub-02/ses-a"
    assert "dwi" not in found["sub-02_ses-a"].files


@pytest.mark.parametrize("several", ["error", "last"])
def test_the_phase_is_no_image_to_choose(bids, tmp_path, several):
    (tmp_path / "bids/sub-01/dwi/sub-01_dwi.nii.gz").unlink()
    bids(*(f"sub-01/dwi/sub-01_part-{p}_dwi.nii.gz" for p in ("mag", "phase")))
    bids(*(f"sub-02/anat/sub-02_part-{p}_T1w.nii.gz" for p in ("real", "imag")))
    found = scan(tmp_path, several=several)
    assert found["sub-01"].files["dwi"].endswith("part-mag_dwi.nii.gz")
    assert not found["sub-01"].reverse
    assert "none a magnitude" in found["sub-02"].problems["T1w"].reason
    asked = scan(tmp_path, {"dwi": {"part": "phase"}})["sub-01"]
    assert asked.files["dwi"].endswith("part-phase_dwi.nii.gz")


def test_what_is_none_to_choose_from_is_named_though_nothing_is_chosen(bids, tmp_path):
    (tmp_path / "bids/sub-01/dwi/sub-01_dwi.nii.gz").unlink()
    names = ("run-1_part-mag", "run-2_part-mag", "run-1_part-phase", "run-3_acq-x")
    bids(*(f"sub-01/dwi/sub-01_{name}_dwi.nii.gz" for name in names))
    found = read_bids(tmp_path / "bids", {"dwi": {"acq": None}}, "error", {})
    assert "2 dwi images and no rule" in found.scans[0].problems["dwi"].reason
    said = {Path(one.stop.file).name: one.stop.reason for one in found.unused}
    assert said == {
        "sub-01_run-1_part-phase_dwi.nii.gz": "not used: it is no magnitude image (part)",
        "sub-01_run-3_acq-x_dwi.nii.gz": "not used: it does not fit inputs.filters.dwi {acq: None}",
    }


def test_the_phase_of_a_fieldmap_corrects_nothing(bids, tmp_path):
    bids(*(f"sub-01/fmap/sub-01_dir-PA_part-{p}_epi.nii.gz" for p in ("mag", "phase")))
    found = read_bids(tmp_path / "bids", {}, "error", {})
    assert [Path(p).name for p in found.scans[0].reverse] == ["sub-01_dir-PA_part-mag_epi.nii.gz"]
    assert found.unused[0].stop.file.endswith("part-phase_epi.nii.gz")


def test_mp2rage_without_a_t1w_is_named(bids, config, tmp_path):
    bids("sub-01/anat/sub-01_acq-x_UNIT1.nii.gz")  # beside a T1w: no word
    bids("sub-02/anat/sub-02_run-1_UNIT1.nii.gz", "sub-02/anat/sub-02_run-2_UNIT1.nii.gz")
    bids("sub-02/anat/sub-02_run-1_UNIT1.json", "sub-02/anat/sub-02_T2w.nii.gz")
    bids("sub-03/ses-a/anat/sub-03_ses-a_UNIT1.nii")
    found = prepare(config)
    assert [scan.unit.prefix for scan in found.scans] == ["sub-01", "sub-02"]
    problem = found.by_prefix["sub-02"].problems["T1w"]
    assert "no T1w image; UNIT1 (MP2RAGE) is not taken for one" in problem.reason
    assert problem.file.endswith("sub-02_run-1_UNIT1.nii.gz")
    assert problem.cure.endswith("as sub-02_run-1_T1w.nii.gz")
    assert [Path(one.stop.file).name for one in found.unused] == ["sub-03_ses-a_UNIT1.nii"]
    said = [line for line in found.summary() if "UNIT1" in line]
    assert len(said) == 2 and said[0].startswith("Left out: ")


def test_a_dataset_of_mp2rage_alone(bids, tmp_path):
    (tmp_path / "bids/sub-01/anat/sub-01_T1w.nii.gz").rename(
        tmp_path / "bids/sub-01/anat/sub-01_UNIT1.nii.gz"
    )
    (tmp_path / "bids/sub-01/dwi/sub-01_dwi.nii.gz").unlink()
    with pytest.raises(DatasetError, match="sub-01_UNIT1.nii.gz: no T1w image; UNIT1"):
        scan(tmp_path)


def test_two_t1w_need_a_rule(bids, tmp_path):
    bids("sub-01/anat/sub-01_run-1_T1w.nii.gz", "sub-01/anat/sub-01_run-2_T1w.nii.gz")
    (tmp_path / "bids/sub-01/anat/sub-01_T1w.nii.gz").unlink()
    found = scan(tmp_path)["sub-01"]
    assert "T1w" not in found.files
    assert "2 T1w images and no rule" in found.problems["T1w"].reason
    assert "inputs.filters.T1w" in found.problems["T1w"].cure
    assert scan(tmp_path, several="last")["sub-01"].files["T1w"].endswith("run-2_T1w.nii.gz")
    chosen = scan(tmp_path, filters={"T1w": {"run": 1}})["sub-01"]
    assert chosen.files["T1w"].endswith("run-1_T1w.nii.gz")


def test_opposite_phase_encoding_is_kept_apart(bids, tmp_path):
    bids("sub-01/fmap/sub-01_dir-PA_epi.nii.gz", "sub-01/dwi/sub-01_dir-PA_dwi.nii.gz")
    found = scan(tmp_path, filters={"dwi": {"dir": None}})["sub-01"]
    assert found.files["dwi"].endswith("sub-01_dwi.nii.gz")
    assert [Path(p).name for p in found.reverse] == [
        "sub-01_dir-PA_dwi.nii.gz", "sub-01_dir-PA_epi.nii.gz",
    ]  # fmt: skip


def test_gradients_are_inherited_from_the_dataset(bids, tmp_path):
    (tmp_path / "bids/sub-01/dwi/sub-01_dwi.bval").unlink()
    bids("dwi.bval")
    assert scan(tmp_path)["sub-01"].files["bval"] == str(tmp_path / "bids" / "dwi.bval")


def test_provided_mask(bids, tmp_path):
    bids("derivatives/m/sub-01/anat/sub-01_mask.nii.gz")
    found = scan(tmp_path, mask="derivatives/m/{folder}/anat/{prefix}_mask.nii.gz")
    assert found["sub-01"].files["brain_mask"].endswith("sub-01_mask.nii.gz")


def test_raters_are_found_by_their_folders(bids, tmp_path):
    for rater in ("anna", "ben"):
        bids(f"derivatives/{rater}/sub-01/anat/sub-01_label-EPVS_mask.nii.gz")
    pattern = "derivatives/{rater}/{folder}/anat/{prefix}_label-EPVS_mask.nii.gz"
    found = scan(tmp_path, raters=pattern)["sub-01"]
    assert list(found.raters) == ["anna", "ben"]
    assert found.raters["ben"].endswith("derivatives/ben/sub-01/anat/sub-01_label-EPVS_mask.nii.gz")


def test_index_round_trip_and_no_needless_write(bids, tmp_path):
    scans = list(scan(tmp_path).values())
    path = tmp_path / "index.json"
    write_index(scans, path)
    before = path.stat().st_mtime_ns
    write_index(scans, path)
    assert path.stat().st_mtime_ns == before
    assert read_index(path).scans == scans


def test_no_dataset(tmp_path):
    with pytest.raises(DatasetError, match="no folder"):
        scan_bids(tmp_path / "nothing", {}, "error", {})
    (tmp_path / "bids").mkdir()
    with pytest.raises(DatasetError, match="dataset_description.json is missing"):
        scan_bids(tmp_path / "bids", {}, "error", {})
    (tmp_path / "bids" / "dataset_description.json").write_text("{}")
    with pytest.raises(DatasetError, match="no sub-"):
        scan_bids(tmp_path / "bids", {}, "error", {})


def test_path_table(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("a/t1.nii.gz", "d.nii.gz", "d.bval"):
        (tmp_path / name).touch()
    table = tmp_path / "t.tsv"
    table.write_text(
        "participant_id\tsession_id\tT1w\tdwi\tbval\n"
        "sub-01\tses-1\ta/t1.nii.gz\tn/a\tn/a\n"
        f"02\t\t\t{tmp_path}/d.nii.gz\t{tmp_path}/d.bval\n"
    )
    first, second = read_path_table(table)
    assert first.files == {"T1w": str(tmp_path / "a/t1.nii.gz")}
    assert second.unit.prefix == "sub-02"
    assert second.files["bval"] == str(tmp_path / "d.bval")


def test_a_file_of_a_path_table_that_is_not_there_is_that_row_s_problem(tmp_path):
    (tmp_path / "t1.nii.gz").touch()
    table = tmp_path / "t.tsv"
    table.write_text("participant_id\tT1w\tdwi\n1\tt1.nii.gz\tnowhere.nii.gz\n2\tno.nii.gz\t\n")
    first, second = read_path_table(table)
    assert set(first.files) == {"T1w"}
    assert first.problems["dwi"].file == str(tmp_path / "nowhere.nii.gz")
    assert second.files == {}
    assert "no such file" in second.problems["T1w"].reason


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "header"),
        ("participant_id\tT1\nsub-01\tx\n", "unknown columns T1"),
        ("participant_id\tT1w\nsub-01\tx\nsub-01\ty\n", "more than one row for sub-01"),
        ("participant_id\tT1w\nsub-0_1\tx\n", "no BIDS label"),
    ],
)
def test_bad_path_table(tmp_path, text, message):
    table = tmp_path / "t.tsv"
    table.write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_path_table(table)


COLUMNS = DEFAULTS["participants"]["columns"]


def people(tmp_path, text, groups=None):
    path = tmp_path / "participants.tsv"
    path.write_text(text)
    return read_participants(path, COLUMNS, groups)


def test_participants(tmp_path):
    found = people(tmp_path, "participant_id\tgroup\tage\nsub-01\tAD\t70.5\n02\tNC\tn/a\n")
    assert found.rows["sub-01"] == {**dict.fromkeys(COLUMNS), "group": "AD", "age": 70.5}
    assert found.rows["sub-02"]["age"] is None
    assert not found.problems


def test_text_in_a_numeric_column_is_missing_and_reported(tmp_path):
    found = people(tmp_path, "participant_id\tage\nsub-01\tabout 70\nsub-02\t71\n")
    assert found.rows["sub-01"]["age"] is None
    assert "age is 'about 70', not a number" in found.problems["sub-01"][0].reason
    assert "sub-02" not in found.problems


def test_unknown_group_is_missing_and_reported(tmp_path):
    found = people(tmp_path, "participant_id\tgroup\nsub-01\tMCI?\n", ["AD", "NC"])
    assert found.rows["sub-01"]["group"] is None
    assert "group 'MCI?' is not one of AD, NC" in found.problems["sub-01"][0].reason


def test_duplicate_participant_is_unusable(tmp_path):
    found = people(tmp_path, "participant_id\tage\nsub-01\t70\nsub-01\t72\n")
    assert "several rows for sub-01" in found.problems["sub-01"][0].reason
    assert found.unusable == {"sub-01"}


@pytest.mark.parametrize("text", ["", "id\tage\nsub-01\t70\n", "participant_id,age\nsub-01,70\n"])
def test_unusable_participants_table(tmp_path, text):
    with pytest.raises(ParticipantsError, match="participant_id"):
        people(tmp_path, text)


def test_participant_without_images_and_the_reverse(bids, tmp_path):
    found = people(tmp_path, "participant_id\nsub-09\n")
    reasons = {name: stop.reason for name, stop in unmatched(list(scan(tmp_path).values()), found)}
    assert "has no images" in reasons["sub-09"]
    assert "no row" in reasons["sub-01"]


@pytest.mark.parametrize("exclude", [[], ["sub-1"]])
def test_a_job_takes_no_row_for_another_s_than_the_start(bids, config, tmp_path, exclude):
    """sub-1 has a row, sub-001 has none: also where a job is told of sub-001 alone."""
    bids("sub-001/anat/sub-001_T1w.nii.gz", "sub-1/anat/sub-1_T1w.nii.gz")
    (tmp_path / "bids/participants.tsv").write_text("participant_id\tage\n1\t70\n")
    config["exclude"] = ["sub-01", *exclude]
    begun = prepare(config)
    wanted = begun.by_prefix["sub-001"]
    assert not begun.participants.of(wanted.unit)
    of_table = load_participants(config, begun.scans, begun.left_out)
    of_rated = load_participants(config, [wanted], participants_alike(begun))
    assert not of_table.of(wanted.unit) and not of_rated.of(wanted.unit)


def test_prepare_and_reread_agree_and_reread_searches_nothing(bids, config, tmp_path, monkeypatch):
    bids("sub-02/anat/sub-02_T1w.nii.gz")
    index = str(tmp_path / "out" / "inputs" / "index.json")
    config["exclude"] = ["sub-02"]
    first = prepare(config)
    start(first, config, index)
    monkeypatch.setattr("glymph.inputs.cohort.read_bids", None)
    assert reread(config, index).scans == first.scans
    assert list(first.by_prefix) == ["sub-01"]


def test_jobs_refuse_a_configuration_that_is_not_the_runs(bids, config, tmp_path):
    bids("sub-02/anat/sub-02_T1w.nii.gz")
    index = str(tmp_path / "out" / "inputs" / "index.json")
    start(prepare(config), config, index)
    config["dwi"]["b_max"] = 900
    with pytest.raises(CohortError, match="the configuration changed while"):
        reread(config, index)


def later(path):
    os.utime(path, (time.time() + 9999, time.time() + 9999))


def test_an_image_from_the_future_is_left_out(bids, config, tmp_path):
    folder = bids("sub-02/anat/sub-02_T1w.nii.gz")
    later(folder / "sub-02/anat/sub-02_T1w.nii.gz")
    later(folder / "sub-01/dwi/sub-01_dwi.bvec")
    found = prepare(config)
    assert list(found.by_prefix["sub-01"].files) == ["T1w"]
    assert found.by_prefix["sub-02"].files == {}
    assert found.by_prefix["sub-01"].problems["dwi"].file.endswith("sub-01_dwi.bvec")
    assert sum("dated in the future" in line for line in found.summary()) == 2


def test_a_mask_from_the_future_is_never_passed_over(bids, config):
    later(bids("own/sub-01.nii.gz") / "own/sub-01.nii.gz")
    config["anat"]["brain_mask"] = "own/{prefix}.nii.gz"
    with pytest.raises(CohortError, match="sub-01.nii.gz is dated in the future"):
        prepare(config)


def test_prepare_gives_one_message(config):
    with pytest.raises(CohortError, match="is no folder"):
        prepare(config)


def test_fingerprint_changes_with_the_cohort(bids, tmp_path):
    one = Cohort(list(scan(tmp_path).values()))
    bids("sub-02/anat/sub-02_T1w.nii.gz")
    assert Cohort(list(scan(tmp_path).values())).fingerprint() != one.fingerprint()


def test_a_correction_replaces_the_result_of_its_unit_only(config, bids):
    bids("sub-02/anat/sub-02_T1w.nii.gz")
    place = Path(config["output_dir"]) / "review/corrected/sub-02/anat"
    place.mkdir(parents=True)
    for name in ("desc-brain_mask", "label-EPVS_mask"):
        (place / f"sub-02_{name}.nii.gz").touch()
    index = str(Path(config["output_dir"]) / "inputs/index.json")
    cohort = prepare(config)
    found = cohort.by_prefix
    assert found["sub-02"].corrected == ("brain_mask", "epvs_mask")
    assert found["sub-02"].files["brain_mask"] == str(place / "sub-02_desc-brain_mask.nii.gz")
    assert found["sub-01"].corrected == ()
    assert "brain_mask" not in found["sub-01"].files
    start(cohort, config, index)
    assert reread(config, index).by_prefix == found


def test_a_correction_comes_before_a_provided_mask(config, bids):
    bids("masks/sub-01.nii.gz")
    config["anat"]["brain_mask"] = "masks/{prefix}.nii.gz"
    config["review"]["folder"] = str(Path(config["bids_dir"]).parent / "mine")
    place = Path(config["review"]["folder"]) / "corrected/sub-01/anat"
    place.mkdir(parents=True)
    (place / "sub-01_desc-brain_mask.nii.gz").touch()
    found = prepare(config).by_prefix["sub-01"]
    assert found.files["brain_mask"].startswith(str(place))


@pytest.mark.parametrize(
    "name",
    ["sub-01/anat/sub-01_desc-brian_mask.nii.gz", "sub-01_desc-brain_mask.nii.gz",
     "sub-02/anat/sub-01_desc-brain_mask.nii.gz", "notes.txt"],
)  # fmt: skip
def test_a_correction_that_would_not_be_applied_stops_the_start(config, bids, name):
    place = Path(config["output_dir"]) / "review/corrected" / name
    place.parent.mkdir(parents=True)
    place.touch()
    with pytest.raises(CohortError, match="named as no correction") as problem:
        prepare(config)
    assert name in str(problem.value)


def test_corrections_of_absent_subjects_are_left_alone(config, bids):
    place = Path(config["output_dir"]) / "review/corrected/sub-77/ses-x/anat"
    place.mkdir(parents=True)
    (place / "sub-77_ses-x_label-EPVS_mask.nii.gz").touch()
    assert len(prepare(config).scans) == 1


@pytest.mark.parametrize("name", ["sub-02_T1w", "sub-01_ses-b_T1w"])
def test_an_image_in_another_s_folder_is_nobody_s(tmp_path, bids, name):
    """Neither the folder's subject nor the one that it is named after gets it."""
    bids("sub-02/dwi/sub-02_dwi.nii.gz", f"sub-01/anat/{name}.nii.gz")
    (tmp_path / "bids/sub-01/anat/sub-01_T1w.nii.gz").unlink()
    found = scan(tmp_path)
    assert set(found) == {"sub-01", "sub-02"}
    assert "T1w" not in found["sub-01"].files
    assert "T1w" not in found["sub-02"].files
    assert "folder of another subject" in found["sub-01"].problems["T1w"].reason
    assert found["sub-01"].problems["T1w"].file.endswith(f"{name}.nii.gz")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("sub-0_2/anat/sub-0_2_T1w.nii.gz", "letters and digits only"),
        ("sub-01/ses-pre_op/anat/sub-01_ses-pre_op_T1w.nii.gz", "letters and digits only"),
        ("Sub-02/anat/sub-02_T1w.nii.gz", "letters and digits only"),
        ("sub-02_T1w.nii.gz", "outside the subjects' folders"),
        ("sub-01/sub-01_run-2_T1w.nii.gz", "outside the folder anat/"),
        ("sub-01/anat/NIFTI/sub-01_T1w.nii.gz", "outside the folder anat/"),
        ("sub-01/anat/sub-01_MPRAGE.nii.gz", "no BIDS name"),
        ("subj-02/anat/sub-02_T1w.nii.gz", "letters and digits only"),
        ("S04/dwi/x_dwi.nii.gz", "letters and digits only"),
        ("sub-01/ses-2/fmap/sub-01_ses-2_dir-PA_epi.nii.gz", "a fieldmap without any image"),
        ("sub-01/dwi/sub-01_run-2_T1w.nii.gz", "outside the folder anat/"),
        ("sub-01/visit1/anat/sub-01_T1w.nii.gz", "outside the folder anat/"),
        ("sub-01/anat/sub-01_t1w.nii.gz", "no BIDS name"),
        ("sub-01/anat/MPRAGE 1.nii.gz", "no BIDS name"),
        ("sub-01/anat/sub-01_run-2_T1w.mgz", "no .nii or .nii.gz"),
        ("sub-02/func/sub-02_task-rest_bold.nii.gz", "no T1w, T2w, FLAIR or dwi image"),
    ],
)
def test_what_is_badly_named_is_listed_and_stops_nobody(tmp_path, bids, path, reason):
    bids(path)
    found = read_bids(tmp_path / "bids", {}, "error", {})
    assert [s.unit.prefix for s in found.scans] == ["sub-01"]
    assert found.scans[0].files["T1w"].endswith("sub-01_T1w.nii.gz")
    (unused,) = found.unused
    assert reason in unused.stop.reason


def test_other_kinds_of_data_and_hidden_files_are_no_matter(tmp_path, bids):
    bids("sub-01/anat/._sub-01_T1w.nii.gz", "sub-01/anat/sub-01_T1map.nii.gz", "subjects.txt",
         "sub-01/func/sub-01_task-rest_bold.nii.gz", "sub-01/fmap/sub-01_phasediff.nii.gz",
         "sub-01/dwi/sub-01_sbref.nii.gz", "sourcedata/sub-01/T1.nii.gz")  # fmt: skip
    assert read_bids(tmp_path / "bids", {}, "error", {}).unused == []


def test_only_an_image_that_is_used_makes_a_unit(tmp_path, bids):
    """Neither sessions.tsv, nor a fieldmap, nor a functional image beside the sessions does."""
    bids("sub-01/sub-01_sessions.tsv", "sub-03/ses-1/anat/sub-03_ses-1_T1w.nii.gz",
         "sub-03/sub-03_sessions.tsv", "sub-03/ses-2/fmap/sub-03_ses-2_dir-PA_epi.nii.gz",
         "sub-03/func/sub-03_bold.nii.gz")  # fmt: skip
    assert list(scan(tmp_path)) == ["sub-01", "sub-03_ses-1"]


def annexed(folder, path):
    """A link of git-annex to content that was not fetched, in the place of ``path``."""
    target = folder / path
    target.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to("../../.git/annex/objects/aa/MD5E-s1--00/MD5E-s1--00")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("sub-02/anat/sub-02_T1w.nii.gz", "T1w"),
        ("sub-02/dwi/sub-02_dwi.nii.gz", "dwi"),
        ("sub-02/dwi/sub-02_dwi.bvec", "dwi"),
        ("sub-02/dwi/sub-02_dwi.json", "dwi"),
        ("masks/sub-02.nii.gz", "T1w"),
    ],
)
def test_content_that_was_not_fetched_is_that_image_s_problem(tmp_path, bids, path, kind):
    folder = bids("sub-02/anat/sub-02_T1w.nii.gz", "sub-02/dwi/sub-02_dwi.nii.gz",
                  "sub-02/dwi/sub-02_dwi.bval", "sub-02/dwi/sub-02_dwi.bvec")  # fmt: skip
    annexed(folder, path)
    found = scan(tmp_path, mask="masks/{prefix}.nii.gz")
    assert set(found["sub-01"].files) == {"T1w", "dwi", "bval", "bvec", "json"}
    assert kind not in found["sub-02"].files
    assert len({"T1w", "dwi"} & set(found["sub-02"].files)) == 1
    assert found["sub-02"].problems[kind].cure == f"datalad get {folder / path}"


def test_an_inherited_json_that_was_not_fetched_is_the_dwi_s_problem(tmp_path, bids):
    annexed(bids(), "dwi.json")
    found = scan(tmp_path)["sub-01"]
    assert "dwi" not in found.files and "T1w" in found.files
    assert found.problems["dwi"].cure == f"datalad get {tmp_path / 'bids/dwi.json'}"


def test_the_same_from_a_relative_path(tmp_path, bids, monkeypatch):
    annexed(bids(), "dwi.json")
    monkeypatch.chdir(tmp_path)
    (found,) = scan_bids("bids", {}, "error", {})
    assert found.problems["dwi"].cure == "datalad get bids/dwi.json"


def test_nobody_left_stops_the_start(config, bids):
    bids()
    config["exclude"] = ["sub-01"]
    with pytest.raises(CohortError, match="nobody with images is left"):
        prepare(config)


def test_a_second_series_may_correct_the_first_and_is_named(tmp_path, bids):
    bids("sub-01/dwi/sub-01_dir-PA_dwi.nii.gz")
    found = read_bids(tmp_path / "bids", {}, "first", {})
    (unused,) = found.unused
    assert found.scans[0].reverse == (unused.stop.file,)
    assert "may serve to correct its distortion" in unused.stop.reason


def test_fieldmaps_of_the_subject_serve_its_sessions(tmp_path, bids):
    bids("sub-02/ses-1/dwi/sub-02_ses-1_dwi.nii.gz", "sub-02/fmap/sub-02_dir-PA_epi.nii.gz")
    found = scan(tmp_path)["sub-02_ses-1"]
    assert [Path(path).name for path in found.reverse] == ["sub-02_dir-PA_epi.nii.gz"]


def test_a_fieldmap_that_was_not_fetched_is_named(tmp_path, bids):
    annexed(bids(), "sub-01/fmap/sub-01_dir-PA_epi.nii.gz")
    found = scan(tmp_path)["sub-01"]
    assert found.reverse == ()
    assert "datalad get" in found.problems["fieldmap"].cure


def test_a_participants_table_that_was_not_fetched_stops_the_start(config, bids):
    annexed(bids(), "participants.tsv")
    with pytest.raises(
        CohortError, match=r"participants.tsv: its content is not here.*datalad get"
    ):
        prepare(config)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [({"run": 1}, True), ({"run": "01"}, True), ({"run": "1"}, True), ({"run": 2}, False),
     ({"acquisition": "mprage"}, True), ({"acq": "MPRAGE"}, False), ({"echo": None}, True),
     ({"run": None}, False), ({"suffix": "T1w", "acq": "mprage"}, True)],
)  # fmt: skip
def test_filters_compare_values_and_know_long_names(tmp_path, bids, wanted, fits):
    bids("sub-02/anat/sub-02_acq-mprage_run-001_T1w.nii.gz")
    found = scan(tmp_path, filters={"T1w": wanted})["sub-02"]
    assert ("T1w" in found.files) == fits
    if not fits:
        assert "1 T1w image, none fits inputs.filters.T1w {" in found.problems["T1w"].reason


@pytest.mark.parametrize(("name", "hint"), [("acquisitoin", "acquisition"), ("xyz", "entities")])
def test_a_filter_by_what_is_no_entity_is_refused(tmp_path, bids, name, hint):
    with pytest.raises(DatasetError, match=f"'{name}' is no entity of BIDS; .*{hint}"):
        scan(tmp_path, filters={"T1w": {name: 1}})


def test_runs_are_in_order_of_their_numbers_and_those_passed_over_are_named(tmp_path, bids):
    names = [f"sub-02/anat/sub-02_run-{n}_T1w.nii.gz" for n in (2, 10, 1)]
    bids(*names)
    found = read_bids(tmp_path / "bids", {}, "last", {})
    assert found.scans[1].files["T1w"].endswith("run-10_T1w.nii.gz")
    assert sorted(Path(one.stop.file).name for one in found.unused) == [
        "sub-02_run-1_T1w.nii.gz", "sub-02_run-2_T1w.nii.gz",
    ]  # fmt: skip
    assert "was chosen by inputs.several: last" in found.unused[0].stop.reason


def test_an_image_of_another_subject_does_not_take_the_place_of_the_own_one(tmp_path, bids):
    bids("sub-01/anat/sub-07_T1w.nii.gz")
    found = read_bids(tmp_path / "bids", {}, "error", {})
    assert found.scans[0].files["T1w"].endswith("sub-01_T1w.nii.gz")
    assert "another subject" in found.unused[0].stop.reason


@pytest.mark.parametrize(
    "place", ["{b}", "{b}/", "{b}/../bids", "{b}/results", "{b}/sub-01", "link"]
)
def test_results_are_never_written_among_raw_data(config, bids, tmp_path, place):
    folder = bids()
    (tmp_path / "link").symlink_to(folder)
    config["output_dir"] = place.format(b=folder) if place != "link" else str(tmp_path / "link/x")
    settle_types(config)
    with pytest.raises(CohortError, match="raw data are not written to.*derivatives"):
        prepare(config)


@pytest.mark.parametrize("place", ["bids/derivatives/glymph", "out", "bids2"])
def test_results_may_lie_in_derivatives_or_elsewhere(config, bids, tmp_path, place):
    bids()
    config["output_dir"] = str(tmp_path / place)
    assert prepare(config).scans


def test_the_folder_of_another_dataset_is_not_written_to(config, bids, tmp_path):
    bids()
    (tmp_path / "out").mkdir()
    description = tmp_path / "out/dataset_description.json"
    for content in ('{"Name": "x"}', '{"GeneratedBy": [{"Name": "fMRIPrep"}]}', "{"):
        description.write_text(content)
        with pytest.raises(CohortError, match="is another dataset"):
            prepare(config)
    description.write_text('{"GeneratedBy": [{"Name": "glymph"}]}')
    assert prepare(config).scans


@pytest.mark.parametrize(
    ("written", "path"),
    [("./out", "out"), ("out//x/", "out/x"), ("a/../out", "out"), ("~/out", "/home/me/out"),
     ("$WHERE/out", "/data/out"), ("${WHERE}//out", "/data/out"), (".", ".")],
)  # fmt: skip
def test_paths_are_written_in_one_way(monkeypatch, written, path):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("WHERE", "/data")
    config = copy.deepcopy(DEFAULTS) | {"output_dir": written, "template": {"t1w": written}}
    config["participants"]["table"] = written
    settle_types(config)
    assert config["output_dir"] == config["participants"]["table"] == path
    assert config["template"]["t1w"] == path


def test_another_raw_dataset_is_not_written_to_either(config, bids, tmp_path):
    bids()
    other = tmp_path / "other"
    other.mkdir()
    (other / "dataset_description.json").write_text('{"Name": "y"}')
    config["output_dir"] = str(other / "results")
    with pytest.raises(CohortError, match="lies in the dataset .*other, whose raw data"):
        prepare(config)
    config["output_dir"] = str(other / "derivatives/glymph")
    assert prepare(config).scans


def test_a_variable_that_is_not_set_is_named(config, bids):
    bids()
    config["output_dir"] = "$NOWHERE_SET/out"
    with pytest.raises(CohortError, match=r"output_dir: '\$NOWHERE_SET/out' names a variable"):
        prepare(config)


PATTERNS = [
    ({"anat": {"brain_mask": "m/{prefix}_brain.nii.gz"}}, "anat.brain_mask", "m/sub-01_brain"),
    ({"epvs": {"lesion_mask": "m/{prefix}_les.nii.gz"}}, "epvs.lesion_mask", "m/sub-01_les"),
    ({"epvs": {"raters": "m/{rater}/{prefix}.nii.gz"}}, "epvs.raters", "m/anna/sub-01"),
    ({"epvs": {"engine": "provided", "epvs_mask": "m/{folder}.nii.gz"}}, "epvs.epvs_mask",
     "m/sub-01"),
    ({"epvs": {"regions": "provided", "region_labels": "m/{prefix}.nii.gz"}},
     "epvs.region_labels", "m/sub-01"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "key", "stem"), PATTERNS)
def test_a_pattern_that_fits_nobody_stops_the_start(bids, config, change, key, stem):
    bids(f"{stem}.nii", "sub-02/anat/sub-02_T1w.nii.gz")
    for stage, keys in change.items():
        config[stage] |= keys
    with pytest.raises(CohortError, match=f"{key}: '.*' fits 0 of 2 subject-sessions"):
        prepare(config)
    bids(f"{stem}.nii.gz")
    assert f"{key} fits 1 of 2 subject-sessions." in prepare(config).summary()
    config["participant_label"] = ["02"]
    assert f"{key} fits 0 of 1 subject-sessions." in prepare(config).summary()
    config["plan"] = "subjects"  # in such a plan nobody knows of others
    assert f"{key} fits 0 of 1 subject-sessions." in prepare(config).summary()


def test_the_pattern_of_raters_that_is_there_by_default_needs_no_raters(bids, config):
    assert not any("raters" in line for line in prepare(config).summary())


def test_a_mask_without_its_content_fits_the_pattern(bids, config):
    place = bids("m/x") / "m/sub-01.nii.gz"
    place.symlink_to("nothing")
    config["anat"]["brain_mask"] = "m/{prefix}.nii.gz"
    found = prepare(config)
    assert "anat.brain_mask fits 1 of 1 subject-sessions." in found.summary()
    assert "content is not here" in found.scans[0].problems["T1w"].reason


def test_a_review_folder_that_somebody_named_must_be_there(bids, config, tmp_path):
    config["review"]["folder"] = str(tmp_path / "reviews")
    with pytest.raises(CohortError, match="review.folder: there is no folder"):
        prepare(config)
    (tmp_path / "reviews").mkdir()
    assert prepare(config).scans


def test_raters_may_name_whom_the_configuration_leaves_out(bids, config):
    bids("sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz")
    config["exclude"] = ["sub-02"]
    assert known_units(prepare(config), config) == {Unit("01"), Unit("02", "a")}


def test_raters_may_name_the_rows_of_a_table_made_elsewhere(config, tmp_path):
    table = tmp_path / "mine.tsv"
    table.write_text("participant_id\tsession_id\n01\tn/a\nsub-02\tses-a\na b\t1\n")
    config["metrics_table"] = str(table)
    assert known_units(prepare(config), config) == {Unit("01"), Unit("02", "a")}


def test_a_colour_of_a_group_that_there_is_not_stops_the_start(bids, config):
    table = bids() / "participants.tsv"
    table.write_text("participant_id\tgroup\nsub-01\tAD\nsub-02\tNC\n")
    config["stats"]["colours"] = {"NC": "#112233", "MCI": "#112233"}
    with pytest.raises(CohortError, match="no group MCI; groups are AD, NC"):
        prepare(config)
    config["participants"]["groups"] = ["NC", "MCI", "AD"]  # a configuration of several datasets
    assert prepare(config).scans
    config["participants"]["groups"] = []
    table.write_text("participant_id\tage\nsub-01\t70\n")
    assert prepare(config).scans


def test_a_colour_of_a_group_that_a_table_made_elsewhere_has_not(config, tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("participant_id,Diagnosis\n1,AD\n2,n/a\n")
    config["metrics_table"], config["stats"]["colours"] = str(table), {"NC": "#112233"}
    config["participants"]["columns"]["group"] = "diagnosis"
    with pytest.raises(CohortError, match="no group NC; groups are AD"):
        prepare(config)
    config["stats"]["colours"] = {"AD": "#112233"}
    assert prepare(config).scans == []
