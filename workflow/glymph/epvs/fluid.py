"""Larger spaces of CSF are no perivascular spaces: what a segmentation takes of their walls, and
the aqueduct."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from glymph.common.spaces import apply_affine
from glymph.epvs.census import CONNECTED, Object
from glymph.epvs.quality import way_to_csf, white_matter

DARK = 0.6
"""CSF on T1w, as a share of the way from white matter to CSF; grey matter lies below one half."""
LARGE_VOXELS = 500
"""Ventricles and sulci: what is dark and in one piece of more than half a millilitre."""
TOUCHING = 0.5
"""Share of an object's voxels that touch the large space: of a wall nearly all, of a perivascular
space that ends there those of its tip, in the shortest ones a half."""
MIDLINE_MM = 2.5
"""The aqueduct is 1 to 3 mm wide; the rest is what registration errs by."""


def parts_of_csf(
    objects: list[Object],
    t1w: np.ndarray,
    brain: np.ndarray,
    labels: np.ndarray,
    affine: np.ndarray,
    to_template: Callable[[np.ndarray], np.ndarray],
) -> list[bool]:
    """For each of ``objects`` whether it is part of a larger space of CSF.

    At the wall of a ventricle or sulcus more than `TOUCHING` of an object touches it; a
    perivascular space is surrounded by tissue. What lies in the midbrain on the midline is the
    aqueduct.

    ``t1w`` (x, y, z): in [-1, 1] at 1 mm, on the grid of ``brain`` (bool), of the region ``labels``
    and of ``affine``; ``to_template`` maps world points (n, 3) to template points. Without white
    matter of the hemispheres to compare with no wall is seen.
    """
    walls = at_walls(objects, t1w, brain, labels)
    return list(map(any, zip(walls, in_aqueduct(objects, affine, to_template), strict=True)))


def at_walls(objects: list[Object], t1w, brain, labels) -> list[bool]:
    """For each of ``objects`` whether it lies along a ventricle or sulcus."""
    large = large_spaces(objects, t1w, brain, labels)
    return [touching_share(item, large) > TOUCHING for item in objects]


def large_spaces(objects: list[Object], t1w, brain, labels) -> np.ndarray:
    """Voxels (bool) of ventricles and sulci, without the voxels of ``objects``."""
    white = white_matter(labels, brain)
    if not white.any():
        return np.zeros(brain.shape, bool)
    dark = brain & (way_to_csf(t1w, white, brain) > DARK)
    for item in objects:
        dark[tuple(item.voxels.T)] = False
    parts, _ = ndimage.label(dark)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.isin(parts, np.flatnonzero(sizes > LARGE_VOXELS))


def touching_share(item: Object, large: np.ndarray) -> float:
    """Share of an object's voxels that are neighbours (of 26) of ``large``."""
    low = np.maximum(item.voxels.min(axis=0) - 1, 0)
    box = tuple(slice(a, b) for a, b in zip(low, item.voxels.max(axis=0) + 2, strict=True))
    near = ndimage.binary_dilation(large[box], CONNECTED)
    return float(near[tuple((item.voxels - low).T)].mean())


def in_aqueduct(objects: list[Object], affine: np.ndarray, to_template: Callable) -> list[bool]:
    """For each of ``objects`` whether its middle lies on the midline of the midbrain."""
    if not any(item.region == "midbrain" for item in objects):
        return [False] * len(objects)
    middles = np.array([item.voxels.mean(axis=0) for item in objects])
    x = to_template(apply_affine(affine, middles))[:, 0]
    inside = [item.region == "midbrain" for item in objects]
    return (np.array(inside) & (np.abs(x) < MIDLINE_MM)).tolist()
