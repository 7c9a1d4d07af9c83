"""Reading and writing NIfTI images of the workflow's own, with the sidecar that says what they are.

Images and masks that a user gives come through `glymph.common.given` first.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.common.sidecars import write_json


def load(path: str | Path) -> nib.Nifti1Image:
    """Open a NIfTI image; nibabel's affine (sform first, then qform) is voxel to world."""
    return nib.load(str(path))


def array(image: nib.Nifti1Image, dtype=np.float32) -> np.ndarray:
    """The scaled voxel values as ``dtype``."""
    return np.asanyarray(image.dataobj).astype(dtype, copy=False)


def spatial(image: nib.Nifti1Image) -> np.ndarray:
    """The values of a 3D image as float32 (x, y, z), without trailing axes of length 1."""
    return array(image).reshape(image.shape[:3])


def bounding_box(mask: np.ndarray, margin: int) -> tuple[slice, slice, slice]:
    """Slices of the smallest box about ``mask`` (x, y, z; not empty) and ``margin`` voxels more."""
    axes = range(mask.ndim)
    # Axis by axis: a list of all places takes 24 bytes a voxel.
    places = [np.flatnonzero(mask.any(axis=tuple(a for a in axes if a != k))) for k in axes]
    low = np.maximum([p[0] - margin for p in places], 0)
    high = np.minimum([p[-1] + margin + 1 for p in places], mask.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def save(data: np.ndarray, affine: np.ndarray, path: str | Path, sidecar: dict | None = None):
    """Write ``data`` on the grid ``affine`` (sform and qform alike), and a JSON sidecar beside it.

    Values that are not finite raise ValueError: no NaN travels in silence.
    """
    if not np.isfinite(data).all():
        raise ValueError(f"{path}: {np.sum(~np.isfinite(data))} values are not finite")
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    nib.save(image, str(path))
    if sidecar is not None:
        write_json(sidecar, Path(str(path).removesuffix(".nii.gz") + ".json"))
