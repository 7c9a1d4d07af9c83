"""A small cohort run once without a fault, and what tests need to bring faults about."""

import contextlib
import csv
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

from tests.workflow.conftest import ROOT, planned, snakemake

SETTINGS = """\
anat:
  brain_mask: derivatives/lab/{folder}/anat/{prefix}_mask.nii.gz
  registration: {resolution_mm: 4.0, iterations: [5, 0, 0]}
  segmentation: {resolution_mm: 3.0}
epvs: {engine: none}
dwi: {denoise: none, motion: none}
participants: {columns: {group: null}}
"""
"""The whole anatomical and diffusion stages, coarse; no group, so that no statistics run."""
TABLES = ("metrics.tsv", "exclusions.tsv")
LIMIT_S = 300


def arguments(bids="bids", out="out", settings="settings.yaml", **more):
    pairs = [f"bids_dir={bids}", f"output_dir={out}", *(f"{k}={v}" for k, v in more.items())]
    return ["--configfile", settings, "--config", *pairs]


def run(folder, *options, fails=False, cores=2, **config):
    """One run of the workflow in ``folder``; returns its output. Whether it fails is asserted,
    unless ``fails`` is None."""
    code, output = snakemake(
        *options,
        *arguments(**config),
        cwd=folder,
        check=fails is False,
        cores=cores,
        timeout=LIMIT_S,
    )
    assert fails is None or (code != 0) == fails, output[-4000:]
    return output


def plan(folder, **config):
    return planned(run(folder, "-n", **config))


def tables(folder, out="out"):
    """The cohort's tables as texts: every number of the run."""
    return [(Path(folder) / out / "group" / name).read_text() for name in TABLES]


def rows(folder, name="metrics", out="out"):
    with (Path(folder) / out / "group" / f"{name}.tsv").open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


class Run:
    """A run in the background, in a process group of its own."""

    def __init__(self, folder, *options, cores=2, **config):
        self.folder, self.output = Path(folder), Path(folder) / "background.txt"
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        with self.output.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores",
                 str(cores), *options, *arguments(**config)],
                cwd=folder, env=environment, stdout=stream, stderr=stream, start_new_session=True,
            )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def wait_for(self, moment, what="the moment of the fault"):
        """Wait until ``moment()`` is true, and return what it returns."""
        deadline = time.time() + LIMIT_S
        while not (found := moment()):
            assert time.time() < deadline, f"{what} never came\n{self.output.read_text()[-3000:]}"
            assert self.process.poll() is None, self.output.read_text()[-3000:]
            time.sleep(0.02)
        return found

    def job(self, rule):
        """Wait for a job of ``rule`` to work; returns the pid of the process that does it."""
        return self.wait_for(lambda: self._script_of(rule), f"a job of {rule}")

    @contextlib.contextmanager
    def held(self, rule):
        """The first job of ``rule`` stands still meanwhile, however fast or busy the machine is."""
        pid = self.job(rule)
        os.kill(pid, signal.SIGSTOP)
        yield pid
        os.kill(pid, signal.SIGCONT)

    def jobs(self, *rules):
        """(rule, pid) of the first job of each of these rules, in the order in which they work."""
        waiting = list(rules)
        while waiting:
            rule = self.wait_for(lambda: next(filter(self._script_of, waiting), None), waiting)
            waiting.remove(rule)
            yield rule, self._script_of(rule)

    def _script_of(self, rule):
        """The job's script has opened its log; its own process and no other's has."""
        for place in self._processes():
            with contextlib.suppress(OSError):
                if re.search(rf"{rule}(_\w+)?\.log$", os.readlink(place / "fd" / "1")):
                    return int(place.name)
        return None

    def _processes(self):
        """Folders in /proc of what this run has started and has not ended."""
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ended = (place / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
                if os.getsid(int(place.name)) == self.process.pid and not ended:
                    yield place

    def wait_for_jobs(self):
        """Wait until no job works that a killed snakemake has left behind."""
        deadline = time.time() + LIMIT_S
        while any(self._processes()):
            assert time.time() < deadline, "jobs do not end"
            time.sleep(0.02)

    def kill(self):
        """kill -9 of the whole process group, as at a power cut."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self):
        """Wait for the end; returns (exit code, output)."""
        code = self.process.wait(LIMIT_S)
        return code, self.output.read_text()


def unlock(folder, **config):
    run(folder, "--unlock", **config)


NAMES = ("sub-AD01", "sub-MCI01", "sub-NC01")
ONLY_NC01 = "[sub-AD01,sub-MCI01]"


def image(folder, name, kind, bids="bids"):
    """Path of a person's T1w or dwi."""
    place = "dwi" if kind == "dwi" else "anat"
    return Path(folder) / bids / name / place / f"{name}_{kind}.nii.gz"


def change(path):
    """Other intensities in an image: what is made of it has other numbers."""
    found = nib.load(path)
    data = np.asanyarray(found.dataobj).astype(np.float32)
    ramp = np.linspace(0.8, 1.2, data.shape[0]).reshape(-1, *[1] * (data.ndim - 1))
    noise = np.random.default_rng(1).normal(0, 0.01 * data.max(), data.shape)
    nib.save(nib.Nifti1Image((data * ramp + noise).clip(0), found.affine), path)


def change_nc01(folder):
    for kind in ("T1w", "dwi"):
        change(image(folder, "sub-NC01", kind))


def simulate(folder):
    """Three people, only NC01 with a DWI, and masks of their brains."""
    subprocess.run(
        [sys.executable, "-m", "glymph.simulate", str(folder / "bids"), str(folder / "truth"),
         "--per-group", "1", "--light", "--t1w-voxel", "5", "--seed", "3", "--modalities", "T1w",
         "dwi", "--missing", "AD01:dwi", "MCI01:dwi"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"},
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    for name in NAMES:
        mask = folder / f"bids/derivatives/lab/{name}/anat/{name}_mask.nii.gz"
        mask.parent.mkdir(parents=True)
        shutil.copy2(folder / f"truth/{name}/{name}_space-T1w_label-brain_mask.nii.gz", mask)
    (folder / "settings.yaml").write_text(SETTINGS)


def copy(folder, to, *without):
    """A copy in which files keep their times, without files of these names."""
    ignore = shutil.ignore_patterns(*without)
    return Path(shutil.copytree(folder, to, copy_function=shutil.copy2, ignore=ignore))


@pytest.fixture(scope="session")
def clean(tmp_path_factory):
    """The cohort run to the end without a fault."""
    folder = tmp_path_factory.mktemp("clean")
    simulate(folder)
    run(folder)
    return folder


@pytest.fixture(scope="session")
def changed_row(clean, tmp_path_factory):
    """NC01's row of the table in a clean run on its changed images."""
    folder = copy(clean, tmp_path_factory.mktemp("changed") / "run", "out", ".snakemake", "truth")
    change_nc01(folder)
    run(folder, exclude=ONLY_NC01)
    (row,) = rows(folder)
    assert row != rows(clean)[2]
    return row


@pytest.fixture
def finished(clean, tmp_path):
    """A copy of the finished cohort."""
    return copy(clean, tmp_path / "finished", "truth")


@pytest.fixture
def fresh(clean, tmp_path):
    """The cohort without results."""
    return copy(clean, tmp_path / "fresh", "out", ".snakemake", "truth")
