"""The tensor against the truth, and against an independent weighted fit in plain numpy."""

import numpy as np
import pytest

from glymph.common.gradients import GradientTable, select_shells
from glymph.common.tensors import COMPONENTS, as_components, as_matrices
from glymph.dwi.tensor import brain_mask, fit, snr
from tests.conftest import STORAGE
from tests.dwi.phantom import head, table


def numpy_wls(signal, gradients):
    """Weighted least squares of log signal, weights = squared signal of the ordinary fit."""
    x, y, z = gradients.vectors.T
    b = gradients.bvals
    design = np.stack([-b * x * x, -2 * b * x * y, -2 * b * x * z, -b * y * y, -2 * b * y * z,
                       -b * z * z, np.ones_like(b)], axis=1)  # fmt: skip
    found = []
    for row in signal.astype(np.float64):
        log = np.log(np.maximum(row, 1e-4))
        ordinary = np.linalg.lstsq(design, log, rcond=None)[0]
        weight = np.exp(design @ ordinary)
        found.append(np.linalg.lstsq(design * weight[:, None], log * weight, rcond=None)[0][:6])
    return np.array(found)


def noisy(axes, sigma, seed=3):
    data, affine, mask, tensors = head(axes)
    rng = np.random.default_rng(seed)
    real = data + rng.normal(scale=sigma, size=data.shape)
    return np.hypot(real, rng.normal(scale=sigma, size=data.shape)), affine, mask, tensors


@pytest.mark.parametrize("name", STORAGE)
def test_noise_free_fit_is_exact_in_world_axes(name):
    data, _, mask, tensors = head(STORAGE[name])
    maps = fit(data, table(), mask)
    np.testing.assert_allclose(as_matrices(maps["tensor"])[mask], tensors[mask], atol=2e-8)
    np.testing.assert_allclose(maps["md"][mask], np.trace(tensors[mask], axis1=1, axis2=2) / 3,
                               rtol=1e-4)  # fmt: skip
    fibre = mask & (maps["fa"] > 0.3)
    main = np.linalg.eigh(tensors[fibre])[1][:, :, 2]
    assert abs(np.einsum("ni,ni->n", main, maps["v1"][fibre])).min() > 0.9999


def test_fit_equals_an_independent_one():
    data, _, mask, _ = noisy(np.eye(3), sigma=40.0)
    maps = fit(data, table(), mask)
    difference = abs(maps["tensor"][mask] - numpy_wls(data[mask], table()))
    print(f"largest difference of a tensor component: {difference.max():.2e} mm2/s")
    assert difference.max() < 1e-8, "1e-5 of a typical diffusivity"


def test_nothing_outside_the_mask_and_no_nan():
    data, _, mask, _ = noisy(np.eye(3), sigma=40.0)
    data[5:8, 5:8, 5:8] = 0  # dead voxels inside the mask
    mask = mask | np.pad(np.ones((3, 3, 3), bool), [(5, 22), (5, 24), (5, 18)])
    maps = fit(data, table(), mask)
    for name, values in maps.items():
        assert np.isfinite(values).all(), name
        assert not values[~mask].any(), name
    assert not maps["md"][5:8, 5:8, 5:8].any(), "a dead voxel has no tensor"


def test_components_and_matrices_are_inverse():
    one = as_matrices(np.arange(1.0, 7.0))
    assert (one == one.T).all()
    np.testing.assert_array_equal(as_components(one), np.arange(1.0, 7.0))
    assert [COMPONENTS[k] for k in (0, 3, 5)] == ["Dxx", "Dyy", "Dzz"]
    assert (one[0, 1], one[0, 2], one[1, 2]) == (2, 3, 5)


def test_shells_above_the_limit_are_left_out():
    gradients = table(6)
    gradients.bvals[-2:] = 3000
    assert list(select_shells(gradients, 1500)) == [0, 1, 2, 3, 4]


def test_snr_estimate():
    data, _, mask, _ = noisy(np.eye(3), sigma=50.0)
    maps = fit(data, table(), mask)
    assert snr(data[..., 0], maps["residual"], mask) == pytest.approx(20, rel=0.25)


@pytest.mark.parametrize("directions", [12, 25, 60])
def test_snr_does_not_depend_on_the_number_of_directions(directions):
    """Signals of one voxel, a thousand times, by the formula: no phantom's own table."""
    rng = np.random.default_rng(directions)
    vectors = rng.normal(size=(directions, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    bvals = np.array([0.0] + [1000] * directions)
    gradients = GradientTable(bvals, np.vstack([[0, 0, 0], vectors]))
    wanted = np.diag([1.2e-3, 0.5e-3, 0.4e-3])
    rates = np.einsum("ni,ij,nj->n", gradients.vectors, wanted, gradients.vectors)
    clean = np.broadcast_to(1000 * np.exp(-bvals * rates), (10, 10, 10, directions + 1))
    noisy = clean + rng.normal(scale=50, size=clean.shape)
    mask = np.ones((10, 10, 10), bool)
    found = snr(clean[..., 0], fit(noisy, gradients, mask)["residual"], mask)
    assert found == pytest.approx(20, rel=0.1)


def test_of_seven_volumes_no_snr_is_known():
    data, _, mask, _ = noisy(np.eye(3), sigma=20.0)
    gradients = table(6)
    maps = fit(data[..., : len(gradients)], gradients, mask)
    assert not maps["residual"].any() and snr(data[..., 0], maps["residual"], mask) is None


def test_mask_holds_the_head():
    data, affine, mask, _ = noisy(np.eye(3), sigma=20.0)
    found = brain_mask(data[..., 0], affine)
    assert (found & mask).sum() / mask.sum() > 0.99
    assert found.sum() < 1.7 * mask.sum()


def test_mask_of_a_finer_grid_is_that_of_the_coarser_one():
    """Each voxel split into 2 x 2 x 3 of half a millimetre and more, and a rim that fills none."""
    data, _, mask, _ = noisy(np.eye(3), sigma=20.0)
    b0 = data[..., 0]
    for axis, factor in enumerate((2, 2, 3)):
        b0 = b0.repeat(factor, axis=axis)
    b0 = np.pad(b0, [(0, 1), (0, 0), (0, 2)])
    found = brain_mask(b0, np.diag([0.75, 0.75, 0.5, 1]))
    assert found.shape == b0.shape
    coarse = brain_mask(data[..., 0], np.diag([1.5, 1.5, 1.5, 1]))
    np.testing.assert_array_equal(found[:-1:2, ::2, :-2:3], coarse)
    assert not found[-1].any()
