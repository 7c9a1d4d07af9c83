"""Disks that are full, may not be written to, or lie elsewhere; names that are not plain."""

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.conftest import (
    ONLY_NC01,
    SETTINGS,
    Run,
    change_nc01,
    copy,
    plan,
    rows,
    run,
)  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.fixture
def mounted(tmp_path):
    """Function that mounts a small disk and another that changes how it is mounted."""
    places = []

    def mount(place, options):
        verb = "remount," if place in places else ""
        place.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"{verb}{options}", "none", str(place)],
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"only root may mount a disk here: {done.stderr.decode().strip()}")
        if place not in places:
            places.append(place)

    yield mount
    for place in places:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_full_disk(clean, tmp_path, mounted):
    """On a full disk the run fails and says so; with space again the same command goes on to the
    tables of a clean run, and nothing half-written is taken for a result."""
    disk = tmp_path / "disk"
    mounted(disk, "size=17m")
    work = copy(clean, disk / "work", "out", ".snakemake", "truth", "sub-AD01", "sub-MCI01")
    output = run(work, fails=True)
    assert "No space left on device" in output
    mounted(disk, "size=200m")
    if "locked" in run(work, "-n", fails=None):
        run(work, "--unlock")
    run(work)
    assert rows(work) == rows(clean)[2:]
    assert plan(work) == {}


def test_limit_on_the_size_of_files(finished, clean, changed_row):
    """A job that cannot write its files whole (as with a quota, and without root) fails, also where
    a library of C++ writes; the next run makes them."""
    change_nc01(finished)
    with Run(finished) as work:
        for rule, job in work.jobs("dwi_correct", "anat_register"):
            limit = 1_000_000 if rule == "dwi_correct" else 100_000
            resource.prlimit(job, resource.RLIMIT_FSIZE, (limit, limit))
        code, output = work.end()
    assert code != 0
    assert "File too large" in output
    for name in ("anat/sub-NC01_from-T1w_to-template_desc-warp_mode-image_xfm.nii.gz",
                 "dwi/sub-NC01_desc-preproc_dwi.nii.gz"):  # fmt: skip
        assert not (finished / "out/sub-NC01" / name).exists()
    run(finished)
    assert rows(finished)[2] == changed_row


def test_read_only_output_folder(finished, mounted):
    """An output folder that may not be written to is said before anything runs: by the results in
    it, or by the folder and what to do."""
    change_nc01(finished)
    out = (finished / "out").rename(finished / "kept")
    mounted(finished / "out", "size=100m")
    shutil.copytree(out, finished / "out", copy_function=shutil.copy2, dirs_exist_ok=True)
    mounted(finished / "out", "ro")
    with_results = run(finished, fails=True)
    assert "Write-protected output files" in with_results
    without = run(finished, fails=True, out="out/new")
    assert "cannot write to output_dir" in without
    assert "set output_dir to a folder with space that you may write to" in without
    for output in (with_results, without):
        assert "Traceback" not in output
        assert "Finished jobid" not in output


def test_odd_names_and_another_disk(clean, tmp_path):
    """Paths with spaces and letters beyond ASCII, and an output folder on another disk, change
    nothing."""
    work = tmp_path / "Köpfe 3"
    shutil.copytree(clean / "bids", work / "Daten für Übung 1", copy_function=shutil.copy2)
    (work / "meine settings.yaml").write_text(SETTINGS)
    memory = Path("/dev/shm")
    other = memory.is_dir() and os.stat(memory).st_dev != os.stat(tmp_path).st_dev
    out = (memory if other else tmp_path) / f"glymph test {os.getpid()} 结果"
    config = {"bids": "Daten für Übung 1", "out": out, "settings": "meine settings.yaml"}
    try:
        run(work, exclude=ONLY_NC01, **config)
        assert rows(work, out=out) == rows(clean)[2:]
        assert plan(work, exclude=ONLY_NC01, **config) == {}
    finally:
        shutil.rmtree(out, ignore_errors=True)
    if not other:
        pytest.skip("odd names hold; there is no second disk here to write to")
