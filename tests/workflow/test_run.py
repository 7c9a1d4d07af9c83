"""The real workflow on a small simulated cohort: numbers, faults, reruns, kills."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from glymph.common.registry import metrics
from tests.workflow.conftest import COHORT, ROOT, planned, settings, snakemake

pytestmark = pytest.mark.slow
ARGUMENTS = settings("bids", "out", epvs="{engine: none}")


def table(path):
    with Path(path).open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def rows(folder):
    return {row["participant_id"]: row for row in table(folder / "out/group/metrics.tsv")}


def dry(folder, *more):
    _, output = snakemake("-n", *more, *ARGUMENTS, cwd=folder)
    return planned(output)


def test_one_row_per_subject_with_participants_and_metrics(finished):
    found = rows(finished[0])
    assert list(found) == ["sub-AD01", "sub-MCI01", "sub-NC01"]
    sound = found["sub-NC01"]
    assert sound["group"] == "NC"
    assert float(sound["age"]) > 0
    for axes in ("native", "template", "principal"):
        for side in ("left", "right", "mean"):
            assert 0.8 < float(sound[f"alps_{axes}_{side}"]) < 2.2
    assert sound["alps_registration"] == "T1w"
    assert len({row["software"] for row in found.values()}) == 1


def test_every_column_is_described(finished):
    header = list(rows(finished[0])["sub-NC01"])
    described = json.loads((finished[0] / "out/group/metrics.json").read_text())
    assert [name for name in described if name not in ("GeneratedBy", "Parameters")] == header
    assert all(described[name]["Description"] for name in header)
    assert described["Parameters"]["alps"]["rois"] == "study"


def test_a_sound_subject_has_every_metric_of_the_registry(finished):
    """But for those of a DWI without T1w, which the test of one asks for."""
    row = rows(finished[0])["sub-NC01"]
    expected = [name for name, metric in metrics().items() if metric.stage != "epvs"]
    missing = [name for name in expected if row.get(name, "n/a") == "n/a"]
    assert missing == ["dwi_template_fit_b0", "dwi_template_fit_fa"]


def test_alps_is_near_the_truth_even_at_3_mm(finished):
    truth = {row["participant_id"]: row for row in table(finished[0] / "truth/truth.tsv")}
    found = rows(finished[0])["sub-NC01"]
    for side in ("left", "right"):
        error = float(found[f"alps_template_{side}"]) - float(truth["sub-NC01"][f"alps_{side}"])
        assert abs(error) < 0.15


def test_brain_volume_is_near_the_truth(finished):
    truth = {row["participant_id"]: row for row in table(finished[0] / "truth/truth.tsv")}
    found = rows(finished[0])["sub-NC01"]
    true = sum(float(truth["sub-NC01"][f"{tissue}_volume_mm3"]) for tissue in ("gm", "wm"))
    assert float(found["brain_volume_mm3"]) == pytest.approx(true, rel=0.1)


def test_missing_t1w_goes_straight_to_the_template_and_is_listed(finished):
    row = rows(finished[0])["sub-AD01"]
    assert row["alps_registration"] == "b0 to the template (no T1w)"
    assert row["brain_volume_mm3"] == "n/a"
    assert float(row["dwi_template_fit_b0"]) > 0.65 and float(row["dwi_template_fit_fa"]) > 0.4
    listed = table(finished[0] / "out/group/exclusions.tsv")
    mine = [r for r in listed if r["participant_id"] == "sub-AD01"]
    assert [(r["branch"], r["reason"]) for r in mine] == [("anat", "no T1w image")]


def test_bad_subject_is_listed_with_file_reason_and_cure(finished):
    folder, output = finished
    row = rows(folder)["sub-MCI01"]
    assert row["alps_native_mean"] == "n/a"
    assert float(row["brain_volume_mm3"]) > 0, "its T1w is sound"
    listed = table(folder / "out/group/exclusions.tsv")
    (listed,) = [r for r in listed if r["participant_id"] == "sub-MCI01"]
    assert "not finite" in listed["reason"]
    assert listed["file"].endswith("sub-MCI01_dwi.bvec")
    assert listed["cure"]
    assert "exclusions.tsv" in output


def test_results_of_a_bad_subject_cannot_be_read_as_images(finished):
    path = finished[0] / "out/sub-MCI01/dwi/sub-MCI01_model-tensor_param-fa_dwimap.nii.gz"
    assert path.read_bytes().startswith(b"GLYMPH-STOP")
    with pytest.raises(nib.filebasedimages.ImageFileError):
        nib.load(path)


def test_output_tree(finished):
    """Golden listing of one sound subject: nothing lost, nothing unexpected."""
    out = finished[0] / "out"
    found = {p.relative_to(out).as_posix() for p in (out / "sub-NC01").rglob("*") if p.is_file()}
    expected = (Path(__file__).parent / "expected_outputs.txt").read_text().split()
    assert found == {name.replace("SUB", "sub-NC01") for name in expected}


def test_images_carry_axes_sources_and_software(finished):
    stem = finished[0] / "out/sub-NC01/dwi/sub-NC01_model-tensor_param-tensor_dwimap"
    sidecar = json.loads(Path(f"{stem}.json").read_text())
    assert sidecar["Components"] == ["Dxx", "Dxy", "Dxz", "Dyy", "Dyz", "Dzz"]
    assert "RAS" in sidecar["Axes"]
    assert sidecar["Units"] == "mm2/s"
    assert sidecar["GeneratedBy"]["dipy"]
    image = nib.load(f"{stem}.nii.gz")
    assert image.shape[3] == 6
    assert np.isfinite(image.get_fdata()).all()


def test_pages_are_self_contained(finished):
    for name in ("sub-NC01", "sub-AD01", "sub-MCI01"):
        page = (finished[0] / f"out/{name}/{name}_qc.html").read_text()
        assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
        assert "<script" not in page
    sound = (finished[0] / "out/sub-NC01/sub-NC01_qc.html").read_text()
    assert sound.count("data:image/webp;base64,") == 8
    bad = (finished[0] / "out/sub-MCI01/sub-MCI01_qc.html").read_text()
    assert "Not everything could be made" in bad
    assert "not finite" in bad


def test_snakemake_report_builds(finished):
    folder, _ = finished
    snakemake("--report", "report.zip", *ARGUMENTS, cwd=folder)
    assert (folder / "report.zip").stat().st_size > 10_000


def test_outputs_pass_the_bids_validator(finished):
    """Those of the sound subject and of the cohort: stops in the place of images do not."""
    from glymph.inputs.validate import validate

    broken = ("/sub-AD01/", "/sub-MCI01/")
    errors = [row for row in validate(finished[0] / "out") if row["severity"] == "error"]
    assert [row for row in errors if not row["location"].startswith(broken)] == []


def test_second_run_has_nothing_to_do(finished):
    assert dry(finished[0]) == {}


def test_added_and_removed_subject(copy_of_finished):
    shutil.rmtree(copy_of_finished / "bids/sub-AD01")
    assert dry(copy_of_finished) == {"all": 1, **COHORT}
    snakemake(*ARGUMENTS, cwd=copy_of_finished)
    assert list(rows(copy_of_finished)) == ["sub-MCI01", "sub-NC01"]
    listed = table(copy_of_finished / "out/group/exclusions.tsv")
    assert any("sub-AD01 is in the participants table but has no" in r["reason"] for r in listed)


def test_repaired_subject_is_made(copy_of_finished):
    bvec = copy_of_finished / "bids/sub-MCI01/dwi/sub-MCI01_dwi.bvec"
    shutil.copy(copy_of_finished / "sound.bvec", bvec)
    jobs = dry(copy_of_finished)
    assert jobs["dwi_correct"] == 1
    assert "anat_register" not in jobs


def test_kill_and_rerun_give_the_same_table(finished, tmp_path):
    """kill -9 in the middle of the diffusion stage; the next run completes it, equal."""
    folder, _ = finished
    work, wanted = tmp_path / "again", "out/group/metrics.tsv"
    shutil.copytree(folder / "bids", work / "bids")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", wanted, "-s", str(ROOT / "Snakefile"), "--cores", "2",
         *ARGUMENTS],
        cwd=work, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    log = work / "out/logs/sub-NC01/sub-NC01_dwi_correct.log"
    deadline = time.time() + 600
    while not (log.is_file() and "gradient check" in log.read_text()):
        assert time.time() < deadline
        assert process.poll() is None
        time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    snakemake("--unlock", *ARGUMENTS, cwd=work)
    snakemake(wanted, *ARGUMENTS, cwd=work)
    assert (work / wanted).read_text() == (folder / wanted).read_text()
    assert dry(work, wanted) == {}
