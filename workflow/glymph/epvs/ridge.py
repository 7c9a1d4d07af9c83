"""Thin bright lines in three dimensions: what a network that sees slices cannot add up itself."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

NARROW, WIDE = 0.6, 2.0
"""Standard deviations (voxels of 1 mm) of the two Gaussians: a line of 1 to 3 mm against what
surrounds it."""
REACH_MM = 3.0
"""How far to either side a line is followed: perivascular spaces of the white matter are longer."""
GAIN = 3.0
"""Brings a space of a fifth of CSF's contrast to about a half."""
DIRECTIONS = tuple(
    (x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (z, y, x) > (0, 0, 0)
)
"""The 13 directions of a voxel's 26 neighbours."""


def lines(t1w: np.ndarray, t2w: np.ndarray | None) -> np.ndarray:
    """How much each voxel lies on a line that is dark on T1w and bright on T2w, in [-1, 1].

    ``t1w`` and ``t2w`` (x, y, z): in [-1, 1] on one grid of 1 mm; without T2w (None) the T1w
    alone. The difference of two Gaussians of half the difference T2w - T1w, averaged along 13
    directions over 7 mm; the highest average counts. Along a tube the noise averages out and the
    tube does not, in whichever plane it runs.
    """
    image = (-t1w if t2w is None else (t2w - t1w) / 2).astype(np.float32)
    fine = ndimage.gaussian_filter(image, NARROW) - ndimage.gaussian_filter(image, WIDE)
    best = np.full_like(fine, -np.inf)
    for direction in DIRECTIONS:
        np.maximum(best, _along(fine, np.array(direction)), out=best)
    return np.clip(GAIN * best, -1, 1)


def _along(image: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Mean of ``image`` over `REACH_MM` to both sides; beyond its edge the edge is repeated."""
    steps = int(REACH_MM / np.linalg.norm(direction) + 0.5)
    wide = np.pad(image, steps * np.abs(direction).max(), mode="edge")
    total = np.zeros_like(image)
    for step in range(-steps, steps + 1):
        first = steps + step * direction
        total += wide[tuple(slice(f, f + n) for f, n in zip(first, image.shape, strict=True))]
    return total / (2 * steps + 1)
