"""Files that are damaged or replaced behind the workflow's back."""

import os
import shutil

import pytest

from tests.faults.conftest import ROOT, Run, change_nc01, image, plan, run, tables

pytestmark = pytest.mark.slow
V1 = "dwi/sub-NC01_model-tensor_param-v1_dwimap.nii.gz"


def overwrite(path):
    """Other bytes in the middle of a file, which keeps its length and its time."""
    times = os.stat(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(255 - value for value in content[middle : middle + 8])
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_damaged_results_are_not_read(finished, clean):
    """A result that was damaged, cut short or replaced by another subject's is refused by whatever
    reads it, by name and with the cure; once it is deleted, the next run makes it anew."""
    out = finished / "out"
    overwritten = out / "sub-NC01" / V1
    cut = out / "sub-MCI01/anat/sub-MCI01_desc-brain_mask.nii.gz"
    swapped = out / "sub-AD01/anat/sub-AD01_desc-tissue_anat.json"
    overwrite(overwritten)
    cut.write_bytes(cut.read_bytes()[:-100])
    shutil.copy(out / "sub-MCI01/anat/sub-MCI01_desc-tissue_anat.json", swapped)
    output = run(finished, fails=True, alps="{min_coverage: 0.45}")
    for path in (overwritten, cut, swapped):
        assert f"{path.relative_to(finished)}: this result is not as the workflow made it" in output
    assert "delete the file and run the same command again" in output
    for path in (overwritten, cut, swapped):
        path.unlink()
    run(finished)
    assert tables(finished) == tables(clean)
    assert plan(finished) == {}


def test_half_written_results_are_known_without_snakemakes_notes(fresh, clean):
    """Even where `.snakemake` is gone, a result whose job was killed is not taken for whole: what
    reads it refuses it by name and with the cure."""
    whole, only = clean / "out/sub-AD01/anat", {"exclude": "[sub-MCI01,sub-NC01]"}
    begun = fresh / "out/.glymph/sub-AD01/anat/sub-AD01_desc-preproc_T1w.nii.gz"
    with Run(fresh, **only) as work:
        work.wait_for(begun.exists)
    shutil.rmtree(fresh / ".snakemake")
    made = fresh / "out/sub-AD01/anat"
    for end in ("T1w.nii.gz", "T1w.json"):
        shutil.copy(whole / f"sub-AD01_desc-preproc_{end}", made)
    for end in ("brain_mask.nii.gz", "brain_mask.json", "brain_anat.json"):
        (made / f"sub-AD01_desc-{end}").write_bytes(b"")
    output = run(fresh, fails=True, **only)
    assert "sub-AD01_desc-preproc_T1w.nii.gz: this result is half-written" in output
    assert "delete the file and run the same command again" in output


def test_image_replaced_during_the_run(finished, clean):
    """An image replaced while the workflow runs makes the jobs that read it fail by name; the next
    run makes everything of the new one, even if its time is old."""
    originals = {kind: image(clean, "sub-NC01", kind) for kind in ("T1w", "dwi")}
    change_nc01(finished)
    with Run(finished) as work:
        with work.held("anat_preproc"):
            for kind, original in originals.items():
                scratch = finished / "scratch"
                shutil.copy2(original, scratch)
                scratch.replace(image(finished, "sub-NC01", kind))
        code, output = work.end()
    assert code != 0
    for kind in originals:
        assert f"sub-NC01_{kind}.nii.gz: this file changed while the workflow was running" in output
    run(finished)
    assert tables(finished) == tables(clean)
    assert plan(finished) == {}


def test_configuration_edited_during_the_run(finished, clean):
    """A run keeps the configuration that it started with, and the next one does what the edited one
    changes; jobs on other machines, which read it anew, refuse a changed one (test_cohort.py)."""
    settings = finished / "settings.yaml"
    text = settings.read_text()
    with Run(finished, alps="{min_coverage: 0.45}") as work:
        work.job("alps_index")
        settings.write_text(text.replace("iterations: [5, 0, 0]", "iterations: [6, 0, 0]"))
        code, output = work.end()
    assert code == 0, output
    assert tables(finished) == tables(clean)
    assert plan(finished)["anat_register"] == 3


def test_damaged_weights(fresh):
    """Weights that are not what their bundle says stop the start with one message; damaged during
    the run they fail the job, and leave nothing that would outlive their repair."""
    bundle = fresh / "bundle"
    shutil.copytree(ROOT / "resources/models/brain", bundle)
    weights = bundle / "models/model.pt"
    config = {"anat": "{brain: vbnet, brain_model: bundle, brain_mask: null}",
              "exclude": "[sub-MCI01,sub-NC01]"}  # fmt: skip
    sound = weights.read_bytes()
    with Run(fresh, **config) as work:
        with work.held("anat_preproc"):
            overwrite(weights)
        code, output = work.end()
    assert code != 0
    message = "bundle/models/model.pt: the weights are not those that the bundle's metadata name"
    assert message in output
    output = run(fresh, fails=True, **config)
    assert message in output and "fetch the file again" in output
    assert "Traceback" not in output
    weights.write_bytes(sound)
    assert plan(fresh, **config)["anat_preproc"] == 1
