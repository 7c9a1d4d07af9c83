"""Denoising brings the signal nearer to the truth, leaves the rest alone, and adds no bias."""

import json

import nibabel as nib
import numpy as np
import pytest

from glymph.dwi.correct import slice_axis
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


def test_with_a_stride_of_one_it_is_dipy_s(noisy):
    from dipy.denoise.localpca import mppca

    _, data, mask = noisy
    inside = np.zeros_like(mask)
    inside[6:16, 6:16, 5:15] = mask[6:16, 6:16, 5:15]
    with np.errstate(invalid="ignore"):
        expected = mppca(data, mask=inside, patch_radius=2, suppress_warning=True)
    found = denoise(data, inside, "mppca", stride=1)
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-5, atol=0.01)


def test_the_stride_costs_little(noisy):
    truth, data, mask = noisy
    errors = [(denoise(data, mask, "mppca", stride) - truth)[mask].std() for stride in (1, 2)]
    assert errors[1] < 1.1 * errors[0]


def test_voxels_that_no_patch_holds_keep_their_value(noisy):
    _, data, mask = noisy
    lonely = np.zeros_like(mask)
    lonely[3, 3, 3] = lonely[0, 0, 0] = True  # odd places: no patch is centred there
    np.testing.assert_array_equal(denoise(data, lonely, "mppca"), data)
    np.testing.assert_array_equal(denoise(data[:4], mask[:4], "mppca"), data[:4])


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


@pytest.mark.parametrize(
    ("sizes", "said", "noted", "axis"),
    [
        ((2, 2, 2), None, None, 2),
        ((2.0000002, 2, 2), None, None, 2),  # what a float of 32 bits makes of 2 mm
        ((3, 2, 2), None, None, 0),
        ((2, 2, 3), "i-", None, 0),
        ((2, 2, 2), None, 1, 1),
    ],
)
def test_slices_lie_where_the_files_say(tmp_path, sizes, said, noted, axis):
    image = nib.Nifti1Image(np.zeros((4, 4, 4, 2), np.float32), np.diag([*sizes, 1]))
    image.header.set_dim_info(slice=noted)
    path = tmp_path / "dwi.json"
    path.write_text(json.dumps({"SliceEncodingDirection": said} if said else {}))
    assert slice_axis(image, str(path)) == axis
