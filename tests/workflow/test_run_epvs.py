"""Perivascular spaces through the real workflow: one simulated brain at 1 mm with two raters."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from glymph.common.registry import metrics
from glymph.review.desk import Desk
from tests.workflow.conftest import COHORT, ROOT, planned, settings, snakemake

pytestmark = pytest.mark.slow
ARGUMENTS = settings("bids", "out")
STEM = "out/sub-NC01/anat/sub-NC01"


def table(path):
    with Path(path).open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.fixture(scope="module")
def brain(tmp_path_factory):
    """One subject with T1w, T2w and two raters, run to the end; returns its folder."""
    folder = tmp_path_factory.mktemp("epvs")
    subprocess.run(
        [sys.executable, "-m", "glymph.simulate", str(folder / "bids"), str(folder / "truth"),
         "--groups", "0", "0", "1", "--seed", "8", "--modalities", "T1w", "T2w",
         "--raters", "anna", "ben"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"},
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    snakemake(*ARGUMENTS, cwd=folder)
    return folder


@pytest.fixture
def copy_of_brain(brain, tmp_path):
    shutil.copytree(brain, tmp_path / "copy", copy_function=shutil.copy2)
    return tmp_path / "copy"


def row(folder):
    (found,) = table(folder / "out/group/metrics.tsv")
    return found


def test_every_metric_of_the_stage_is_in_the_table(brain):
    found = row(brain)
    optional = [name for name, metric in metrics().items() if metric.may_be_missing]
    for name, metric in metrics().items():
        if metric.stage == "epvs" and name not in optional and "flair" not in name:
            assert float(found[name]) >= 0, name
    assert found["epvs_input"] == "T1w+T2w"
    assert found["epvs_lesions"] == "none"


def test_counts_and_volumes_add_up(brain):
    found = row(brain)
    for what in ("count", "volume_mm3", "fluid_mm3"):
        parts = [float(found[f"epvs_{place}_{what}"]) for place in ("cso", "bg", "midbrain")]
        assert sum(parts) == pytest.approx(float(found[f"epvs_total_{what}"]))
    fraction = float(found["epvs_total_volume_mm3"]) / float(found["brain_volume_mm3"])
    assert float(found["epvs_total_fraction_brain"]) == pytest.approx(fraction, rel=1e-5)


def test_most_planted_spaces_are_found(brain):
    agreement = table(brain / "out/group/agreement.tsv")
    to_rater = {r["reference"]: r for r in agreement if r["result"] == "workflow"}
    assert set(to_rater) == {"anna", "ben", "union", "intersection"}
    assert float(to_rater["intersection"]["object_recall"]) > 0.6
    assert float(to_rater["union"]["object_precision"]) > 0.6
    assert {r["reference_made"] for r in agreement} == {"unknown"}


def test_mask_lies_on_the_t1w_and_objects_in_the_template(brain):
    t1w = nib.load(brain / "bids/sub-NC01/anat/sub-NC01_T1w.nii.gz")
    mask = nib.load(brain / f"{STEM}_label-EPVS_mask.nii.gz")
    assert mask.shape == t1w.shape
    np.testing.assert_allclose(mask.affine, t1w.affine, atol=1e-4)
    objects = table(brain / f"{STEM}_desc-EPVS_objects.tsv")
    counts = {name: int(row(brain)[f"epvs_{name}_count"]) for name in ("total", "dwm")}
    assert len(objects) == sum(counts.values())  # the total leaves deep white matter out
    assert sum(item["region"] == "dwm" for item in objects) == counts["dwm"]
    for item in objects:
        side = float(item["mni_x"])
        assert abs(side) < 75 and (side < 3 if item["side"] == "left" else side > -3)
        assert float(item["length_mm"]) >= 2
    described = json.loads((brain / f"{STEM}_desc-EPVS_objects.json").read_text())
    assert set(described) == set(objects[0])


def test_region_volumes_are_near_the_simulated_ones(brain):
    truth = nib.load(brain / "truth/sub-NC01/sub-NC01_space-T1w_label-region_dseg.nii.gz")
    values = np.asarray(truth.dataobj)
    # the simulator draws its own, simpler outlines: same place, similar size
    for name, value in (("cso", 1), ("midbrain", 3)):
        expected = float((values == value).sum())
        assert float(row(brain)[f"{name}_volume_mm3"]) == pytest.approx(expected, rel=0.5)


def test_output_tree(brain):
    out = brain / "out"
    found = {p.relative_to(out).as_posix() for p in (out / "sub-NC01").rglob("*") if p.is_file()}
    expected = (Path(__file__).parent / "expected_outputs_epvs.txt").read_text().split()
    assert found == {name.replace("SUB", "sub-NC01") for name in expected}


def test_page_shows_the_perivascular_spaces(brain):
    page = (brain / "out/sub-NC01/sub-NC01_qc.html").read_text()
    assert "Perivascular spaces" in page
    slices = page.count(": outlines off")  # each with T1w and T2w, with and without outlines
    assert slices >= 4
    assert page.count("data:image/webp;base64,") == 6 + 4 * slices


def test_second_run_has_nothing_to_do(brain):
    _, output = snakemake("-n", *ARGUMENTS, cwd=brain)
    assert planned(output) == {}


def test_an_object_deleted_in_the_viewer_is_one_fewer_and_no_other_changes(copy_of_brain):
    out, name = copy_of_brain / "out", "out/sub-NC01/anat/sub-NC01_desc-EPVS_objects.tsv"
    before = table(copy_of_brain / name)
    entry = {"unit": "sub-NC01", "kind": "epvs", "rater": "AB", "based_on": "",
             "decisions": {"2": "delete"}}  # fmt: skip
    done = Desk(out, out / "review").save(json.dumps(entry).encode())
    assert done["summary"]["objects"] == len(before) - 1
    snakemake(name, *ARGUMENTS, cwd=copy_of_brain)
    kept = [row | {"object": None} for row in before if row["object"] != "2"]
    assert [row | {"object": None} for row in table(copy_of_brain / name)] == kept


def test_a_corrected_mask_reruns_the_count_of_its_subject(copy_of_brain):
    """Raters' objects replace the network's; what lies before the mask stays."""
    place = copy_of_brain / "out/review/corrected/sub-NC01/anat"
    place.mkdir(parents=True)
    drawn = copy_of_brain / "bids/derivatives/anna/sub-NC01/anat/sub-NC01_label-EPVS_mask.nii.gz"
    shutil.copy(drawn, place)
    _, output = snakemake("-n", *ARGUMENTS, cwd=copy_of_brain)
    assert planned(output) == {
        "epvs_census": 1, "epvs_agreement": 1, "metrics_unit": 1, "metrics_agreement": 1,
        "qc_page": 1, "all": 1, **COHORT,
    }  # fmt: skip
    snakemake(*ARGUMENTS, cwd=copy_of_brain)
    assert row(copy_of_brain)["corrected"] == "epvs_mask"
    agreement = {r["result"]: r for r in table(copy_of_brain / "out/group/agreement.tsv")
                 if r["reference"] == "anna"}  # fmt: skip
    assert float(next(iter(agreement.values()))["dice"]) > 0.9
