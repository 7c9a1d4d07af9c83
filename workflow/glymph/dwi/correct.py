"""One pass over a series: check, denoise, estimate motion and distortion, resample once."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput
from glymph.common.gradients import GradientTable, read_fsl, select_shells
from glymph.common.images import array, load
from glymph.common.sidecars import DIRECTIONS, metadata, phase_axis, phase_encoding
from glymph.common.spaces import apply_affine, voxel_sizes
from glymph.dwi import currents, distortion, fieldmap, motion
from glymph.dwi.denoise import denoise, unring
from glymph.dwi.eddy import eddy
from glymph.dwi.gradient_check import judge, quick_tensors, score_orientations, scored
from glymph.dwi.register import b0_to_t1w
from glymph.dwi.tensor import brain_mask

THICKER = 1.01
"""Slices are thicker than their voxels are wide by more than what rounding makes."""


@dataclass(frozen=True)
class Corrected:
    """``data`` (x, y, z, volume) float32, its ``table``, ``b0`` mean and ``mask`` on one grid.

    ``motion`` has a row per volume of the shells used; ``facts`` go into the sidecar.
    """

    data: np.ndarray
    affine: np.ndarray
    table: GradientTable
    b0: np.ndarray
    mask: np.ndarray
    motion: list[dict[str, float]]
    facts: dict


def slice_axis(image: nib.Nifti1Image, *sidecars: str) -> int:
    """The voxel axis (0, 1, 2) across slices: SliceEncodingDirection of the `metadata` of
    ``sidecars``, else the header's, else the axis of the clearly longest voxel edge, else the last.
    """
    stated = metadata(*sidecars).get("SliceEncodingDirection")
    if stated in DIRECTIONS:
        return "ijk".index(stated[0])
    if (noted := image.header.get_dim_info()[2]) is not None:
        return int(noted)
    sizes = voxel_sizes(image.affine)
    longest = int(np.argmax(sizes))
    return longest if sizes[longest] > THICKER * np.median(sizes) else 2


def correct(
    files: dict[str, str],
    reverse: list[str],
    t1w_brain: nib.Nifti1Image | None,
    settings: dict,
    threads: int,
) -> Corrected:
    """Correct one series as ``settings`` (the ``dwi`` part of the configuration) say.

    ``files`` names dwi, bval, bvec and, where it exists, json. Raises `BadInput`, among others for
    a gradient table that another orientation fits clearly better.
    """
    image = load(files["dwi"])
    table = read_fsl(files["bval"], files["bvec"], image.affine, image.shape[3])
    keep = select_shells(table, settings["b_max"])
    data, table = array(image)[..., keep], table.select(keep)
    mask = brain_mask(data[..., table.is_b0].mean(axis=-1), image.affine)
    check = check_gradients(data, table, mask, image.affine, settings, files["bvec"])
    sidecars = [files[kind] for kind in ("dwi", "json") if kind in files]
    direction, axis = phase_encoding(*sidecars), phase_axis(*sidecars)
    centre = apply_affine(image.affine, np.argwhere(mask).mean(axis=0))
    data = denoise(data, mask, settings["denoise"])
    if settings["unring"]:
        data = unring(data, slice_axis(image, *sidecars), threads)
    if settings["motion"] == "eddy":
        data, turned, poses = eddy(data, image.affine, table, mask, files, threads)
        matrices = np.tile(np.eye(4), (len(table), 1, 1))  # eddy has resampled it all
        apart = None
    else:
        matrices = motion.estimate(data, image.affine, table, settings["motion"], mask)
        apart = currents.separate(matrices, image.affine, table, axis, centre)
        poses, turned = apart.poses, motion.rotate_gradients(table, apart.poses)
    b0 = _mean_b0(data, image.affine, table, matrices)
    shift, method, notes = _distortion(
        b0, image.affine, files, reverse, direction, t1w_brain, settings
    )
    for v, matrix in enumerate(matrices):  # in place: a fine grid fills the memory
        data[..., v] = motion.resample(data[..., v], image.affine, matrix, shift)
    b0 = data[..., table.is_b0].mean(axis=-1)
    mask = brain_mask(b0, image.affine)
    facts = {
        "gradient_check": check,
        "distortion": method,
        "phase_encoding": direction or _axis_by(axis, apart),
        "volumes": image.shape[3],
        "volumes_used": [int(v) for v in keep],
        "directions": table.directions(),
        "notes": notes,
    }
    return Corrected(
        data,
        image.affine,
        turned,
        b0,
        mask,
        _motion_rows(settings["motion"], poses, apart, centre),
        facts,
    )


def _axis_by(axis: int | None, apart: currents.Separated | None) -> str:
    """The axis of phase encoding where its direction is unknown, and what told it."""
    if axis is not None:
        return f"{'ijk'[axis]}, direction unknown"
    if apart is None or apart.axis is None:
        return "unknown"
    return f"{'ijk'[apart.axis]}, by the eddy currents"


def check_gradients(data, table, mask, affine, settings, source) -> dict:
    """Judge the table's orientation; raises `BadInput` where the configuration says "refuse"."""
    mask = scored(mask, affine)
    verdict = judge(score_orientations(quick_tensors(data, table, mask), mask, affine))
    print(f"gradient check: ratio {verdict['ratio']:.3f}, best {verdict['best']}", flush=True)
    clearly_wrong = verdict["ratio"] < settings["gradient_check_ratio"]
    if clearly_wrong and settings["gradient_check"] == "refuse":
        raise BadInput(
            f"the gradient table fits the image better as {verdict['best']} than as given "
            f"(fibre coherence {1 / verdict['ratio']:.2f} times higher): an axis is flipped or "
            "swapped",
            source,
            "correct the table, or set dwi.gradient_check to flag if you are sure of it",
        )
    return verdict | {"flagged": bool(clearly_wrong)}


def _mean_b0(data, affine, table, matrices) -> np.ndarray:
    volumes = np.flatnonzero(table.is_b0)
    return np.mean([motion.resample(data[..., v], affine, matrices[v]) for v in volumes], axis=0)


def _motion_rows(engine: str, poses, apart: currents.Separated | None, centre) -> list[dict]:
    """A row per volume: motion, and eddy terms where they were told apart; None where nothing was
    estimated."""
    rows = motion.displacements(poses, centre)
    if engine == "none":
        rows = [dict.fromkeys(row) for row in rows]
    known = engine != "none" and apart is not None and apart.terms is not None
    names = (*currents.TERMS, "eddy_displacement")
    values = [[None] * len(names)] * len(rows)
    if known:
        whole = currents.displacement(apart.terms, motion.HEAD_RADIUS_MM)
        values = np.column_stack([apart.terms, whole]).tolist()
    return [row | dict(zip(names, own, strict=True)) for row, own in zip(rows, values, strict=True)]


def _distortion(b0, affine, files, reverse, direction, t1w_brain, settings):
    """Displacement or None, what was used, and notes, by ``dwi.distortion``."""
    wanted = settings["distortion"]
    if wanted == "none":
        return None, "none", []
    usable, notes = fieldmap.of_series(reverse, files, b0.shape, affine)
    print(*notes, sep="\n", flush=True)
    opposite = distortion.find_reverse(usable, direction)
    if not opposite:
        stated = direction or "unknown"
        notes += [f"{path} is not used for the distortion of this series: it does not state the "
                  f"opposite of its phase encoding ({stated})" for path in usable]  # fmt: skip
    if wanted in ("auto", "reverse") and opposite:
        axis = distortion.phase_axis(direction)
        shift = distortion.from_reverse(b0, affine, opposite, axis)
        return shift, "reverse phase encoding", notes
    if wanted == "reverse":
        raise BadInput(
            "; ".join(["no image with the opposite phase encoding", *notes]), files["dwi"],
            "add it to fmap/ with its PhaseEncodingDirection, or set dwi.distortion to auto",
        )  # fmt: skip
    if wanted == "t1w":
        if t1w_brain is None:
            raise BadInput("no T1w to correct distortion with", files["dwi"], "see dwi.distortion")
        axis = distortion.phase_axis(direction)
        rigid, _ = b0_to_t1w(b0, brain_mask(b0, affine), affine, t1w_brain, settings["register"])
        shift = distortion.from_anatomy(b0, affine, t1w_brain, rigid, axis)
        return shift, "registration to T1w", notes
    return None, "none", notes
