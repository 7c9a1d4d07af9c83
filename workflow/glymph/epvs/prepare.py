"""T1w and T2w of the brain on one grid of 1 mm, as the networks see them."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from scipy import ndimage

from glymph.common.errors import BadInput
from glymph.common.images import array, spatial
from glymph.common.registry import checked
from glymph.common.spaces import apply_affine, to_ants, voxel_sizes
from glymph.epvs.align import sample

GRID_MM = 1.0
TOLERANCE_MM = 0.02
"""A T1w whose voxels are this near to 1 mm keeps its own grid: nothing is interpolated."""
MARGIN_MM = 6
PERCENTILES = (1.0, 99.0)
LEAST_COVERAGE = 0.2
"""Share of the brain that a T2w must show to be used."""


@dataclass(frozen=True)
class Grid:
    """A grid of `GRID_MM` about the brain, its axes along the T1w's own, ordered RAS."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    def points(self) -> np.ndarray:
        """World points (x, y, z, 3) of the voxel centres."""
        index = np.stack(np.meshgrid(*map(np.arange, self.shape), indexing="ij"), axis=-1)
        return apply_affine(self.affine, index)


def brain_grid(mask: nib.Nifti1Image) -> Grid:
    """The grid for a T1w whose brain ``mask`` (on the T1w's grid, any orientation) this is.

    The axes are the T1w's own image axes, those nearest to right, anterior and superior: an oblique
    T1w is not turned, and one of 1 mm only cropped and reordered.
    """
    mask = nib.as_closest_canonical(mask)
    places = np.argwhere(array(mask) > 0)
    sizes = voxel_sizes(mask.affine)
    low = places.min(0) - np.ceil(MARGIN_MM / sizes)
    high = places.max(0) + np.ceil(MARGIN_MM / sizes)
    if np.abs(sizes - GRID_MM).max() <= TOLERANCE_MM:
        steps, size = np.ones(3), (high - low + 1).astype(int)
    else:
        steps = GRID_MM / sizes
        # Whole steps from the image's middle: where the voxels lie hangs on the scan, which a
        # flipped storage order leaves as it is, and not on the mask's outermost voxel.
        middle = (np.array(mask.shape) - 1) / 2
        low = middle + np.floor((low - middle) / steps) * steps
        size = np.ceil((high - low) / steps).astype(int) + 1
    affine = mask.affine.copy()
    affine[:3, :3] = mask.affine[:3, :3] * steps
    affine[:3, 3] = apply_affine(mask.affine, low)
    return Grid(tuple(int(n) for n in size), affine)


def resample(image: nib.Nifti1Image, grid: Grid, matrix: np.ndarray | None = None, order: int = 3):
    """``image`` on ``grid``: (float32 data, bool where it has data).

    ``matrix`` (4x4) carries world points of the grid to those of the image. Where voxels are finer
    than the grid the image is smoothed first (no aliasing); splines are clipped to its range.
    """
    data = array(image)
    finer = GRID_MM / voxel_sizes(image.affine)
    if order > 1:
        data = ndimage.gaussian_filter(data, np.where(finer > 1.3, 0.42 * np.sqrt(
            np.maximum(finer**2 - 1, 0)), 0))  # fmt: skip
    soft = nib.Nifti1Image(data, image.affine)
    points = grid.points().reshape(-1, 3)
    if matrix is not None:
        points = apply_affine(matrix, points)
    values, seen = sample(soft, points, order)
    values = np.clip(values, data.min(), data.max()).astype(np.float32)
    return values.reshape(grid.shape), seen.reshape(grid.shape)


def scaled(data: np.ndarray, brain: np.ndarray, source: str) -> np.ndarray:
    """``data`` in [-1, 1] between the 1st and 99th percentile in ``brain``, -1 outside it."""
    low, high = np.percentile(data[brain], PERCENTILES)
    if not high > low:
        raise BadInput("the brain has one and the same value throughout", source, "check the image")
    return np.where(brain, np.clip(2 * (data - low) / (high - low) - 1, -1, 1), -1).astype(
        np.float32
    )


def coverage(seen: np.ndarray, brain: np.ndarray, source: str) -> float:
    """Share of the brain inside the T2w's field of view; `BadInput` where it is too little."""
    share = float(seen[brain].mean())
    if share < LEAST_COVERAGE:
        raise BadInput(
            f"the T2w shows {share:.0%} of the brain", source,
            f"at least {LEAST_COVERAGE:.0%} are needed; without the file the T1w alone is used",
        )  # fmt: skip
    return share


@dataclass(frozen=True)
class Prepared:
    """Arrays on the grid of ``affine``; ``t2w`` is None where there is none.

    ``coverage``: share of the brain that the T2w shows; ``input``: "T1w+T2w" or "T1w".
    """

    t1w: np.ndarray
    t2w: np.ndarray | None
    mask: np.ndarray
    affine: np.ndarray
    coverage: float | None
    input: str


def prepare(
    t1w: nib.Nifti1Image,
    mask: nib.Nifti1Image,
    t2w: nib.Nifti1Image | None,
    matrix: np.ndarray | None,
    source: str,
) -> Prepared:
    """Bias-corrected ``t1w`` and raw ``t2w`` at 1 mm, in [-1, 1], -1 outside the brain.

    ``mask``: the brain on the T1w's grid; ``matrix`` carries T1w world points to the T2w's. The T2w
    is corrected for bias in the same mask. Where the T2w sees only a part of the brain, the rest of
    it is -1 in its channel.
    """
    grid = brain_grid(mask)
    inside, taken = resample(nib.Nifti1Image(array(mask), mask.affine), grid, order=1)
    brain = (inside > 0.5) & taken  # a mask that reaches the image's border ends there
    first = scaled(resample(t1w, grid)[0], brain, t1w.get_filename() or "T1w")
    if t2w is None:
        return Prepared(first, None, brain, grid.affine, None, "T1w")
    t2w = nib.Nifti1Image(np.clip(spatial(t2w), 0, None), t2w.affine)
    values, seen = resample(t2w, grid, matrix)
    share = coverage(seen, brain, source)
    values = _without_bias(values, brain & seen)
    second = scaled(values, brain & seen, source)
    return Prepared(first, second, brain, grid.affine, share, "T1w+T2w")


def _without_bias(data: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """N4 (Tustison 2010, 10.1109/TMI.2010.2046908) inside ``brain``."""
    import ants

    mask = to_ants(brain.astype(np.float32), np.eye(4))
    image = to_ants(np.clip(data, 0, None), np.eye(4))
    corrected = ants.n4_bias_field_correction(
        image, mask=mask, shrink_factor=4, convergence={"iters": [30, 20, 20], "tol": 1e-5}
    )
    return corrected.numpy()


def voxels(kind: str, affine: np.ndarray | None) -> dict[str, float | None]:
    """Volume and longest edge of the voxels of an image as it was acquired (metrics), ``kind`` t1w
    or t2w; None without one."""
    sizes = [] if affine is None else voxel_sizes(affine)
    return checked(
        {
            f"{kind}_voxel_mm3": float(np.prod(sizes)) if len(sizes) else None,
            f"{kind}_voxel_longest_mm": float(max(sizes)) if len(sizes) else None,
        }
    )
