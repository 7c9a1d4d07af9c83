"""Distortion: the phase axis, the choice of the reverse image, and a known shift undone."""

import json

import nibabel as nib
import numpy as np
import pytest

from glymph.common.errors import BadInput
from glymph.dwi import distortion, motion
from tests.conftest import STORAGE, grid

SHAPE = (40, 44, 30)


def test_phase_axis():
    assert [distortion.phase_axis(d) for d in ("i", "j-", "k")] == [0, 1, 2]
    with pytest.raises(BadInput, match="PhaseEncodingDirection"):
        distortion.phase_axis(None)


def test_reverse_image_is_chosen_by_its_sidecar(tmp_path):
    for name, direction in {"a": "j-", "b": "j", "c": "i"}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"PhaseEncodingDirection": direction}))
    paths = [str(tmp_path / f"{name}.nii.gz") for name in "abc"]
    assert distortion.find_reverse(paths, "j-") == paths[1]
    assert distortion.find_reverse(paths, "j") == paths[0]
    assert distortion.find_reverse(paths, "k") is None
    assert distortion.find_reverse(paths, None) is None


def test_half_way_solves_the_symmetric_model():
    """For u(x) = 3 sin(y/9) the images' relation D(x + u) = -2 u is inverted to 0.05 mm."""
    sizes, y = np.array([2.0, 2.0, 2.0]), np.arange(60) * 2.0
    fine = np.linspace(-20, 140, 16001)
    u_fine = 3 * np.sin(fine / 9)
    whole = np.interp(y, fine + u_fine, -2 * u_fine)
    volume = np.broadcast_to(whole[None, :, None], (5, 60, 5)).copy()
    found = distortion._half_way(volume, 1, sizes)
    np.testing.assert_allclose(found[2, 5:-5, 2], 3 * np.sin(y[5:-5] / 9), atol=0.05)


def texture(points):
    x, y, z = np.moveaxis(points, -1, 0)
    ball = np.linalg.norm(points / (34, 38, 26), axis=-1)
    lumps = np.cos(x / 5) * np.cos(y / 6) + np.sin(z / 5 + x / 11)
    return np.clip((1.05 - ball) * 6, 0, 1) * (500 + 160 * lumps)


@pytest.mark.slow
@pytest.mark.parametrize("name", STORAGE)
def test_reverse_image_undoes_a_known_shift(name, tmp_path):
    """Two images shifted by +u and -u along j: most of u is found, along j only."""
    affine = grid(STORAGE[name], (2.0, 2.0, 2.0), SHAPE, centre=(0, 0, 0))
    voxels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    along = affine[:3, 1] / 2.0
    strength = 4.0 * np.exp(-((np.linalg.norm(world - [6, 8, -4], axis=-1) / 16) ** 2))
    # image(x + u) = head(x); for a smooth u a few fixed-point steps give x from x + u
    images = []
    for sign in (1, -1):
        place = world.copy()
        for _ in range(20):
            at = np.exp(-((np.linalg.norm(place - [6, 8, -4], axis=-1) / 16) ** 2)) * 4.0
            place = world - sign * at[..., None] * along
        images.append(texture(place).astype(np.float32))
    nib.save(nib.Nifti1Image(images[1], affine), tmp_path / "reverse.nii.gz")
    found = distortion.from_reverse(images[0], affine, str(tmp_path / "reverse.nii.gz"), 1)
    across = found - (found @ along)[..., None] * along
    assert abs(across).max() < 1e-4, "nothing moves across the phase-encoding axis"
    strong = strength > 2
    error = abs((found @ along) - strength)[strong].mean()
    assert error < 0.35 * strength[strong].mean()
    head = texture(world)
    inside = head > 100
    undone = motion.resample(images[0], affine, np.eye(4), found)
    before = abs(images[0] - head)[strong & inside].mean()
    assert abs(undone - head)[strong & inside].mean() < 0.4 * before
