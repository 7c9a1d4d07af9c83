"""Motion and eddy currents told apart, under every storage order."""

import numpy as np
import pytest

from glymph.common.gradients import GradientTable
from glymph.common.spaces import apply_affine, image_axes
from glymph.dwi import currents, motion
from tests.conftest import STORAGE, grid, rotation
from tests.dwi.phantom import directions

CENTRE = np.array([5.0, -12.0, 20.0])


def planted(axes, axis, n=24, motion_mm=0.5, motion_deg=0.8, eddy=0.01, shift=1.5, seed=0, b0=1):
    """(matrices, poses, terms, affine, table): motion and eddy terms linear in the gradients."""
    rng = np.random.default_rng(seed)
    affine = grid(axes, (2.0, 2.0, 2.0), (60, 60, 40))
    unit = image_axes(affine)
    vectors = np.vstack([np.zeros((b0, 3)), directions(n, seed)])
    gradients = GradientTable(np.array([0.0] * b0 + [1000] * n), vectors)
    response = rng.uniform(-1, 1, (3, 4)) * [eddy, eddy, eddy, shift]
    terms = (vectors @ unit) @ response
    walk = np.cumsum(rng.normal(size=(b0 + n, 6)), axis=0) / 3
    matrices, poses = [], []
    for row, step in zip(terms, walk, strict=True):
        turn = rotation(*(motion_deg * step[:3]))
        pose = np.eye(4)
        pose[:3, :3] = turn
        pose[:3, 3] = CENTRE + motion_mm * step[3:] - turn @ CENTRE
        bend = np.eye(4)
        bend[:3, :3] += np.outer(unit[:, axis], unit @ row[:3])
        bend[:3, 3] = unit[:, axis] * row[3] - (bend[:3, :3] - np.eye(3)) @ CENTRE
        poses.append(pose)
        matrices.append(bend @ pose)
    return np.array(matrices), np.array(poses), terms, affine, gradients


def turned(first, second):
    """Largest angle (degrees) between the rotations of two lists of poses."""
    cosine = [
        (np.trace(a[:3, :3].T @ b[:3, :3]) - 1) / 2 for a, b in zip(first, second, strict=True)
    ]
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).max())


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", STORAGE)
def test_rotation_scale_and_shears_are_exact_in_every_storage_order(name, axis):
    matrices, poses, terms, affine, gradients = planted(STORAGE[name], axis)
    found = currents.separate(matrices, affine, gradients, axis, CENTRE)
    assert turned(found.poses, poses) < 1e-4
    np.testing.assert_allclose(found.terms[:, :3], terms[:, :3], atol=1e-6)
    others = [k for k in range(3) if k != axis]
    unit = image_axes(affine)
    at = [apply_affine(m, CENTRE) @ unit for m in found.poses]
    true = [apply_affine(m, CENTRE) @ unit for m in poses]
    np.testing.assert_allclose(np.array(at)[:, others], np.array(true)[:, others], atol=1e-9)


@pytest.mark.parametrize("name", STORAGE)
def test_a_still_head_is_still_whatever_the_currents(name):
    matrices, _, terms, affine, gradients = planted(STORAGE[name], 1, motion_mm=0, motion_deg=0)
    found = currents.separate(matrices, affine, gradients, 1, CENTRE)
    rows = motion.displacements(found.poses, CENTRE)
    assert max(row["displacement"] for row in rows) < 1e-6
    np.testing.assert_allclose(found.terms, terms, atol=1e-6)
    assert found.explained > 0.999
    # the nearest rotation to the whole matrix, as before, sees a head that moves
    before = motion.displacements(matrices, CENTRE)
    assert max(row["displacement"] for row in before) > 0.5


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("name", STORAGE)
def test_the_bend_of_the_volume_that_all_followed_is_taken_out(name, lost):
    """Relative to the first weighted volume all have its bend; without a gradient none has any."""
    matrices, _, _, affine, gradients = planted(STORAGE[name], 1, motion_mm=0.2, motion_deg=0.1)
    weighted = np.flatnonzero(~gradients.is_b0)
    own = matrices[weighted] @ np.linalg.inv(matrices[weighted[0]])
    if lost:
        own[7] = own[7] @ planted(STORAGE[name], 1, eddy=0.2, seed=3)[0][4]
    found = currents.straighten(own, gradients.select(weighted))
    assert (found[:, 3] == [0, 0, 0, 1]).all()
    shared = np.linalg.inv(found[1]) @ matrices[weighted[1]]  # what now leads to the true frame
    linear = shared[:3, :3]
    before = np.linalg.inv(own[1]) @ matrices[weighted[1]]
    bend = np.abs(linear.T @ linear - np.eye(3)).max()
    assert bend < 0.002
    assert bend < 0.3 * np.abs(before[:3, :3].T @ before[:3, :3] - np.eye(3)).max()


def test_few_volumes_keep_their_frame():
    matrices, _, _, _, gradients = planted(STORAGE["LAS"], 1, n=5)
    np.testing.assert_array_equal(
        currents.straighten(matrices[1:], gradients.select(np.arange(1, 6))), matrices[1:]
    )


@pytest.mark.parametrize("seed", range(6))
def test_motion_without_currents_stays_motion(seed):
    """A head that drifts does not follow the gradients: nothing of it is taken for currents."""
    matrices, poses, _, affine, gradients = planted(STORAGE["LAS"], 1, eddy=0, shift=0, seed=seed)
    found = currents.separate(matrices, affine, gradients, 1, CENTRE)
    np.testing.assert_allclose(found.poses, poses, atol=1e-6)
    assert not found.terms[:, 3].any()


@pytest.mark.parametrize("seed", range(4))
def test_both_together_are_told_apart(seed):
    """The drift that happens to follow the gradients is lost to the currents: a share of it."""
    matrices, poses, terms, affine, gradients = planted(STORAGE["LAS"], 1, n=32, shift=3, seed=seed)
    found = currents.separate(matrices, affine, gradients, 1, CENTRE)
    assert turned(found.poses, poses) < 1e-4
    unit = image_axes(affine)[:, 1]
    own = np.array([(apply_affine(m, CENTRE) - CENTRE) @ unit for m in poses])
    left = np.array([(apply_affine(m, CENTRE) - CENTRE) @ unit for m in found.poses])
    whole = np.array([(apply_affine(m, CENTRE) - CENTRE) @ unit for m in matrices])
    assert np.std(left - own) < 0.5 * np.std(own)
    assert np.std(left - own) < 0.25 * np.std(whole - own)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_unknown_axis_is_that_of_the_currents(axis):
    matrices, poses, _, affine, gradients = planted(STORAGE["PSR"], axis, motion_mm=0.1)
    found = currents.separate(matrices, affine, gradients, None, CENTRE)
    assert found.axis == axis
    assert turned(found.poses, poses) < 1e-4


def test_without_axis_and_currents_all_is_motion():
    matrices, poses, _, affine, gradients = planted(STORAGE["RAS"], 1, eddy=0, shift=0)
    found = currents.separate(matrices, affine, gradients, None, CENTRE)
    assert found.axis is None and found.terms is None
    np.testing.assert_allclose(found.poses, poses, atol=1e-6)


def test_displacement_is_the_rms_over_a_sphere():
    rng = np.random.default_rng(0)
    points = rng.uniform(-80, 80, (200_000, 3))
    points = points[np.linalg.norm(points, axis=1) < 80]
    term = np.array([0.01, -0.02, 0.005, 0.7])
    shift = points @ term[:3] + term[3]
    assert currents.displacement(term[None], 80)[0] == pytest.approx(
        np.sqrt((shift**2).mean()), rel=0.01
    )
