"""A SLURM, an ordinary user on it, and the user's folder: a copy of the repository and a cohort."""

import csv
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.slurm import cluster
from tests.workflow.conftest import copy_of_repository, settings

USER = "glymphtest"


@dataclass(frozen=True)
class Lab:
    """The folder of an ordinary user of the cluster."""

    folder: Path

    def call(self, *command, timeout=3000) -> str:
        """All output of a command that the user gives; it must succeed.

        Through `env`, since what setpriv itself starts is still opened with root's rights.
        """
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PY")}
        done = subprocess.run(
            ["timeout", "-k", "5", str(timeout), "setpriv", f"--reuid={USER}", f"--regid={USER}",
             "--init-groups", "env", *map(str, command)],
            cwd=self.folder, env=environment | {"HOME": str(self.folder), "OMP_NUM_THREADS": "1"},
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def snakemake(self, out: str, *arguments) -> str:
        command = (sys.executable, "-m", "snakemake", "-s", "repository/Snakefile")
        return self.call(*command, *arguments, *settings("bids", out))

    def on_slurm(self, out: str, *arguments) -> str:
        """Run through the repository's profile, with what a cluster without accounting needs."""
        return self.snakemake(
            out, "--workflow-profile", "repository/profiles/slurm", "--slurm-no-account",
            "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", 3,
            "--latency-wait", 5, *arguments,
        )  # fmt: skip

    def as_array(self, out: str) -> str:
        """Give the command of the array, and wait until SLURM has run all of it."""
        folder = self.folder / "repository"
        (self.folder / "subjects.txt").write_text("sub-NC01\nsub-MCI01\n\nsub-AD01")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        said = self.call(
            f"PATH={path}", "CPUS=1", "MEM=2G", "COHORT_MEM=2G", "SUBJECTS_PER_TASK=2",
            folder / "profiles/slurm-array/submit.sh", "subjects.txt", "bids_dir=bids",
            f"output_dir={out}",
        )  # fmt: skip
        number = re.search(r"cohort as job (\d+)", said).group(1)
        for _ in range(1800):
            time.sleep(1)
            states = {job["JobId"]: job["JobState"] for job in cluster.jobs()}
            if states[number] not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING"):
                break
        return said

    def rows(self, out: str) -> list[dict[str, str]]:
        with (self.folder / out / "group" / "metrics.tsv").open(newline="") as stream:
            return list(csv.DictReader(stream, delimiter="\t"))


@pytest.fixture(scope="session")
def slurm():
    if not os.environ.get("GLYMPH_SLURM"):
        pytest.skip("installs and starts a SLURM: only with `make test-slurm`, as root")
    try:
        cluster.start()
    except cluster.NoCluster as reason:
        pytest.skip(f"no SLURM here: {reason}")
    yield
    cluster.stop()


@pytest.fixture(scope="session")
def lab(slurm):
    """The user's folder; removed with the user at the end."""
    made = subprocess.run(["useradd", "--create-home", USER], check=False, capture_output=True)
    if made.returncode:  # a user whom this test has not made is not its to remove
        pytest.skip(f"cannot make the user {USER}: {made.stderr.decode().strip()}")
    folder = Path(pwd.getpwnam(USER).pw_dir)
    try:
        found = Lab(folder)
        try:
            found.call(sys.executable, "-c", "import snakemake")
        except AssertionError:
            pytest.skip(f"an ordinary user cannot run {sys.executable}: its folder is closed")
        copy_of_repository(folder / "repository")
        subprocess.run(["chown", "-R", USER, str(folder)], check=True)
        found.call(
            f"PYTHONPATH={folder}/repository/workflow", sys.executable, "-m",
            "glymph.simulate", "bids", "truth", "--per-group", 1, "--light", "--seed", 3,
        )  # fmt: skip
        yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["userdel", "--remove", USER], check=False, capture_output=True)
