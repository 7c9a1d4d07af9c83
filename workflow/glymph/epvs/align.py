"""Rigid alignment of T2w or FLAIR to the T1w, also of thick slices and of a part of the brain."""

from __future__ import annotations

import os
import tempfile

import nibabel as nib
import numpy as np
from scipy.ndimage import map_coordinates

from glymph.common.errors import BadInput
from glymph.common.images import array
from glymph.common.spaces import (
    apply_affine,
    image_to_ants,
    read_itk_affine,
    rotation_part,
    voxel_sizes,
    write_itk_affine,
)

WORKING_MM = 2.0
BINS = 32
LEAST_INFORMATION = 1.03
"""Normalised mutual information below this means that the images do not show one brain in one
place: unrelated images come to about 1.01."""


def align(moving: nib.Nifti1Image, brain: nib.Nifti1Image, source: str) -> tuple[np.ndarray, dict]:
    """Rigid matrix (4x4, world) of T1w points to points of ``moving``, and facts.

    ``brain``: bias-corrected T1w, 0 outside the brain. The header's position and a centre-of-mass
    alignment are both starts; the one with the higher mutual information where both images have
    data wins, so that a slab is not pulled to the middle of the brain. Raises `BadInput` where even
    the best start shows no shared anatomy.
    """
    fixed = _working(brain)
    target = _working(moving)
    starts = [np.eye(4), _centres(brain, moving)]
    found = [_rigid(fixed, target, start) for start in starts]
    scores = [information(brain, moving, matrix) for matrix in found]
    best = int(np.argmax(scores))
    if scores[best] < LEAST_INFORMATION:
        raise BadInput(
            "it cannot be aligned to the T1w (normalised mutual information "
            f"{scores[best]:.3f})", source,
            "check that both images are of one head and one session, and their orientation",
        )  # fmt: skip
    matrix = found[best]
    angle = np.degrees(np.arccos(np.clip((np.trace(rotation_part(matrix[:3, :3])) - 1) / 2, -1, 1)))
    centre = apply_affine(brain.affine, np.argwhere(array(brain) > 0).mean(axis=0))
    return matrix, {
        "information": scores[best],
        "start": ("header", "centres of mass")[best],
        "rotation_deg": float(angle),
        "shift_mm": float(np.linalg.norm(apply_affine(matrix, centre) - centre)),
    }


def _working(image: nib.Nifti1Image):
    """An ANTs image no finer than `WORKING_MM` along any axis."""
    import ants

    size = tuple(max(WORKING_MM, float(v)) for v in voxel_sizes(image.affine))
    return ants.resample_image(image_to_ants(image), size, False, 0)


def _centres(brain, moving) -> np.ndarray:
    """Shift of T1w points that lays the centres of mass on one another."""
    start = np.eye(4)
    start[:3, 3] = _centre(moving) - _centre(brain)
    return start


def _centre(image) -> np.ndarray:
    data = np.clip(array(image), 0, None)
    weights = np.minimum(data, np.percentile(data, 99))
    total = weights.sum(dtype=float)
    voxel = [
        (weights.sum(axis=tuple(a for a in range(3) if a != k)) * np.arange(n)).sum() / total
        for k, n in enumerate(data.shape)
    ]
    return apply_affine(image.affine, np.array(voxel))


def _rigid(fixed, moving, start: np.ndarray) -> np.ndarray:
    import ants

    with tempfile.TemporaryDirectory() as folder:
        initial = os.path.join(folder, "start.mat")
        write_itk_affine(initial, start)
        result = ants.registration(
            fixed, moving, type_of_transform="Rigid", initial_transform=[initial],
            outprefix=os.path.join(folder, "align_"), mask=ants.get_mask(fixed, 1e-6, cleanup=0),
            aff_metric="mattes", aff_sampling=32, aff_random_sampling_rate=0.6,
            aff_iterations=(300, 200, 100), aff_shrink_factors=(3, 2, 1),
            aff_smoothing_sigmas=(2, 1, 0),
        )  # fmt: skip
        return read_itk_affine(result["fwdtransforms"][0])


def information(brain: nib.Nifti1Image, moving: nib.Nifti1Image, matrix: np.ndarray) -> float:
    """Normalised mutual information (Studholme 1999) in the brain where ``moving`` has data; 1 is
    none, and too little overlap counts as none.
    """
    places = np.argwhere(array(brain) > 0)
    places = places[:: max(1, len(places) // 60_000)]
    here = array(brain)[tuple(places.T)]
    points = apply_affine(matrix, apply_affine(brain.affine, places))
    there, seen = sample(moving, points, order=1)
    if seen.sum() < 2000:
        return 1.0
    counts, _, _ = np.histogram2d(
        _ranked(here[seen]), _ranked(there[seen]), bins=BINS, range=[[0, 1], [0, 1]]
    )
    joint = counts / counts.sum()
    return float((_entropy(joint.sum(1)) + _entropy(joint.sum(0))) / _entropy(joint))


def _ranked(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, (1, 99))
    return np.clip((values - low) / max(high - low, 1e-9), 0, 1)


def _entropy(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def sample(image: nib.Nifti1Image, points: np.ndarray, order: int):
    """Values of ``image`` at world ``points`` (n, 3), and which of them lie in its field of view.

    The field of view ends half a voxel beyond the outer voxel centres.
    """
    voxels = apply_affine(np.linalg.inv(image.affine), points)
    edge = np.array(image.shape[:3]) - 0.5
    seen = ((voxels >= -0.5) & (voxels <= edge)).all(axis=-1)
    values = map_coordinates(array(image), voxels.T, order=order, mode="nearest")
    return values, seen
