"""Optional denoising and Gibbs unringing, before anything is interpolated."""

from __future__ import annotations

import numpy as np


def denoise(data: np.ndarray, mask: np.ndarray, method: str) -> np.ndarray:
    """``data`` (x, y, z, volume) denoised inside ``mask`` by ``method``: "none" or "mppca".

    Marchenko-Pastur PCA in cubes that hold at least as many voxels as there are volumes. Its model
    is noise that is independent between voxels, which zero-filled (interpolated) images violate.
    Source: Veraart 2016 (10.1016/j.neuroimage.2016.08.016), DIPY's implementation.
    """
    if method == "none":
        return data
    from dipy.denoise.localpca import mppca

    radius = 2 if data.shape[-1] <= 5**3 else 3
    denoised = mppca(data, mask=mask, patch_radius=radius, suppress_warning=True)
    return np.where(mask[..., None] & np.isfinite(denoised), denoised, data).astype(np.float32)


def unring(data: np.ndarray, slice_axis: int, threads: int) -> np.ndarray:
    """``data`` without Gibbs ringing in the two axes other than ``slice_axis``.

    Not for zero-filled (interpolated) images, whose ringing has another period.
    Source: Kellner 2016 (10.1002/mrm.26054), DIPY's implementation.
    """
    from dipy.denoise.gibbs import gibbs_removal

    return gibbs_removal(data, slice_axis=slice_axis, num_processes=threads, inplace=False).astype(
        np.float32
    )
