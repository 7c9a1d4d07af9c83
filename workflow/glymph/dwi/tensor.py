"""The brain of a series, and the diffusion tensor."""

from __future__ import annotations

import numpy as np

from glymph.common.gradients import GradientTable
from glymph.common.spaces import coarser
from glymph.common.tensors import as_components

PARAMETERS = 7
"""Six of a tensor, and the signal at b = 0."""


def brain_mask(b0: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Brain mask of a mean b = 0 image by median Otsu (DIPY), holes filled, one voxel wider.

    Found on voxels of about 1.5 mm where the image has finer ones. A margin costs a little time; a
    tensor missing at the brain's edge costs a ROI.
    """
    from dipy.segment.mask import median_otsu
    from scipy.ndimage import binary_dilation, binary_fill_holes

    coarse, _, factors = coarser(b0, affine)
    _, mask = median_otsu(coarse, median_radius=2, numpass=2)
    mask = binary_dilation(binary_fill_holes(mask))
    for axis, factor in enumerate(factors):
        mask = mask.repeat(factor, axis=axis)
    return np.pad(mask, [(0, n - m) for n, m in zip(b0.shape, mask.shape, strict=True)])


def fit(data: np.ndarray, table: GradientTable, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Weighted least-squares tensor fit inside ``mask``; 0 outside.

    ``data`` is (x, y, z, volume). Returns maps on the same grid: ``tensor`` (x, y, z, 6) in
    `COMPONENTS` order and mm2/s, ``fa``, ``md``, ``ad``, ``rd``, ``v1`` (x, y, z, 3) in world axes,
    and ``residual`` (`deviation` of the signal from the model). Voxels whose fit is not finite are
    0 in all maps.

    Source: Chung 2006 (10.1016/j.neuroimage.2006.07.001), DIPY's implementation.

    >>> from glymph.common.gradients import GradientTable
    >>> s = 0.5**0.5
    >>> along = [[0, 0, 0], [s, s, 0], [s, -s, 0], [s, 0, s], [s, 0, -s], [0, s, s], [0, s, -s]]
    >>> table = GradientTable(np.array([0] + [1000] * 6), np.array(along))
    >>> wanted = np.diag([0.3e-3, 0.5e-3, 1.3e-3])  # mm2/s; the fibre runs up
    >>> signal = 500 * np.exp(-table.bvals * np.einsum("ni,ij,nj->n", along, wanted, along))
    >>> maps = fit(signal.reshape(1, 1, 1, 7), table, np.ones((1, 1, 1), bool))
    >>> [round(float(maps[name][0, 0, 0]), 5) for name in ("md", "fa")]
    [0.0007, 0.64327]
    >>> abs(maps["v1"][0, 0, 0]).round(3).tolist()
    [0.0, 0.0, 1.0]
    """
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import TensorModel

    gtab = gradient_table(table.bvals, bvecs=table.vectors, b0_threshold=50, atol=0.1)
    signal = np.maximum(data[mask], 0)
    fitted = TensorModel(gtab, fit_method="WLS", return_S0_hat=True).fit(signal)
    full = fitted.quadratic_form
    ok = np.isfinite(full).all(axis=(1, 2)) & (signal[:, table.is_b0].mean(axis=1) > 0)
    model = fitted.predict(gtab, S0=fitted.S0_hat)
    voxelwise = {
        "tensor": as_components(full),
        "fa": fitted.fa,
        "md": fitted.md,
        "ad": fitted.ad,
        "rd": fitted.rd,
        "v1": fitted.evecs[:, :, 0],
        "residual": deviation(signal - model),
    }
    return {name: on_grid(values, ok, mask) for name, values in voxelwise.items()}


def deviation(residuals: np.ndarray) -> np.ndarray:
    """Standard deviation (voxels,) of the noise by the ``residuals`` (voxels, volumes) of a fit of
    a tensor and S0; 0, for unknown, where there are no more volumes than these have parameters."""
    freedom = residuals.shape[1] - PARAMETERS
    if freedom < 1:
        return np.zeros(len(residuals))
    return np.sqrt(np.sum(residuals**2, axis=1) / freedom)


def on_grid(values: np.ndarray, ok: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Float32 grid of the ``values`` (n, ...) of ``mask``; 0 elsewhere and where not ``ok``."""
    grid = np.zeros(mask.shape + values.shape[1:], np.float32)
    keep = ok.reshape(-1, *[1] * (values.ndim - 1))
    grid[mask] = np.where(keep & np.isfinite(values), values, 0)
    return grid


def snr(b0: np.ndarray, residual: np.ndarray, mask: np.ndarray) -> float | None:
    """Median over ``mask`` of b = 0 signal over residual: an estimate of SNR at b = 0. None where
    no residual is known."""
    inside = mask & (residual > 0)
    return float(np.median(b0[inside] / residual[inside])) if inside.any() else None
