"""Denoising brings the signal nearer to the truth, leaves the rest alone, and adds no bias."""

import numpy as np
import pytest

from glymph.dwi.denoise import denoise, unring
from tests.dwi.phantom import head


@pytest.fixture(scope="module")
def noisy():
    truth, _, mask, _ = head(np.eye(3), shape=(22, 22, 20))
    rng = np.random.default_rng(0)
    data = (truth + rng.normal(scale=40, size=truth.shape)).astype(np.float32)
    return truth, data, mask


def test_mppca_halves_the_error_without_bias(noisy):
    truth, data, mask = noisy
    found = denoise(data, mask, "mppca")
    before, after = ((x - truth)[mask] for x in (data, found))
    assert after.std() < 0.6 * before.std()
    assert abs(after.mean()) < 2
    np.testing.assert_array_equal(found[~mask], data[~mask])


def test_none_changes_nothing(noisy):
    _, data, mask = noisy
    assert denoise(data, mask, "none") is data


def test_more_volumes_than_a_small_cube_holds():
    rng = np.random.default_rng(1)
    data = (1000 + rng.normal(scale=30, size=(12, 12, 12, 130))).astype(np.float32)
    found = denoise(data, np.ones((12, 12, 12), bool), "mppca")
    assert (found - 1000).std() < 10


def test_unringing_lowers_the_overshoot_at_an_edge():
    size = 64
    spectrum = np.zeros(4 * size, complex)
    edge = np.zeros(4 * size)
    edge[96:160] = 1000.0
    full = np.fft.fftshift(np.fft.fft(edge))
    low = 2 * size - size // 2
    spectrum[low : low + size] = full[low : low + size]
    line = np.abs(np.fft.ifft(np.fft.ifftshift(spectrum[low : low + size]))) / 4
    image = np.tile(line[:, None, None, None], (1, size, 3, 1)).astype(np.float32)
    found = unring(image, slice_axis=2, threads=1)
    assert np.abs(np.diff(found[27:37, 30, 1, 0])).max() < np.abs(np.diff(line[27:37])).max()
