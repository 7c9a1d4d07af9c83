"""Reading and writing NIfTI images and JSON, with the sidecar that says what the numbers are."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import nibabel as nib
import numpy as np


def load(path: str | Path) -> nib.Nifti1Image:
    """Open a NIfTI image; nibabel's affine (sform first, then qform) is voxel to world."""
    return nib.load(str(path))


def array(image: nib.Nifti1Image, dtype=np.float32) -> np.ndarray:
    """The scaled voxel values as ``dtype``."""
    return np.asanyarray(image.dataobj).astype(dtype, copy=False)


def load_mask(path: str | Path) -> nib.Nifti1Image:
    """A binary mask as a 3D image of 0 and 1 (float32): what is above 0 belongs to it."""
    image = load(path)
    return nib.Nifti1Image((spatial(image) > 0).astype(np.float32), image.affine)


def spatial(image: nib.Nifti1Image) -> np.ndarray:
    """The values of a 3D image as float32 (x, y, z), without trailing axes of length 1."""
    return array(image).reshape(image.shape[:3])


def bounding_box(mask: np.ndarray, margin: int) -> tuple[slice, slice, slice]:
    """Slices of the smallest box about ``mask`` (x, y, z; not empty) and ``margin`` voxels more."""
    places = np.argwhere(mask)
    low = np.maximum(places.min(axis=0) - margin, 0)
    high = np.minimum(places.max(axis=0) + margin + 1, mask.shape)
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


def write_json(content: dict, path: str | Path) -> None:
    """Write ``content`` whole or not at all; numbers that are not finite become null."""
    path = Path(path)
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text + "\n", encoding="utf-8")
    scratch.replace(path)


def read_json(path: str | Path) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _plain(value):
    """``value`` with numpy types made Python's own and non-finite numbers made None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
