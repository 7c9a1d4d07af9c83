"""Running snakemake as a user does, and the datasets to run it on."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def snakemake(*args, cwd, check=True, cores=2, timeout=3000, snakefile=ROOT / "Snakefile"):
    """Run snakemake, on this repository, from ``cwd``; returns (exit code, all output)."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    # pytest's own process may carry thread limits and paths that a user's shell does not
    environment.pop("PYTEST_CURRENT_TEST", None)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", str(snakefile), "--cores", str(cores),
         *map(str, args)],
        cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=timeout, check=False,
    )  # fmt: skip
    if check:
        assert done.returncode == 0, done.stdout[-6000:]
    return done.returncode, done.stdout


def planned(output):
    """Jobs per rule of a run or dry run, from snakemake's table; empty where nothing is to do."""
    if "Nothing to be done" in output:
        return {}
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", output, flags=re.M | re.S)
    rows = (line.split() for line in table.group(1).splitlines())
    return {rule: int(count) for rule, count in rows}


RULES = (
    "stats_cohort", "stats_demographics", "stats_comparison", "stats_correlations",
    "stats_regression", "stats_discrimination", "stats_longitudinal", "report_figures",
    "report_page",
)  # fmt: skip
STATISTICS = dict.fromkeys(RULES, 1)
COHORT = {"metrics_group": 1, "review_page": 1, **STATISTICS}
"""Jobs of a run in which the cohort's table changes."""


def settings(bids, out, **more):
    pairs = [f"bids_dir={bids}", f"output_dir={out}", *(f"{k}={v}" for k, v in more.items())]
    return ["--config", *pairs]


def copy_of_repository(to):
    """What a run needs of this repository, to be edited."""
    to.mkdir(exist_ok=True)
    for name in ("Snakefile", "config", "envs", "profiles", "resources", "workflow"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, to / name)
    return to


@pytest.fixture
def skeleton(tmp_path):
    """Function that makes empty BIDS files; returns the dataset's folder."""
    folder = tmp_path / "bids"
    folder.mkdir()
    (folder / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')

    def add(unit, *kinds):
        prefix = unit.replace("/", "_")
        for kind in kinds:
            place = folder / unit / ("dwi" if kind.startswith("dwi") else "anat")
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{prefix}_{kind}").touch()
        return folder

    return add


@pytest.fixture(scope="session")
def cohort(tmp_path_factory):
    """A small simulated cohort of three subjects; AD01 lacks its T1w, MCI01 has a broken table."""
    folder = tmp_path_factory.mktemp("cohort")
    subprocess.run(
        [sys.executable, "-m", "glymph.simulate", str(folder / "bids"), str(folder / "truth"),
         "--per-group", "1", "--light", "--seed", "3", "--modalities", "T1w", "dwi",
         "--missing", "AD01:T1w"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"},
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    bvec = folder / "bids/sub-MCI01/dwi/sub-MCI01_dwi.bvec"
    sound = bvec.read_text()
    (folder / "sound.bvec").write_text(sound)
    words = sound.split(" ")
    bvec.write_text(" ".join([*words[:5], "nan", *words[6:]]))
    return folder


@pytest.fixture(scope="session")
def finished(cohort):
    """The cohort run to the end; copies of it serve the tests that change something."""
    # perivascular spaces have a run of their own, at 1 mm: test_run_epvs.py
    _, output = snakemake(*settings("bids", "out", epvs="{engine: none}"), cwd=cohort)
    return cohort, output


@pytest.fixture
def copy_of_finished(finished, tmp_path):
    """A copy in which files keep their times, so that snakemake sees them as made here."""
    folder, _ = finished
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copy2)
    return tmp_path / "copy"
