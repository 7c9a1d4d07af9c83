"""Storage orders every geometric function is tested under, and where real data are."""

import os
from pathlib import Path

import numpy as np
import pytest

# As the workflow's jobs set them: registrations in tests are then the same in every run.
os.environ["ANTS_RANDOM_SEED"] = "1"
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

ROOT = Path(__file__).resolve().parents[1]


def rotation(pitch=0.0, roll=0.0, yaw=0.0):
    """Rz(yaw) Ry(roll) Rx(pitch), degrees."""
    a, b, c = np.radians([pitch, roll, yaw])
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rz @ ry @ rx


def grid(axes, sizes=(2.0, 2.0, 2.0), shape=(40, 44, 36), centre=(3.0, -5.0, 8.0)):
    """Affine of a grid with these image axes (columns), whose middle lies at ``centre`` mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(axes) * np.asarray(sizes)
    affine[:3, 3] = np.asarray(centre) - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return affine


STORAGE = {
    "RAS": np.eye(3),
    "LAS": np.diag([-1.0, 1, 1]),
    "PSR": np.array([[0.0, 0, 1], [-1, 0, 0], [0, 1, 0]]),
    "oblique": rotation(pitch=30, roll=4, yaw=-7),
}


@pytest.fixture(params=STORAGE, ids=str)
def storage(request):
    """(name, affine) of each storage order, anisotropic voxels."""
    return request.param, grid(STORAGE[request.param], sizes=(2.0, 2.5, 3.0))


@pytest.fixture(scope="session")
def realdata():
    folder = Path(os.environ.get("GLYMPH_REALDATA", ROOT.parent / "shared" / "realdata"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set GLYMPH_REALDATA)")
    return folder


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """Function that points FSLDIR at stand-ins for FSL's commands, which give ``truth``."""
    from tests import fsl_stand_ins

    def point(**truth):
        folder = fsl_stand_ins.make(tmp_path / "fsl", truth)
        monkeypatch.setenv("FSLDIR", str(folder))
        return folder

    return point
