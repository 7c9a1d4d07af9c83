"""Slices without signal are found along any axis, and nothing else is."""

import numpy as np
import pytest

from glymph.dwi.slices import filled, lost_slices

SHAPE = (24, 26, 22)
VOLUMES = np.arange(1, 9)


def series(seed=0):
    """(data, mask): a ball, in nine volumes of other brightness; the first is b = 0."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij"), axis=-1)
    mask = np.linalg.norm(grid, axis=-1) < 0.9
    rng = np.random.default_rng(seed)
    tilt = grid @ rng.normal(scale=0.08, size=(3, 9))  # directions darken one side of the head
    data = (mask[..., None] * 500 + 20) * (1 + tilt) * rng.uniform(0.8, 1.2, 9)
    data[..., 0] *= 4
    return (data + rng.normal(scale=15, size=data.shape)).astype(np.float32), mask


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_dark_slices_are_found_and_filled_from_their_neighbours(axis):
    data, mask = series()
    whole = data.copy()
    np.moveaxis(data[..., 5], axis, 0)[[8, 9, 14]] *= 0.2
    lost = lost_slices(data, mask, VOLUMES)
    assert list(lost) == [(axis, 5)]
    np.testing.assert_array_equal(lost[axis, 5], [8, 9, 14])
    before = data.copy()
    mended = filled(data, lost)
    np.testing.assert_array_equal(data, before)
    left = np.abs(mended[..., 5] - whole[..., 5])[mask].mean()
    assert left < 0.2 * np.abs(data[..., 5] - whole[..., 5])[mask].mean()
    sound = np.delete(np.arange(9), 5)
    np.testing.assert_array_equal(mended[..., sound], data[..., sound])


def test_a_sound_series_is_not_touched():
    data, mask = series()
    assert lost_slices(data, mask, VOLUMES) == {}
    assert filled(data, {}) is data


def test_noise_alone_and_few_volumes_tell_of_no_slices():
    data, mask = series()
    data[..., 4] = np.random.default_rng(2).rayleigh(20, SHAPE)
    assert lost_slices(data, mask, VOLUMES) == {}
    data[:, :, 10, 5] = 0
    assert lost_slices(data, mask, VOLUMES[:2]) == {}
