"""Images and masks that users give: read whole, and refused for all that can be wrong with them.

Everything here raises `BadInput`. For files of the workflow's own, and for images that stage inputs
has checked, see `glymph.common.images`.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput, brief
from glymph.common.images import array, load
from glymph.common.spaces import voxel_sizes

MAX_GZIP_RATIO = 1040
"""Deflate cannot shrink data further; a header that promises more is wrong."""
MANY_VOXELS, DENSE = 100_000_000, 100
"""So many voxels in a file that shrank more than `DENSE` times are no image but a bomb: sparse
masks shrink more, but have fewer voxels."""
SPARE_BYTES = 1 << 26
"""Of header extensions before the voxels, and of what may follow them."""
SMALLEST_MM, WIDEST_MM = 1e-3, 1000.0
"""Voxel edge at least, field of view at most."""
SLACK = 1e-3
"""How far rounding and interpolation may carry a probability beyond 0 and 1."""
CONVERT, COPY = "convert it again to .nii.gz", "copy it again"


def open_image(path: str | Path) -> nib.Nifti1Image:
    """Open a user's NIfTI image (.nii or .nii.gz) of real numbers, whole to its last byte.

    Its values are not read. Raises `BadInput`.
    """
    path = str(path)
    header = stored_header(path)
    _check_whole(path, _check_promise(header, path))
    _check_extensions(header, path)
    try:
        return load(path)
    except MemoryError:
        raise
    except Exception as error:  # nibabel raises many kinds, plain Exception among them
        raise BadInput(f"not readable as NIfTI ({brief(error)})", path, CONVERT) from None


def stored_header(path: str) -> nib.Nifti1Header:
    """The header of a user's image as it stands there: nibabel mends it when it loads.

    Raises `BadInput`.
    """
    if not os.path.isfile(path):
        raise BadInput("the file does not exist", path, "correct the path, or fetch the file")
    if os.path.getsize(path) == 0:
        raise BadInput("the file is empty (0 bytes)", path, COPY)
    if not path.lower().endswith((".nii", ".nii.gz")):
        raise BadInput("not readable as NIfTI: neither .nii nor .nii.gz", path, CONVERT)
    try:
        with nib.openers.ImageOpener(path) as stream:
            start = stream.read(nib.Nifti2Header.sizeof_hdr)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"not readable ({brief(error)})", path, COPY) from None
    for kind, magic in ((nib.Nifti1Header, b"n+1"), (nib.Nifti2Header, b"n+2")):
        if kind.may_contain_header(start):
            header = kind(start[: kind.sizeof_hdr], check=False)
            if header["magic"].item() == magic:
                return header
    raise BadInput("not readable as NIfTI (its first bytes are of another kind)", path, CONVERT)


def _check_promise(header: nib.Nifti1Header, path: str) -> int:
    """Byte at which the voxels end by the header's account; `BadInput` where that cannot be."""
    # Not get_data_shape: nibabel reads surfaces of FreeSurfer out of some, or trips over them.
    shape, code = header["dim"][1 : int(header["dim"][0]) + 1], int(header["datatype"])
    try:
        dtype = header.get_data_dtype()
    except (nib.spatialimages.HeaderDataError, KeyError):
        raise BadInput(f"voxels of an unknown type ({code})", path, CONVERT) from None
    if dtype.fields or dtype.kind not in "iuf":
        raise BadInput(f"voxels of type {dtype} are no intensities", path, "convert to magnitude")
    start = float(header["vox_offset"])
    if not 0 <= start <= SPARE_BYTES:
        raise BadInput(f"the header says that voxels start at byte {start:g}", path, COPY)
    voxels = math.prod(map(int, shape)) if len(shape) and min(shape) > 0 else 0
    end = int(start) + voxels * dtype.itemsize
    size = os.path.getsize(path)
    held = size * MAX_GZIP_RATIO if path.lower().endswith(".gz") else size
    if not voxels or end > held or (voxels > MANY_VOXELS and end > DENSE * size):
        raise BadInput(
            f"the header promises {voxels} voxels in {end} bytes, which {size} bytes cannot hold",
            path, COPY,
        )  # fmt: skip
    return end


def _check_whole(path: str, end: int) -> None:
    """Read a compressed file to the checksum at its end, which nibabel never reaches."""
    if not path.lower().endswith(".gz"):
        return
    length = 0
    try:
        with gzip.open(path) as stream:
            while (block := stream.read(1 << 22)) and length <= end + SPARE_BYTES:
                length += len(block)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"truncated or damaged ({brief(error)})", path, COPY) from None
    if length < end:
        raise BadInput(f"truncated: {length} bytes where {end} are promised", path, COPY)
    if length > end + SPARE_BYTES:
        raise BadInput(f"it holds far more than the {end} bytes of its header", path, CONVERT)


def _check_extensions(header: nib.Nifti1Header, path: str) -> None:
    """`BadInput` for extensions that do not fit: nibabel takes memory for what their sizes say."""
    place, end = header.sizeof_hdr + 4, int(header["vox_offset"])
    with nib.openers.ImageOpener(path) as stream:
        block = stream.read(max(place, end))
    if len(block) < place or block[place - 4] == 0:
        return
    if end < place:
        raise BadInput(f"voxels start at byte {end}, in the header", path, CONVERT)
    order = {"<": "little", ">": "big"}[header.endianness]
    while len(block) - place >= 16:
        size = int.from_bytes(block[place : place + 4], order, signed=True)
        if not 16 <= size <= len(block) - place:
            raise BadInput(f"a header extension of {size} bytes does not fit", path, CONVERT)
        place += size


def values(image: nib.Nifti1Image, path: str | Path) -> np.ndarray:
    """`array` of a user's image that `open_image` opened; raises `BadInput`."""
    try:
        return array(image)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BadInput(f"truncated or damaged ({brief(error)})", path, COPY) from None


def volume(path: str | Path) -> nib.Nifti1Image:
    """A user's 3D image as float32 on its grid, read; raises `BadInput`."""
    image = open_image(path)
    if len(image.shape) < 3 or max(image.shape[3:], default=1) > 1:
        raise BadInput(
            f"{len(image.shape)}D image of shape {image.shape}, 3 axes are needed", path,
            "choose one volume",
        )  # fmt: skip
    check_extent(image, path)
    if np.linalg.matrix_rank(image.affine[:3, :3] / voxel_sizes(image.affine)) < 3:
        raise BadInput("two of its axes are parallel", path, CONVERT)
    return nib.Nifti1Image(values(image, path).reshape(image.shape[:3]), image.affine)


def mask_on(path: str | Path, grid: nib.Nifti1Image, name: str) -> np.ndarray:
    """A user's mask (bool, x, y, z) that must lie on the grid of the T1w-space image ``grid``.

    ``name`` is what a message calls it. Raises `BadInput` for any other grid, and where `as_share`
    does.
    """
    mask = volume(path)
    if mask.shape != grid.shape[:3] or not np.allclose(mask.affine, grid.affine, atol=0.01):
        raise BadInput(f"{name} is not on the T1w's grid", path, "resample it to the T1w")
    return array(as_share(mask, path)[0]) > 0.5


def check_extent(image: nib.Nifti1Image, path: str | Path) -> None:
    """`BadInput` for a grid whose affine or size no head has."""
    if not np.isfinite(image.affine).all():
        raise BadInput("its affine is not finite", path, "convert it again")
    sizes = voxel_sizes(image.affine)
    if (sizes < SMALLEST_MM).any():
        raise BadInput("a voxel size is zero", path, "convert it again with the true voxel sizes")
    widest = float((sizes * image.shape[:3]).max())
    if widest > WIDEST_MM:
        raise BadInput(f"it spans {widest:g} mm", path, "convert it again with voxel sizes in mm")


def load_mask(path: str | Path) -> nib.Nifti1Image:
    """A user's mask, or probability cut at 0.5, as a 3D image of 0 and 1 (float32).

    Raises `BadInput` for all that `volume` and `as_share` refuse.
    """
    share, _ = as_share(volume(path), path)
    return nib.Nifti1Image((array(share) > 0.5).astype(np.float32), share.affine)


def as_share(image: nib.Nifti1Image, path: str | Path) -> tuple[nib.Nifti1Image, str]:
    """A user's 3D ``image`` as float32 from 0 to 1, and what it is: "mask" or "probability".

    Whole numbers, in whatever type they are stored, are a mask: what is above 0 belongs to it (1)
    and all else does not (0). Fractions from 0 to 1 are a probability. NaN counts as 0. Raises
    `BadInput`, naming the file ``path``, for anything else.
    """
    data = array(image)
    data = np.where(np.isnan(data), np.float32(0), data)
    low, high = float(data.min()), float(data.max())
    whole = np.isfinite(high) and bool((data == np.round(data)).all())
    if whole and low >= 0:
        return nib.Nifti1Image((data > 0).astype(np.float32), image.affine), "mask"
    if low >= -SLACK and high <= 1 + SLACK:
        return nib.Nifti1Image(np.clip(data, 0, 1), image.affine), "probability"
    raise BadInput(
        f"neither a mask (whole numbers from 0) nor a probability (0 to 1): its values go from "
        f"{low:g} to {high:g}", path, "give a mask of 0 and 1, or a probability from 0 to 1",
    )  # fmt: skip
