"""Susceptibility distortion: displacement along the phase-encoding axis of the DWI grid.

Every function returns an array (x, y, z, 3) of world mm on the DWI's grid: where a point of the
undistorted head lies in the distorted image, minus the point itself.
"""

from __future__ import annotations

import os
import tempfile

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput
from glymph.common.given import open_image, values
from glymph.common.images import array
from glymph.common.sidecars import phase_encoding
from glymph.common.spaces import apply_affine, image_axes, map_points, to_ants, voxel_sizes
from glymph.dwi.fieldmap import b0_volume

ITERATIONS = (40, 30, 20)
FIXED_POINT_STEPS = 15


def phase_axis(direction: str | None) -> int:
    """Voxel axis 0, 1 or 2 of a BIDS PhaseEncodingDirection such as ``j-``."""
    if not direction or direction[0] not in "ijk":
        raise BadInput(
            "PhaseEncodingDirection is missing, so distortion cannot be corrected",
            cure="add it to the DWI's JSON, or set dwi.distortion to none",
        )
    return "ijk".index(direction[0])


def find_reverse(candidates: list[str], direction: str | None) -> str | None:
    """The first image of ``candidates`` whose metadata state the opposite of ``direction``."""
    if not direction:
        return None
    opposite = direction[0] if direction.endswith("-") else f"{direction}-"
    return next((path for path in candidates if phase_encoding(path) == opposite), None)


def from_reverse(b0: np.ndarray, affine: np.ndarray, reverse: str, axis: int) -> np.ndarray:
    """Distortion from a b = 0 image with the opposite phase encoding, on the same grid.

    A point x of the head lies at x + u in one image and at x - u in the other. Registration of one
    to the other, along ``axis`` only, gives the map D from x + u to x - u, hence u solves
    u(x) = -D(x + u(x)) / 2, by fixed point (the symmetric model of Andersson 2003,
    10.1016/S1053-8119(03)00336-7). Both images must have the same grid and read-out time
    (`fieldmap.of_series`).
    """
    image = open_image(reverse)
    other = values(image, reverse).reshape(*b0.shape, -1)[..., b0_volume(reverse)]
    if not np.isfinite(other).all():
        raise BadInput("it has voxels that are NaN or infinite", reverse, "convert it again")
    whole = _register_along(b0, other, affine, axis)
    return _to_world(_half_way(whole, axis, voxel_sizes(affine)), affine, axis)


def _half_way(whole: np.ndarray, axis: int, sizes: np.ndarray) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    grid = np.stack(np.meshgrid(*map(np.arange, whole.shape), indexing="ij")).astype(float)
    shift = np.zeros_like(whole)
    for _ in range(FIXED_POINT_STEPS):
        place = grid.copy()
        place[axis] += shift / sizes[axis]
        shift = -map_coordinates(whole, place, order=1, mode="nearest") / 2
    return shift


def from_anatomy(b0, affine, t1w: nib.Nifti1Image, b0_to_t1w: np.ndarray, axis: int) -> np.ndarray:
    """Distortion from the undistorted T1w brain: b = 0 registered to it along ``axis`` only.

    ``b0_to_t1w`` (4x4) carries world points of the DWI to those of the T1w.
    """
    from scipy.ndimage import map_coordinates

    grid = np.stack(np.meshgrid(*map(np.arange, b0.shape), indexing="ij"), axis=-1)
    points = apply_affine(b0_to_t1w @ affine, grid)
    voxels = apply_affine(np.linalg.inv(t1w.affine), points)
    anatomy = map_coordinates(array(t1w), np.moveaxis(voxels, -1, 0), order=1)
    return _to_world(_register_along(anatomy, b0, affine, axis), affine, axis)


def _register_along(fixed, moving, affine, axis: int) -> np.ndarray:
    """Displacement in mm along voxel ``axis`` from ``fixed`` to ``moving``, both on one grid.

    ANTs restricts displacements along world axes; given a box whose world axes are the voxel axes,
    it restricts them along the grid's own, however the slab is tilted.
    """
    import ants

    box = np.diag([*voxel_sizes(affine), 1.0])
    allowed = tuple(int(k == axis) for k in range(3))
    with tempfile.TemporaryDirectory() as folder:
        result = ants.registration(
            to_ants(fixed, box),
            to_ants(moving, box),
            type_of_transform="SyNOnly",
            initial_transform="Identity",
            outprefix=os.path.join(folder, "along_"),
            syn_metric="mattes",
            reg_iterations=ITERATIONS,
            restrict_transformation=allowed,
        )
        warp = next(path for path in result["fwdtransforms"] if path.endswith(".nii.gz"))
        grid = np.stack(np.meshgrid(*map(np.arange, fixed.shape), indexing="ij"), axis=-1)
        points = apply_affine(box, grid.reshape(-1, 3))
        shift = map_points(points, [(warp, False)]) - points
    return shift[:, axis].reshape(fixed.shape)


def _to_world(shift: np.ndarray, affine: np.ndarray, axis: int) -> np.ndarray:
    return (shift[..., None] * image_axes(affine)[:, axis]).astype(np.float32)
