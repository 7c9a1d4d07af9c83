"""Motion within one series: volumes follow their own contrast, and one link joins the contrasts.

That takes a quarter of the time of a registration per volume and comes nearer to planted motion
(benchmarks/motion.py). A real head scanned five times gave steadier ALPS by that registration,
though: a mean over directions is not what one direction shows, and least squares may mind.
"""

from __future__ import annotations

import numpy as np

from glymph.common.gradients import GradientTable
from glymph.common.spaces import apply_affine, coarser, voxel_sizes
from glymph.dwi import align
from glymph.dwi.motion import aligned_mean, at_resolution, register

ROUGH_MM = 4.0
"""Voxels on which volumes of one contrast are registered: twelve numbers do not need every one."""
LINK_MM = 1.5
"""Voxels on which contrasts are linked: what is finer is averaged."""
MARGIN_MM = 12.0
"""Around the brain, of what the link looks at."""


def estimate(data, affine, table: GradientTable, mask: np.ndarray) -> np.ndarray:
    """Affine of every volume: array (n, 4, 4) that maps points of the first b = 0 to its points.

    ``data`` is (x, y, z, n). Volumes of one contrast follow one of their own by least squares
    (`align.follow`), b = 0 rigidly to the first; weighted ones to their first, then to their mean,
    with twelve degrees of freedom for eddy currents. That mean is linked to b = 0 by ANTs,
    as mutual information knows no contrast, and then more exactly by `align.link`. The voxels of
    ``mask`` (x, y, z) count; all, where it is empty. A volume without signal has the matrix of the
    one before.
    """
    mask = mask if mask.any() else np.ones(data.shape[:3], bool)
    found = np.tile(np.eye(4), (len(table), 1, 1))
    plain, weighted = np.flatnonzero(table.is_b0), np.flatnonzero(~table.is_b0)
    rough, rough_affine, _ = coarser(data, affine, ROUGH_MM)
    seen = _thinned(_coarser_mask(mask, affine, ROUGH_MM), rough_affine)
    places = align.Places.of(seen, rough_affine)
    volumes = [align.splines(rough[..., v]) for v in range(len(table))]
    found[plain] = _to_first(rough, volumes, plain, places, align.RIGID)
    if not len(weighted):
        return found
    found[weighted] = _to_first(rough, volumes, weighted, places, align.AFFINE)
    own = [volumes[v] for v in weighted]
    mean = np.mean([align.seen(volumes[v], rough_affine, found[v]) for v in weighted], axis=0)
    found[weighted] = align.follow(mean, places, own, found[weighted], align.AFFINE)
    print(f"motion: {len(table)} volumes to their own contrast", flush=True)
    found[weighted] = found[weighted] @ _link(data, affine, mask, found, plain[0], weighted)
    print("motion: the weighted mean to b = 0", flush=True)
    return found


def _coarser_mask(mask: np.ndarray, affine: np.ndarray, finest: float) -> np.ndarray:
    """Voxels of the coarser grid that lie half in ``mask``; where none does, those that do most."""
    share, *_ = coarser(mask.astype(np.float32), affine, finest)
    return share >= min(0.5, share.max())


def _thinned(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Every so many voxels of ``mask`` that a cube of `ROUGH_MM` holds one: a grid that is too
    coarse to be halved has more than are needed."""
    every = max(1, int(ROUGH_MM**3 / abs(np.linalg.det(affine[:3, :3]))))
    taken = np.zeros_like(mask)
    taken.flat[np.flatnonzero(mask)[::every]] = True
    return taken


def _to_first(data, volumes, chosen, places: align.Places, freedom) -> np.ndarray:
    """Matrices of the ``chosen`` volumes to the first of them, each from the one before."""
    target, rest = data[..., chosen[0]], [volumes[v] for v in chosen[1:]]
    found = align.follow(target, places, rest, None, freedom)
    return np.concatenate([np.eye(4)[None], found])


def _link(data, affine, mask, found, first, weighted) -> np.ndarray:
    """Matrix from the b = 0 volume ``first`` to the mean of the ``weighted`` ones.

    It bends: that mean is bent as the first of them was, by its eddy currents."""
    mask = _coarser_mask(mask, affine, LINK_MM)
    data, affine, _ = coarser(data, affine, LINK_MM)
    box, affine = _box(mask, affine, MARGIN_MM)
    data, mask = data[box], mask[box]
    fixed, mean = data[..., first], aligned_mean(data, affine, found, weighted)
    pair = (at_resolution(one, affine, ROUGH_MM) for one in (fixed, mean))
    near = register(*pair, "start", np.eye(4))
    return align.link(fixed, mean, mask, affine, near, align.BENT)


def _box(mask: np.ndarray, affine: np.ndarray, margin_mm: float):
    """Slices of the bounding box of ``mask``, wider by a margin, and the affine within it."""
    margin = np.ceil(margin_mm / voxel_sizes(affine)).astype(int)
    voxels = np.argwhere(mask)
    low = np.maximum(voxels.min(axis=0) - margin, 0)
    moved = affine.copy()
    moved[:3, 3] = apply_affine(affine, low)
    return tuple(map(slice, low, voxels.max(axis=0) + margin + 1)), moved
