"""Plans of single subjects and of the cohort alone: who is finished, and what stops a run."""

import copy
import shutil
from pathlib import Path

import pytest
import yaml

from glymph.common.errors import Fault
from glymph.common.names import Unit
from glymph.common.sidecars import write_json
from glymph.inputs import plan
from glymph.inputs.cohort import CohortError, index_place, prepare
from glymph.inputs.index import Scan
from glymph.inputs.people import NobodyError, asked_subjects
from tests.conftest import ROOT

DEFAULTS = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
SCAN = Scan(Unit("01"), {"T1w": "t1w.nii.gz"})


def made(sources="old", rois=None, engines=None, **config):
    found = {"t1w.nii.gz": sources, "mask.nii.gz": "old"}
    return plan.made_of(SCAN, DEFAULTS | config, ROOT, found, rois or {}, engines or {})


@pytest.fixture
def note(tmp_path):
    """A unit's record and its note in the output folder."""
    record = tmp_path / SCAN.unit.path("", "metrics.json")
    record.parent.mkdir()
    record.write_text("{}")
    path = tmp_path / SCAN.unit.path("", plan.NOTE)
    write_json(plan.finished(made(), record), path)
    return path


def test_a_unit_is_finished_as_long_as_it_would_be_made_of_the_same(note, tmp_path):
    assert plan.why_unfinished(SCAN, tmp_path, made()) == ""
    others = {"stats": {}, "plan": "cohort", "participant_label": ["01"], "exclude": ["sub-02"]}
    assert plan.why_unfinished(SCAN, tmp_path, made(**others)) == ""


@pytest.mark.parametrize(
    "now, reason",
    [
        ({"sources": "new"}, "its files changed"),
        ({"dwi": DEFAULTS["dwi"] | {"b_max": 900}}, "another configuration"),
        ({"engines": {"networks": "others"}}, "another network"),
        ({"rois": {"left_projection": {"shift_mm": [1, 0, 0]}}}, "ALPS regions were corrected"),
    ],
)
def test_why_a_unit_is_not_finished(note, tmp_path, now, reason):
    assert reason in plan.why_unfinished(SCAN, tmp_path, made(**now))


def test_results_of_another_run_are_not_those_of_the_note(note, tmp_path):
    record = tmp_path / SCAN.unit.path("", "metrics.json")
    record.write_text('{"values": {}}')
    assert "of another run" in plan.why_unfinished(SCAN, tmp_path, made())
    record.unlink()
    assert "not finished" in plan.why_unfinished(SCAN, tmp_path, made())


def test_another_version_of_the_science_is_seen(note, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "science_hash", lambda root: "another")
    assert "another version" in plan.why_unfinished(SCAN, tmp_path, made())


def test_the_scripts_of_the_cohort_are_still_called_so():
    for name in plan.SCRIPTS_OF_COHORT:
        assert (ROOT / "workflow" / "scripts" / name).is_file()


def test_what_all_subjects_share_is_not_made_by_one_of_them():
    plan.check_jobs(["anat_preproc", "epvs_regions"], "out")
    with pytest.raises(Fault, match="out/atlas.*make it first"):
        plan.check_jobs(["anat_preproc", "epvs_atlas"], "out")


@pytest.fixture
def config(tmp_path):
    for subject in ("sub-01", "sub-02", "sub-010"):
        path = tmp_path / "bids" / subject / "anat" / f"{subject}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        path.touch()
    (tmp_path / "bids/dataset_description.json").write_text(
        '{"Name": "x", "BIDSVersion": "1.10.0"}'
    )
    return copy.deepcopy(DEFAULTS) | {
        "bids_dir": str(tmp_path / "bids"), "output_dir": str(tmp_path / "out"),
        "plan": "subjects", "participant_label": [1],
    }  # fmt: skip


def test_only_the_folders_asked_for_are_opened(config, monkeypatch):
    opened = []
    monkeypatch.setattr("glymph.inputs.survey._subject", lambda *a: opened.append(a[0].name))
    with pytest.raises(CohortError):  # nothing was read of it
        prepare(config)
    assert opened == ["sub-01"]


def test_masks_of_alps_regions_are_watched_and_other_people_s_corrections_are_not(config):
    review = Path(config["output_dir"]) / "review"
    corrected = [f"corrected/{s}/anat/{s}_label-EPVS_mask.nii.gz" for s in ("sub-01", "sub-02")]
    for name in ("rois.tsv", "masks/a.nii.gz", *corrected):
        (review / name).parent.mkdir(parents=True, exist_ok=True)
        (review / name).touch()
    found = {Path(path).name for path in prepare(config).sources}
    assert {"rois.tsv", "a.nii.gz", "sub-01_label-EPVS_mask.nii.gz"} <= found
    assert "sub-02_label-EPVS_mask.nii.gz" not in found


def test_a_subject_s_plan_knows_nobody_else(config):
    (Path(config["bids_dir"]) / "participants.tsv").write_text("no table at all")
    assert list(prepare(config).by_prefix) == ["sub-01"]
    config["participant_label"] = ["sub-02", "010"]
    assert list(prepare(config).by_prefix) == ["sub-010", "sub-02"]


@pytest.mark.parametrize("labels", [[], ["~01"]])
def test_a_subject_s_plan_needs_its_name(config, labels):
    with pytest.raises(CohortError, match="plan: subjects takes the subjects"):
        prepare(config | {"participant_label": labels})
    with pytest.raises(NobodyError, match="did you mean sub-01"):
        asked_subjects(config["bids_dir"], ["sub-011"])


def test_each_run_has_an_index_of_its_own(config):
    one, two = (index_place(config | {"participant_label": [n]}) for n in ("01", "02"))
    assert one != two
    assert index_place(config | {"plan": "all"}).endswith("out/inputs/index.json")


def test_a_cohort_without_anybody_finished_says_so(config):
    cohort = prepare(config)
    made = {"sub-01": plan.made_of(cohort.scans[0], config, ROOT, cohort.sources, {}, {})}
    with pytest.raises(CohortError, match="nobody is finished; sub-01: not finished"):
        cohort.of_finished(made, config["output_dir"])


def test_who_is_excluded_stops_nobody_else(config):
    config["exclude"] = ["sub-02"]
    assert list(prepare(config).by_prefix) == ["sub-01"]
    with pytest.raises(CohortError, match="nobody with images is left"):
        prepare(config | {"exclude": ["sub-01"]})


def test_scripts_and_networks_are_part_of_what_a_unit_is_made_of(tmp_path):
    for name in ("workflow/scripts", "resources"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.pt", "*.gz"))
    before = plan.science_hash(tmp_path)
    plan.science_hash.cache_clear()
    (tmp_path / "resources/statistics.yaml").write_text("x")
    assert plan.science_hash(tmp_path) == before
    plan.science_hash.cache_clear()
    (tmp_path / "workflow/scripts/dwi/tensor.py").write_text("x = 1")
    assert plan.science_hash(tmp_path) != before
    network = tmp_path / "resources/models/epvs"
    first = plan.networks_hash(network)
    plan.networks_hash.cache_clear()
    (network / "configs/metadata.json").write_text("{}")
    assert plan.networks_hash(network) != first
