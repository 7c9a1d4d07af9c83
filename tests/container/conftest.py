"""The unchanged Dockerfile built by buildah, and a folder of one simulated subject to run it on."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT

BASE = "docker.io/library/python:3.11-slim-bookworm"
"""What the Dockerfile starts from. Made here of Debian's own packages, as a machine that reaches no
registry of images may still reach a mirror of Debian: its Python is 3.11 too."""
PACKAGES = "python3.11,python3-venv,ca-certificates"
CERTIFICATES = ("/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
OTHER_USER = 1000


@dataclass(frozen=True)
class Buildah:
    """Buildah with a store of its own, so that no image of the machine is touched."""

    store: Path

    def __call__(self, *arguments, check=True) -> subprocess.CompletedProcess:
        done = subprocess.run(
            ["buildah", "--root", self.store / "root", "--runroot", self.store / "run",
             *map(str, arguments)],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout[-6000:]
        return done

    def make_base(self) -> None:
        tar = self.store / "base.tar"
        subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--include={PACKAGES}",
                "bookworm",
                tar,
            ],
            check=True,
        )
        container = self("from", "scratch").stdout.split()[-1]
        self("add", container, tar, "/")
        self("run", "--isolation", "chroot", container, "--", "ln", "-s", "python3.11",
             "/usr/bin/python")  # fmt: skip
        self("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", container)
        self("commit", "--rm", container, BASE)
        tar.unlink()

    def build(self, name: str) -> None:
        """Build the Dockerfile. ``GLYMPH_CONTAINER_READS``: folders of this machine, parted by
        colons, that pip reads (its configuration, wheels); of PIP_* the Dockerfile's own count."""
        wanted = [*CERTIFICATES, *os.environ.get("GLYMPH_CONTAINER_READS", "").split(":")]
        mounts = [f"--volume={path}:{path}:ro" for path in wanted if path and Path(path).exists()]
        keys = [key for key in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS") if key in os.environ]
        given = [f"--build-arg={key}={os.environ[key]}" for key in keys]
        self("build", "--isolation", "chroot", "--pull-never", *mounts, *given, "--tag", name, ROOT)


@dataclass(frozen=True)
class Image:
    """The image of the Dockerfile, as `docker run` would run it."""

    buildah: Buildah
    name: str

    @property
    def about(self) -> dict:
        return json.loads(self.buildah("inspect", "--type", "image", self.name).stdout)

    def size(self) -> str:
        """Of all layers, unpacked, as "2.2 GB"."""
        return json.loads(self.buildah("images", "--json", self.name).stdout)[0]["size"]

    def run(self, *arguments, folder: Path, user: int = 0) -> str:
        """The image's entry point with these arguments, in ``folder``, which is mounted."""
        entry = self.about["OCIv1"]["config"]["Entrypoint"]
        container = self.buildah("from", "--pull-never", self.name).stdout.split()[-1]
        try:
            return self.buildah(
                "run", "--isolation", "chroot", f"--user={user}:{user}", f"--workingdir={folder}",
                f"--volume={folder}:{folder}", container, "--", *entry, *arguments,
            ).stdout  # fmt: skip
        finally:
            self.buildah("rm", container)


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    if not os.environ.get("GLYMPH_CONTAINER"):
        pytest.skip("builds an image of 2 GB: only with `make test-container`, as root")
    if os.geteuid() != 0:
        pytest.skip("needs root: buildah's chroot isolation")
    for program in ("buildah", "mmdebstrap"):
        if not shutil.which(program):
            pytest.skip(f"needs {program} (on Debian: apt-get install buildah mmdebstrap)")
    store = tmp_path_factory.mktemp("containers")
    buildah = Buildah(store)
    try:
        buildah.make_base()
        buildah.build("glymph")
        yield Image(buildah, "glymph")
    finally:
        buildah("rm", "--all", check=False)
        buildah("rmi", "--all", "--force", check=False)
        shutil.rmtree(store, ignore_errors=True)


@pytest.fixture(scope="session")
def data():
    """A folder that another user may write to, with one light subject in ``bids``.

    Not in pytest's own folder, which is closed to others.
    """
    folder = Path("/tmp/glymph-container")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.chown(folder, OTHER_USER, OTHER_USER)
    subprocess.run(
        [sys.executable, "-m", "glymph.simulate", folder / "bids", folder / "truth",
         "--per-group", "1", "--light", "--seed", "3"],
        check=True,
    )  # fmt: skip
    yield folder
    shutil.rmtree(folder)
