"""A drawing that a browser sends: a NIfTI mask, which must lie on the grid that it was drawn on."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput
from glymph.common.given import volume
from glymph.common.images import array
from glymph.common.spaces import apply_affine

LARGEST_BYTES = 16_000_000
"""Of a drawing, compressed; the largest T1w that was seen makes 2 MB."""
APART_MM = 0.02
"""How far a corner of the grid may lie off: browsers keep an affine in single precision."""


def read_drawing(body: bytes, grid: nib.Nifti1Image, name: str) -> np.ndarray:
    """The mask (bool) that ``body``, a NIfTI file, holds, on ``grid`` in that image's own order.

    Axes may be stored in another order or direction; where voxels lie is what their affine says.
    Raises `BadInput`, calling the drawing ``name``, for anything but 0 and 1 on that grid.
    """
    if len(body) > LARGEST_BYTES:
        raise BadInput(f"{len(body)} bytes are too many", name, "draw on the grid of the result")
    with tempfile.TemporaryDirectory() as folder:
        ending = ".nii.gz" if body[:2] == b"\x1f\x8b" else ".nii"
        path = Path(folder) / f"drawing{ending}"
        path.write_bytes(body)
        try:
            image = volume(path)
        except BadInput as error:
            stop = error.stop
            raise BadInput(stop.reason, name, "draw it again, and save") from None
    data = array(onto(image, grid, name))
    if not np.isin(data, (0, 1)).all():
        raise BadInput("it holds other values than 0 and 1", name, "send a mask")
    return data > 0


def onto(image: nib.Nifti1Image, grid: nib.Nifti1Image, name: str) -> nib.Nifti1Image:
    """``image`` with its axes in the order and direction of ``grid``. Raises `BadInput` where its
    voxels are not those of ``grid``."""
    ways = [nib.io_orientation(one.affine) for one in (image, grid)]
    turned = image.as_reoriented(nib.orientations.ornt_transform(*ways))
    if turned.shape != grid.shape[:3]:
        raise BadInput(
            f"its grid has {turned.shape} voxels, the result {grid.shape[:3]}", name,
            "draw on the grid of the result",
        )  # fmt: skip
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in turned.shape])).reshape(3, -1).T
    apart = np.linalg.norm(apply_affine(turned.affine, ends) - apply_affine(grid.affine, ends),
                           axis=1)  # fmt: skip
    if not apart.max() <= APART_MM:
        raise BadInput(
            f"its voxels lie up to {apart.max():.2g} mm from those of the result", name,
            "draw on the grid of the result",
        )  # fmt: skip
    return turned


def as_file(mask: np.ndarray, affine: np.ndarray) -> bytes:
    """A mask (bool) on the grid ``affine`` as .nii.gz; equal masks give equal bytes.

    What is given back was read again: same voxels, same affine.
    """
    image = nib.Nifti1Image(mask.astype(np.uint8), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    content = gzip.compress(image.to_bytes(), mtime=0)
    again = nib.Nifti1Image.from_bytes(gzip.decompress(content))
    if not (np.array_equal(np.asanyarray(again.dataobj) > 0, mask)
            and np.allclose(again.affine, affine, atol=1e-4)):  # fmt: skip
        raise OSError("the mask cannot be read back as it was drawn")
    return content
