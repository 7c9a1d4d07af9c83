"""Content checks of one image, read whole, before any long job starts."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput, brief, short
from glymph.common.given import SMALLEST_MM, check_extent, open_image, stored_header, values
from glymph.common.gradients import B0_MAX, GradientTable, read_fsl, select_shells
from glymph.common.sidecars import DIRECTIONS, phase_encoding
from glymph.common.spaces import apply_affine, image_axes, voxel_sizes

MIN_DIRECTIONS = 6
CONFLICT_MM = 1.0
HIGH_CONDITION, MOST_CONDITION = 20.0, 100.0
"""Condition number of the gradient scheme beyond which a part of the tensor is noisy, and beyond
which it is noise. Schemes in use have 1.3 to 10 (Skare 2000, 10.1006/jmre.2000.2209); directions
within a plane have no limit."""
NEGATIVE, MOST_NEGATIVE, BESIDE_PADDING = 0.05, 0.01, 0.001
"""A voxel is negative below minus this share of the strongest signals, and this share of the voxels
may be: ringing of an interpolation does not reach that far, nor noise about 0. Beside padding,
which may be the zeros about a brain after a z-score, fewer may be."""
FINEST_MM, COARSEST_MM = 0.1, 12.0
"""Edges of voxels; beyond these, units are wrong or nothing can be measured."""


def check_anatomical(path: str) -> dict:
    """Check a T1w, T2w or FLAIR image; returns its facts. Raises `BadInput`."""
    image = open_image(path)
    if len([n for n in image.shape[3:] if n > 1]) or len(image.shape) < 3:
        raise BadInput(
            f"{len(image.shape)}D image of shape {image.shape}, an anatomical image has 3 axes",
            path, "choose one volume, or average the echoes or runs",
        )  # fmt: skip
    _check_grid(image, path)
    data = values(image, path).reshape(image.shape[:3])
    _check_values(data, path)
    _check_sign(data, path)
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
    image = open_image(path)
    if len(image.shape) != 4:
        raise BadInput(
            f"{len(image.shape)}D image of shape {image.shape}, a diffusion series has 4 axes",
            path, "convert the whole series",
        )  # fmt: skip
    _check_grid(image, path)
    table = read_fsl(files["bval"], files["bvec"], image.affine, image.shape[3])
    keep = select_shells(table, b_max)
    used = table.select(keep)
    if not (table.bvals > B0_MAX).any():
        raise BadInput(
            f"no b-value above {B0_MAX:g} (the largest is {table.bvals.max():g})", files["bval"],
            "give b-values in s/mm2, or leave this series out: nothing in it is weighted",
        )  # fmt: skip
    if not used.is_b0.any():
        raise BadInput(
            f"no volume with b = 0 (the lowest b-value is {table.bvals.min():g}; up to {B0_MAX:g} "
            "counts as 0)", files["bval"],
            "ALPS needs at least one b = 0 image (a volume with b > 0 and a zero vector is none)",
        )  # fmt: skip
    directions = used.directions()
    if directions < MIN_DIRECTIONS:
        raise BadInput(
            f"{directions} diffusion directions at b <= {b_max:g}, a tensor needs {MIN_DIRECTIONS}",
            files["bvec"], "raise dwi.b_max, or leave this subject out",
        )  # fmt: skip
    condition = used.condition()
    if not condition <= MOST_CONDITION:
        raise BadInput(
            f"the {directions} diffusion directions at b <= {b_max:g} lie nearly in one plane or "
            f"cone (condition number {condition:.3g}, at most {MOST_CONDITION:g}), and tell no "
            "tensor", files["bvec"],
            "see whether the bvec file is this series' own and whole, or leave this subject out",
        )  # fmt: skip
    data = values(image, path)
    for volume in range(data.shape[3]):
        _check_values(data[..., volume], path, f"volume {volume}: ")
    notes, direction = _phase_encoding(files)
    notes += _left_out(table, keep, files, b_max)
    if condition > HIGH_CONDITION:
        notes.append(
            f"{files['bvec']}: the directions hardly tell a tensor (condition number "
            f"{condition:.3g}; schemes in use have 1.3 to 10)"
        )
    return _facts(image) | {
        "notes": notes,
        "bvals": sorted({int(round(b, -1)) for b in table.bvals}),
        "volumes": len(table),
        "volumes_left_out": len(table) - len(keep),
        "directions": directions,
        "phase_encoding": direction,
    }


def _phase_encoding(files: dict[str, str]) -> tuple[list[str], str | None]:
    """Notes and the direction; a sidecar that is no JSON object raises `BadInput`."""
    if "json" not in files:
        return [f"{files['dwi']}: no JSON sidecar; phase encoding is unknown"], None
    direction = phase_encoding(files["dwi"], files["json"])
    if direction is None:
        return [f"{files['json']}: no PhaseEncodingDirection of {', '.join(DIRECTIONS)}"], None
    return [], direction


def _left_out(table: GradientTable, keep: np.ndarray, files: dict, b_max: float) -> list[str]:
    """Notes on the volumes that the tensor is not fitted to."""
    notes = []
    without = np.flatnonzero(table.has_no_direction)
    if len(without):
        notes.append(
            f"{files['bvec']}: {len(without)} volumes with b > 0 and no direction are left out "
            f"(numbers {_numbers(without)}): trace or ADC images; if they are b = 0, write 0 into "
            "the bval file"
        )
    above = np.setdiff1d(np.arange(len(table)), [*keep, *without])
    if len(above):
        shells = sorted({round(float(b)) for b in table.nominal()[above]})
        notes.append(
            f"{files['bval']}: {len(above)} volumes above dwi.b_max ({b_max:g}) are left out (b = "
            f"{short(', '.join(map(str, shells)))})"
        )
    return notes


def _numbers(volumes: np.ndarray) -> str:
    return short(", ".join(map(str, volumes)))


def _check_grid(image: nib.Nifti1Image, path: str) -> None:
    header = image.header
    check_extent(image, path)
    # nibabel mends zeros when it loads; with nan comparisons fail, hence the negation.
    if not (np.abs(stored_header(path)["pixdim"][1:4]) >= SMALLEST_MM).all():
        raise BadInput("a voxel size is zero", path, "convert it again with the true voxel sizes")
    sizes = voxel_sizes(image.affine)
    if min(sizes) < FINEST_MM or max(sizes) > COARSEST_MM:
        unit = header.get_xyzt_units()[0]
        said = "" if unit in ("mm", "unknown") else f" (the header counts in units of one {unit})"
        raise BadInput(
            f"voxels of {' x '.join(f'{s:.4g}' for s in sizes)} mm{said}: no MRI of a head", path,
            "convert it again with voxel sizes in mm, or leave it out",
        )  # fmt: skip
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
    try:
        sform, qform = image.get_sform(), image.get_qform()
    except (nib.spatialimages.HeaderDataError, ValueError) as error:
        raise BadInput(f"no usable qform ({brief(error)})", path, "convert it again") from None
    gap = np.linalg.norm(apply_affine(sform, corners) - apply_affine(qform, corners), axis=1).max()
    if not gap <= CONFLICT_MM:  # a qform of nan is a conflict too
        raise BadInput(
            f"sform and qform put the same voxel up to {gap:.1f} mm apart", path,
            "find out which is right and copy it over the other",
        )  # fmt: skip


def _check_values(data: np.ndarray, path: str, where: str = "") -> None:
    bad = int(np.sum(~np.isfinite(data)))
    if bad:
        raise BadInput(
            f"{where}{bad} voxels are NaN or infinite", path,
            "convert it again, or set them to 0 where they lie outside the head",
        )  # fmt: skip
    if data.min() == data.max():
        raise BadInput(f"{where}constant, every voxel is {data.flat[0]:g}", path, "convert again")


def _check_sign(data: np.ndarray, path: str) -> None:
    """`BadInput` for an image (x, y, z) many values of which are negative: what follows takes these
    for background. One value for many voxels is padding, and is background."""
    if data.min() >= 0:
        return
    inside = data > data.min()
    padded = inside.mean() < 1 - MOST_NEGATIVE and data.max() > 0
    own = data[inside] if padded else data
    below = own[own < -NEGATIVE * np.percentile(np.abs(own), 99.5)]
    if below.size <= (BESIDE_PADDING if padded else MOST_NEGATIVE) * own.size:
        return
    raise BadInput(
        f"{below.size / own.size:.0%} of its voxels are negative (down to {below.min():g}), as "
        "after a z-score or with a wrong slope: no signal of MRI", path,
        "give the image as the scanner wrote it, or shifted so that the background is 0",
    )  # fmt: skip


def _facts(image: nib.Nifti1Image) -> dict:
    return {
        "file": Path(image.get_filename()).name,
        "shape": list(image.shape),
        "voxel_size_mm": [round(float(size), 4) for size in voxel_sizes(image.affine)],
        "storage": "".join(nib.aff2axcodes(image.affine)),
        "notes": [],
    }
