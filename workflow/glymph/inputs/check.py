"""Content checks of one image, read whole, before any long job starts."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput
from glymph.common.gradients import read_fsl
from glymph.common.images import array, load, read_json
from glymph.common.spaces import apply_affine, image_axes, voxel_sizes

MIN_DIRECTIONS = 6
MAX_GZIP_RATIO = 1040
"""Deflate cannot shrink data further; a header that promises more is wrong."""
CONFLICT_MM = 1.0


def check_anatomical(path: str) -> dict:
    """Check a T1w, T2w or FLAIR image; returns its facts. Raises `BadInput`."""
    image = _open(path)
    if len([n for n in image.shape[3:] if n > 1]) or len(image.shape) < 3:
        raise BadInput(
            f"{len(image.shape)}D image of shape {image.shape}, an anatomical image has 3 axes",
            path, "choose one volume, or average the echoes or runs",
        )  # fmt: skip
    _check_grid(image, path)
    _check_values(_read(image, path).reshape(image.shape[:3]), path)
    return _facts(image)


def check_diffusion(files: dict[str, str], b_max: float) -> dict:
    """Check a DWI with its ``bval``, ``bvec`` and ``json``; returns facts. Raises `BadInput`.

    A missing JSON file, or one without PhaseEncodingDirection, is a note and no error.
    """
    path = files["dwi"]
    for kind in ("bval", "bvec"):
        if kind not in files:
            raise BadInput(f"it has no .{kind} file beside it", path, f"add the .{kind} file")
        if not os.path.isfile(files[kind]):
            raise BadInput("the file does not exist", files[kind], "correct the path")
    image = _open(path)
    if len(image.shape) != 4:
        raise BadInput(
            f"{len(image.shape)}D image of shape {image.shape}, a diffusion series has 4 axes",
            path, "convert the whole series",
        )  # fmt: skip
    _check_grid(image, path)
    table = read_fsl(files["bval"], files["bvec"], image.affine, image.shape[3])
    used = table.select(table.bvals <= b_max)
    if not used.is_b0.any():
        raise BadInput("no volume with b = 0", files["bval"], "ALPS needs at least one b = 0 image")
    directions = used.directions()
    if directions < MIN_DIRECTIONS:
        raise BadInput(
            f"{directions} diffusion directions at b <= {b_max:g}, a tensor needs {MIN_DIRECTIONS}",
            files["bvec"], "raise dwi.b_max, or leave this subject out",
        )  # fmt: skip
    data = _read(image, path)
    for volume in range(data.shape[3]):
        _check_values(data[..., volume], path, f"volume {volume}: ")
    notes, sidecar = _read_sidecar(files)
    return _facts(image) | {
        "notes": notes,
        "bvals": sorted({int(round(b, -1)) for b in table.bvals}),
        "volumes": len(table),
        "directions": directions,
        "phase_encoding": sidecar.get("PhaseEncodingDirection"),
    }


def _read_sidecar(files: dict[str, str]) -> tuple[list[str], dict]:
    if "json" not in files:
        return [f"{files['dwi']}: no JSON sidecar; phase encoding is unknown"], {}
    try:
        sidecar = read_json(files["json"])
    except (OSError, ValueError) as error:
        raise BadInput(f"not readable as JSON ({error})", files["json"], "write it again") from None
    if not isinstance(sidecar, dict):
        raise BadInput("not a JSON object", files["json"], "write it again")
    if "PhaseEncodingDirection" not in sidecar:
        return [f"{files['json']}: no PhaseEncodingDirection"], sidecar
    return [], sidecar


def _open(path: str) -> nib.Nifti1Image:
    if not os.path.isfile(path):
        raise BadInput("the file does not exist", path, "correct the path, or fetch the file")
    if os.path.getsize(path) == 0:
        raise BadInput("the file is empty (0 bytes)", path, "copy it again")
    try:
        image = load(path)
    except Exception as error:  # nibabel raises many kinds, zlib and struct errors among them
        raise BadInput(
            f"not readable as NIfTI ({type(error).__name__}: {error})",
            path,
            "copy or convert again",
        ) from None
    if not isinstance(image, nib.Nifti1Pair):
        raise BadInput(f"not NIfTI but {type(image).__name__}", path, "convert it to NIfTI")
    dtype = image.get_data_dtype()
    if dtype.fields or dtype.kind not in "iuf":
        raise BadInput(f"voxels of type {dtype} are no intensities", path, "convert to magnitude")
    promised = int(np.prod(image.shape, dtype=np.int64)) * dtype.itemsize
    if promised <= 0 or promised > MAX_GZIP_RATIO * os.path.getsize(path):
        raise BadInput(
            f"the header promises {promised} bytes that the file cannot hold", path, "copy it again"
        )
    return image


def _read(image: nib.Nifti1Image, path: str) -> np.ndarray:
    try:
        if path.endswith(".gz"):
            _check_gzip(path)
        return array(image)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BadInput(
            f"truncated or damaged ({type(error).__name__}: {error})", path, "copy it again"
        ) from None


def _check_gzip(path: str) -> None:
    """Read to the checksum at the end, which nibabel never reaches; raises OSError or EOFError."""
    with gzip.open(path) as stream:
        while stream.read(1 << 22):
            pass


def _stored_pixdim(path: str) -> np.ndarray:
    """The three voxel sizes as they stand in the file: nibabel mends zeros when it loads."""
    with nib.openers.ImageOpener(path) as stream:
        return nib.Nifti1Header.from_fileobj(stream, check=False)["pixdim"][1:4]


def _check_grid(image: nib.Nifti1Image, path: str) -> None:
    header = image.header
    if not np.isfinite(image.affine).all():
        raise BadInput("its affine is not finite", path, "convert it again")
    stored = header["pixdim"][1:4] if isinstance(header, nib.Nifti2Header) else _stored_pixdim(path)
    sizes = np.concatenate([voxel_sizes(image.affine), np.abs(stored)])
    if (sizes < 1e-3).any():
        raise BadInput("a voxel size is zero", path, "convert it again with the true voxel sizes")
    if min(image.shape[:3]) < 4:
        raise BadInput(f"only {min(image.shape[:3])} voxels along one axis", path, "check the file")
    qcode, scode = int(header["qform_code"]), int(header["sform_code"])
    if qcode == 0 and scode == 0:
        raise BadInput(
            "neither sform nor qform is set, so left and right are unknown", path,
            "convert it again from DICOM; do not guess the orientation",
        )  # fmt: skip
    try:
        image_axes(image.affine)
    except ValueError as error:
        raise BadInput(str(error), path, "resample it to a grid without shear") from None
    if qcode and scode:
        _check_forms(image, path)


def _check_forms(image: nib.Nifti1Image, path: str) -> None:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in image.shape[:3]])).reshape(3, -1).T
    sform, qform = image.get_sform(), image.get_qform()
    gap = np.linalg.norm(apply_affine(sform, corners) - apply_affine(qform, corners), axis=1).max()
    if gap > CONFLICT_MM:
        raise BadInput(
            f"sform and qform put the same voxel up to {gap:.1f} mm apart", path,
            "find out which is right and copy it over the other",
        )  # fmt: skip


def _check_values(data: np.ndarray, path: str, where: str = "") -> None:
    bad = int(np.sum(~np.isfinite(data)))
    if bad:
        raise BadInput(f"{where}{bad} voxels are NaN or infinite", path, "convert it again")
    if data.min() == data.max():
        raise BadInput(f"{where}constant, every voxel is {data.flat[0]:g}", path, "convert again")


def _facts(image: nib.Nifti1Image) -> dict:
    return {
        "file": Path(image.get_filename()).name,
        "shape": list(image.shape),
        "voxel_size_mm": [round(float(size), 4) for size in voxel_sizes(image.affine)],
        "storage": "".join(nib.aff2axcodes(image.affine)),
        "notes": [],
    }
