"""Motion: gradients turn with the head, displacement in closed form, registration against truth."""

import numpy as np
import pytest

from glymph.common.gradients import GradientTable
from glymph.dwi import motion
from tests.conftest import STORAGE, grid, rotation
from tests.dwi.phantom import bundle_tensors, signal, table


def rigid(pitch=0.0, roll=0.0, yaw=0.0, shift=(0, 0, 0)):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(pitch, roll, yaw)
    matrix[:3, 3] = shift
    return matrix


def test_gradients_turn_against_the_head():
    """A head turned by R shows R D R'; with the turned-back gradient it shows D again."""
    turn = rotation(8, -5, 12)
    tensor = bundle_tensors(np.array([10.0, 4.0, 2.0]))
    gradients = table(12)
    seen = signal(turn @ tensor @ turn.T, gradients)
    matrices = np.tile(rigid(8, -5, 12), (13, 1, 1))
    back = motion.rotate_gradients(gradients, matrices)
    np.testing.assert_allclose(signal(tensor, back), seen, rtol=1e-5)


def test_eddy_shear_does_not_turn_gradients_much():
    shear = np.eye(4)
    shear[1, 0] = 0.02
    gradients = GradientTable(np.array([1000.0]), np.array([[1.0, 0, 0]]))
    turned = motion.rotate_gradients(gradients, shear[None]).vectors[0]
    assert np.linalg.norm(turned) == pytest.approx(1)
    assert np.degrees(np.arccos(turned[0])) < 0.6


def test_displacement_of_a_translation_is_its_length():
    rows = motion.displacements(np.array([np.eye(4), rigid(shift=(1, 2, 2))]), np.zeros(3))
    assert rows[1]["displacement"] == pytest.approx(3)
    assert rows[1]["framewise_displacement"] == pytest.approx(3)
    assert (rows[1]["trans_x"], rows[1]["trans_y"]) == pytest.approx((1, 2))
    assert rows[0]["displacement"] == 0


def test_displacement_of_a_rotation_is_that_of_a_ball():
    """RMS over a ball of 80 mm turned by a: 80 * 2 sin(a/2) * sqrt(2/5), about its centre."""
    centre = np.array([10.0, -20, 30])
    matrix = rigid(yaw=3)
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre
    row = motion.displacements(np.array([np.eye(4), matrix]), centre)[1]
    expected = 80 * 2 * np.sin(np.radians(1.5)) * np.sqrt(2 / 5)
    assert row["displacement"] == pytest.approx(expected, rel=1e-6)
    assert row["rot_z"] == pytest.approx(3)


def test_summary_counts_steps_not_the_first_volume():
    matrices = np.array([np.eye(4), rigid(shift=(1, 0, 0)), rigid(shift=(1, 0, 0))])
    rows = motion.displacements(matrices, np.zeros(3))
    found = motion.summary([row | {"eddy_displacement": n} for n, row in enumerate(rows)])
    assert found == {
        "mean_framewise_displacement": pytest.approx(0.5), "max_displacement": 1,
        "mean_eddy_displacement": 1.5,
    }  # fmt: skip


def test_what_was_not_estimated_has_no_value():
    row = dict.fromkeys(("displacement", "framewise_displacement", "eddy_displacement"))
    assert set(motion.summary([row] * 3).values()) == {None}


@pytest.mark.parametrize("name", STORAGE)
def test_resample_moves_content_as_the_matrix_says(name):
    """A blob at A c in the moving volume is found at c after resampling with A."""
    shape = (40, 42, 44)
    affine = grid(STORAGE[name], (2.0, 2.0, 2.0), shape, centre=(0, 0, 0))
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    matrix, centre = rigid(5, 3, -7, (3, -4, 2)), np.array([8.0, -6, 5])
    there = matrix[:3, :3] @ centre + matrix[:3, 3]
    blob = np.exp(-((np.linalg.norm(world - there, axis=-1) / 6) ** 2)).astype(np.float32)
    moved = motion.resample(blob, affine, matrix)
    found = np.average(world.reshape(-1, 3), axis=0, weights=moved.reshape(-1))
    np.testing.assert_allclose(found, centre, atol=0.05)
    shifted = motion.resample(blob, affine, np.eye(4), np.full((*shape, 3), (1.0, 2, -1)))
    found = np.average(world.reshape(-1, 3), axis=0, weights=shifted.reshape(-1))
    np.testing.assert_allclose(found, there - [1, 2, -1], atol=0.05)


def test_identity_is_not_interpolated():
    data = np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
    np.testing.assert_array_equal(motion.resample(data, np.eye(4), np.eye(4)), data)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["ants", "series"])
@pytest.mark.parametrize("name", ["LAS", "oblique"])
def test_the_head_s_motion_is_found(name, engine):
    """A lumpy head moved by known transforms: recovered to 0.3 mm RMS over the head."""
    shape, gradients = (44, 48, 40), table(6)
    affine = grid(STORAGE[name], (4.0, 4.0, 4.0), shape, centre=(0, 0, 0))
    true = [rigid(*v) for v in np.random.default_rng(5).normal(scale=1.5, size=(7, 3))]
    true[0] = np.eye(4)
    for k, matrix in enumerate(true[1:], start=1):
        matrix[:3, 3] = np.random.default_rng(k).normal(scale=1.5, size=3)
    data = np.stack([_lumpy(affine, shape, m, v) for v, m in enumerate(true)], axis=-1)
    found = motion.estimate(data, affine, gradients, engine, data[..., 0] > 200)
    errors = [motion.rms_displacement(f, t, np.zeros(3)) for f, t in zip(found, true, strict=True)]
    assert max(errors) < 0.3, errors


def _lumpy(affine, shape, matrix, volume):
    """A head with lumps seen through ``matrix``; weighted volumes are darker."""
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    inverse = np.linalg.inv(matrix)
    p = world @ inverse[:3, :3].T + inverse[:3, 3]
    ball = np.linalg.norm(p / (65, 78, 60), axis=-1)
    lumps = np.cos(p[..., 0] / 9) * np.cos(p[..., 1] / 11) + np.sin(p[..., 2] / 8)
    head = np.clip((1.05 - ball) * 8, 0, 1) * (600 + 150 * lumps)
    noise = np.random.default_rng(100 + volume).normal(scale=8, size=shape)
    return (head * (1.0 if volume == 0 else 0.5) + noise).astype(np.float32)
