"""Least squares find what was planted, in every storage order and across contrasts."""

import numpy as np
import pytest

from glymph.common.spaces import apply_affine
from glymph.dwi import align
from glymph.dwi.motion import rms_displacement
from tests.conftest import STORAGE, grid, rotation

SHAPE = (44, 48, 40)


def moved(angles=(0, 0, 0), shift=(0, 0, 0), bend=0.0):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(*angles)
    matrix[1, 0] += bend
    matrix[:3, 3] = shift
    return matrix


def tissues(affine, matrix):
    """Shares (x, y, z) of two nested tissues with folded borders, seen through ``matrix``."""
    voxels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    p = apply_affine(np.linalg.inv(matrix), apply_affine(affine, voxels))
    folds = 0.08 * np.cos(p[..., 0] / 7) * np.cos(p[..., 1] / 8) * np.sin(p[..., 2] / 6 + 1)
    outer, inner = (
        np.clip((edge - np.linalg.norm(p / (65, 78, 60), axis=-1) + folds) * 10 + 0.5, 0, 1)
        for edge in (0.95, 0.7)
    )
    return outer, inner


def dark_centre(affine, matrix):
    """Fluid around a dark core, as b = 0 shows it."""
    outer, inner = tissues(affine, matrix)
    return (9000 * (outer - inner) + 3000 * inner).astype(np.float32)


def bright_centre(affine, matrix, seed):
    outer, inner = tissues(affine, matrix)
    noise = np.random.default_rng(seed).normal(scale=20, size=SHAPE)
    return (500 * (outer - inner) + 1500 * inner + noise).astype(np.float32)


@pytest.fixture(params=sorted(STORAGE))
def affine(request):
    return grid(STORAGE[request.param], (4.0, 4.0, 4.0), SHAPE, centre=(0, 0, 0))


def inside(affine):
    return tissues(affine, np.eye(4))[0] > 0.5


@pytest.mark.parametrize("freedom, bend", [(align.RIGID, 0.0), (align.AFFINE, 0.02)])
def test_volumes_of_one_contrast_follow_their_target(affine, freedom, bend):
    true = [moved((1, -2, 1.5), (2, -1, 1), bend), moved((4, -5, 3), (6, -5, 4), bend)]
    target = bright_centre(affine, np.eye(4), 0)
    volumes = [align.splines(3 * bright_centre(affine, m, 1) + 50) for m in true]
    places = align.Places.of(inside(affine), affine)
    found = align.follow(target, places, volumes, None, freedom)
    for one, planted in zip(found, true, strict=True):
        assert rms_displacement(one, planted, np.zeros(3)) < 0.1
        linear = one[:3, :3]
        assert freedom is align.AFFINE or np.allclose(linear.T @ linear, np.eye(3), atol=1e-9)


def test_contrasts_that_share_no_relation_are_linked(affine):
    """Fluid is darkest in one, brightest in the other; air is dark in both."""
    true = moved((1, -1.5, 0.5), (1, -1.5, 0.8))
    moving = bright_centre(affine, true, 0)
    fixed = dark_centre(affine, np.eye(4))
    found = align.link(fixed, moving, inside(affine), affine, np.eye(4))
    assert rms_displacement(found, true, np.zeros(3)) < 0.15  # a twenty-fifth of a voxel


def test_lost_slices_pull_no_volume_aside(affine):
    true = moved((2, -1, 1.5), (2, -1, 1))
    lossy = bright_centre(affine, true, 1)
    lossy[:, :, 2::7] *= 0.1
    target = bright_centre(affine, np.eye(4), 0)
    places = align.Places.of(inside(affine), affine)
    found = align.follow(target, places, [align.splines(lossy)], None, align.RIGID)[0]
    assert rms_displacement(found, true, np.zeros(3)) < 0.4  # a tenth of a voxel


def test_noise_alone_stays_and_leads_no_other_astray(affine):
    true = moved((2, -1, 1.5), (2, -1, 1))
    target = bright_centre(affine, np.eye(4), 0)
    noise = np.random.default_rng(3).rayleigh(300, SHAPE).astype(np.float32)
    volumes = [align.splines(v) for v in (bright_centre(affine, true, 1), noise)]
    volumes.append(volumes[0])
    places = align.Places.of(inside(affine), affine)
    first, lost, after = align.follow(target, places, volumes, None, align.RIGID)
    np.testing.assert_array_equal(lost, first)
    assert rms_displacement(after, true, np.zeros(3)) < 0.1


def three_tissues(affine, matrix, signals):
    """Fluid, a ribbon of grey and white matter, with ``signals`` of (fluid, grey, white)."""
    outer, inner = tissues(affine, matrix)
    ribbon = np.clip(2 * inner, 0, 1) - np.clip(2 * inner - 1, 0, 1)
    white = np.clip(2 * inner - 1, 0, 1)
    shares = (outer - ribbon - white, ribbon, white)
    return sum(s * share for s, share in zip(signals, shares, strict=True)).astype(np.float32)


def test_three_tissues_are_linked_where_one_contrast_leaves_two_alike(affine):
    true = moved((1, -1.5, 0.5), (1, -1.5, 0.8))
    fixed = three_tissues(affine, np.eye(4), (3000, 1100, 900))
    moving = three_tissues(affine, true, (150, 450, 550))
    found = align.link(fixed, moving, inside(affine), affine, np.eye(4))
    assert rms_displacement(found, true, np.zeros(3)) < 0.2  # a twentieth of a voxel


def test_an_empty_volume_stays_where_it_was():
    affine = grid(STORAGE["LAS"], (4.0, 4.0, 4.0), SHAPE, centre=(0, 0, 0))
    places = align.Places.of(inside(affine), affine)
    target, empty = bright_centre(affine, np.eye(4), 0), np.zeros(SHAPE, np.float32)
    start = moved(shift=(1, 2, 3))
    np.testing.assert_array_equal(
        align.follow(target, places, [empty], [start], align.RIGID)[0], start
    )
    even = np.full(SHAPE, 7, np.float32)
    found = align.link(even, even, inside(affine), affine, start)
    np.testing.assert_allclose(found, start, atol=1e-9)
