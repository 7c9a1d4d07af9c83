"""A lab's own programs of perivascular spaces and of lesions through the real workflow, three small
subjects.

One goes well, one lacks the T2w that the command names, of one the program says that it cannot use
the images. Names hold what the shell would take for its own.
"""

import csv
import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.workflow.conftest import COHORT, ROOT, planned, snakemake

ENGINE = """\
import sys
import nibabel as nib
import numpy as np
from scipy import ndimage

t2w, flair, mask, output = sys.argv[1:]
if "sub-MCI01" in t2w:
    sys.exit(65)
image = nib.load(t2w)
data = image.get_fdata()
assert nib.load(flair).shape == data.shape and -1 <= data.min() < data.max() <= 1
bright = ndimage.white_tophat(data, 5) * (nib.load(mask).get_fdata() > 0)
print("brightest:", bright.max())
found = np.clip(bright / 2, 0, 1).astype(np.float32)
nib.save(nib.Nifti1Image(found, image.affine), output)
"""
LESIONS = """\
import sys
import nibabel as nib
import numpy as np

flair, mask, output = map(str, sys.argv[1:])
image = nib.load(flair)
inside = nib.load(mask).get_fdata() > 0
marked = np.zeros(image.shape, np.float32)
marked[tuple(np.argwhere(inside).mean(0).astype(int))] = 0.8
marked[tuple(np.argwhere(inside)[0])] = 0.5
print("brightest lesion:", image.get_fdata().max())
nib.save(nib.Nifti1Image(marked, image.affine), output)
"""
BIDS = "bids; touch hacked $(touch hacked)"
ANATOMY = {
    "brain_mask": "../truth/{folder}/{prefix}_space-T1w_label-brain_mask.nii.gz",
    "registration": {"resolution_mm": 4.0, "iterations": [5, 0, 0]},
    "segmentation": {"resolution_mm": 3.0},
}
"""Coarse: what the program is given and what becomes of it are in question here."""
RULES = ("epvs_segment", "epvs_census", "metrics_unit", "qc_page")


def configured(folder, command, **more):
    """Arguments of a run with this command."""
    epvs = {"engine": "command", "command": command, "threshold": 0.3}
    epvs["compare_regions"] = False
    epvs["lesion_command"] = f"'{sys.executable}' lesions.py {{flair}} {{mask}} {{output}}"
    epvs["lesion_threshold"] = 0.6
    content = {"bids_dir": BIDS, "output_dir": "out", "epvs": epvs | more, "anat": ANATOMY}
    (folder / "my.yaml").write_text(yaml.safe_dump(content))
    return ["--configfile", "my.yaml"]


def line(folder):
    return f"'{sys.executable}' 'the engine.py' {{t2w}} {{flair}} {{mask}} {{output}}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command")
    subprocess.run(
        [sys.executable, "-m", "glymph.simulate", str(folder / BIDS), str(folder / "truth"),
         "--per-group", "1", "--light", "--seed", "8", "--modalities", "T1w", "T2w", "FLAIR",
         "--missing", "AD01:T2w"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"},
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (folder / "the engine.py").write_text(ENGINE)
    (folder / "lesions.py").write_text(LESIONS)
    snakemake(*configured(folder, line(folder)), cwd=folder)
    return folder


@pytest.fixture
def copy_of_made(made, tmp_path):
    shutil.copytree(made, tmp_path / "copy", copy_function=shutil.copy2)
    return tmp_path / "copy"


def rows(path):
    with path.open(newline="") as stream:
        return {row["participant_id"]: row for row in csv.DictReader(stream, delimiter="\t")}


@pytest.mark.slow
def test_the_result_of_the_program_is_counted_as_ours_is(made):
    found = rows(made / "out/group/metrics.tsv")["sub-NC01"]
    assert int(found["epvs_total_count"]) > 0
    assert found["epvs_part_of_csf_count"] != "n/a" and found["epvs_unlike_csf_count"] != "n/a"
    assert "Perivascular spaces" in (made / "out/sub-NC01/sub-NC01_qc.html").read_text()
    assert not list(made.rglob("hacked"))


@pytest.mark.slow
def test_what_ran_is_in_the_sidecar_and_its_words_in_the_log(made):
    anat = made / "out/sub-NC01/anat/sub-NC01_space-T1w_res-1mm_label-EPVS_probseg.json"
    about = json.loads(anat.read_text())
    settings = about["Parameters"]
    assert settings["engine"] == "command" and settings["threshold"] == 0.3
    assert settings["template"] == line(made) and settings["program"] == sys.executable
    assert settings["result"] == "probability cut at 0.3"
    assert list(settings["files"]) == [sys.executable, "the engine.py"]
    assert any("FLAIR" in source for source in about["Sources"])
    log = (made / "out/logs/sub-NC01/sub-NC01_epvs_segment.log").read_text()
    assert settings["line"] in log and "brightest: " in log


@pytest.mark.slow
def test_lesions_of_a_program_are_measured_and_shown(made):
    found = rows(made / "out/group/metrics.tsv")["sub-NC01"]
    assert found["epvs_lesions"] == "command" and float(found["wmh_volume_mm3"]) == 1
    anat = made / "out/sub-NC01/anat/sub-NC01_space-T1w_res-1mm_label-WMH_probseg.json"
    settings = json.loads(anat.read_text())["Parameters"]
    assert settings["threshold"] == 0.6 and settings["result"] == "probability cut at 0.6"
    assert list(settings["files"]) == [sys.executable, "lesions.py"]
    log = made / "out/logs/sub-NC01/sub-NC01_epvs_lesions.log"
    assert "brightest lesion" in log.read_text()
    assert "White-matter lesions" in (made / "out/sub-NC01/sub-NC01_qc.html").read_text()


@pytest.mark.slow
def test_who_has_no_result_is_listed_with_the_reason(made):
    found = rows(made / "out/group/exclusions.tsv")
    assert "there is no T2w, and epvs.command needs {t2w}" in str(found["sub-AD01"])
    assert "cannot use these images (exit status 65)" in str(found["sub-MCI01"])
    assert rows(made / "out/group/metrics.tsv")["sub-MCI01"]["epvs_total_count"] == "n/a"


@pytest.mark.slow
def test_nothing_runs_again_until_the_program_changes(copy_of_made):
    arguments = configured(copy_of_made, line(copy_of_made))
    assert planned(snakemake("-n", *arguments, cwd=copy_of_made)[1]) == {}
    (copy_of_made / "the engine.py").write_text(ENGINE + "# changed\n")
    _, output = snakemake("-n", *arguments, cwd=copy_of_made)
    assert set(planned(output)) == {*RULES, "all", *COHORT}
    (copy_of_made / "the engine.py").write_text(ENGINE)
    (copy_of_made / "lesions.py").write_text(LESIONS + "# changed\n")
    _, output = snakemake("-n", *arguments, cwd=copy_of_made)
    assert set(planned(output)) == {"epvs_lesions", *RULES[1:], "all", *COHORT}


@pytest.mark.slow
def test_a_program_that_fails_fails_the_run_with_its_words(copy_of_made):
    command = "echo no licence >&2; exit 3; cp {t1w} {output}"
    arguments = configured(copy_of_made, command)
    code, output = snakemake(*arguments, cwd=copy_of_made, check=False)
    assert code != 0
    assert "no licence" in output
    assert f"out/logs/sub-NC01/sub-NC01_epvs_segment.log: the command of epvs.command ({command})" \
        " ended with 3 To do: read this log" in output  # fmt: skip
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (None, "epvs.engine: command needs a command line in epvs.command"),
        ("cp {t2} {output}", "unknown {t2} To do: known are {t1w}"),
        ("no_such_program {t2w} {output}", "'no_such_program' is neither on PATH nor a file"),
    ],
)
def test_a_command_that_cannot_run_stops_the_start(skeleton, command, message):
    folder = skeleton("sub-01", "T1w.nii.gz").parent
    mask = folder / "truth/sub-01/sub-01_space-T1w_label-brain_mask.nii.gz"
    mask.parent.mkdir(parents=True)
    mask.touch()  # the pattern of the configuration must fit somebody
    shutil.move(folder / "bids", folder / BIDS)
    (folder / "lesions.py").touch()
    arguments = configured(folder, command)
    code, output = snakemake("-n", *arguments, cwd=folder, check=False)
    assert code != 0 and message in output and "Traceback" not in output
    assert planned(snakemake("-n", *arguments, "--config", "epvs={engine: none}", cwd=folder)[1])
