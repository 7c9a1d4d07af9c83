"""Regions that find their tract: the best place within a few millimetres of the carried region.

A voxel is like a tract by FA times the squared cosine between its principal direction and the
tract's axis: what is blue (projection) or green (association) on colour FA. A place is worth the
mean of that over the region (direction and FA), less its deviation (homogeneity), less a cost of
moving, so that noise alone moves nothing far. The index plays no part. Both tracts of a hemisphere
move together to the front and up, since they are defined on one coronal and one axial level, and
each by itself sideways. Where several places are nearly as good, the answer is between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from glymph.alps.roi import Roi, Shifted
from glymph.common.spaces import apply_affine, map_points

STEP_MM = 1.0
REACH_MM = 6.0
COST_PER_MM2 = 0.004
SOFTNESS = 0.02
"""Difference in worth that counts as nearly as good. Both were chosen on simulated tracts
(``benchmarks/alps_placement.py``); half the cost changes little."""
OUT_OF_REACH = -1e3


@dataclass(frozen=True)
class Place:
    """``shift`` (3,) in mm along the template's axes, and the score there and at the start; None
    for a region that was drawn in the DWI itself."""

    shift: tuple[float, float, float]
    score: float | None
    score_at_start: float | None


def find(
    pair: dict[str, Roi],
    maps: dict[str, np.ndarray],
    affine: np.ndarray,
    from_template: list,
    axes: dict[str, np.ndarray],
    reach: float,
) -> dict[str, Place]:
    """The best places of the regions of one hemisphere, at most ``reach`` mm away.

    ``pair`` and ``axes`` (unit vectors in the DWI's world) are by tract. ``from_template`` is the
    transform chain for `map_points`. Regions of which a person placed one stay where they are.
    """
    if any(roi.world == "dwi" for roi in pair.values()):
        return dict.fromkeys(pair, Place((0.0, 0.0, 0.0), None, None))
    by_hand = any(isinstance(roi, Shifted) for roi in pair.values())
    steps = 0 if by_hand else int(reach / STEP_MM)
    moves = STEP_MM * np.arange(-steps, steps + 1)
    shifts = np.stack(np.meshgrid(moves, moves, moves, indexing="ij"), axis=-1)
    distance = np.linalg.norm(shifts, axis=-1)
    scores = {
        tract: _scores(roi, likeness(maps, axes[tract]), affine, from_template, steps)
        for tract, roi in pair.items()
    }
    worth = {
        tract: np.where(distance <= reach, score - COST_PER_MM2 * distance**2, OUT_OF_REACH)
        for tract, score in scores.items()
    }
    levels = _shares(sum(values.max(axis=0) for values in worth.values()))
    found = {}
    for tract, values in worth.items():
        shares = levels * _shares(values, axis=0)
        found[tract] = Place(
            tuple(float(v) for v in np.tensordot(shares, shifts, axes=3)),
            float((shares * scores[tract]).sum()),
            float(scores[tract][steps, steps, steps]),
        )
    return found


def likeness(maps: dict[str, np.ndarray], axis: np.ndarray) -> np.ndarray:
    """FA times the squared cosine to the unit vector ``axis`` (world), (x, y, z), 0 to 1.

    ``maps`` as for `region.measure`. A voxel without a tensor is like no tract.
    """
    return np.where(maps["md"] > 0, maps["fa"] * (maps["v1"] @ axis) ** 2, 0.0)


def _shares(worth: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Weights of places by their worth, with sum 1 along ``axis``."""
    shares = np.exp((worth - worth.max(axis=axis, keepdims=True)) / SOFTNESS)
    return shares / shares.sum(axis=axis, keepdims=True)


def _scores(roi: Roi, like: np.ndarray, affine, from_template, steps: int) -> np.ndarray:
    """Mean less deviation of ``like`` over the region, at shifts of -steps to steps along the
    template's x, y and z: (2 steps + 1,) * 3."""
    from scipy.signal import correlate

    outline = roi.outline()
    low, high = outline.min(axis=0), outline.max(axis=0)
    counts = np.ceil((high - low) / STEP_MM).astype(int) + 1
    own = _lattice(low, counts)
    inside = roi.contains(own.reshape(-1, 3)).reshape(counts).astype(np.float64)
    wide = _lattice(low - steps * STEP_MM, counts + 2 * steps)
    world = map_points(wide.reshape(-1, 3), from_template)
    voxels = apply_affine(np.linalg.inv(affine), world)
    seen = map_coordinates(like, voxels.T, order=1, mode="constant", cval=0.0)
    seen = seen.reshape(wide.shape[:3])
    mean, square = (
        correlate(values, inside, mode="valid", method="fft") / inside.sum()
        for values in (seen, seen**2)
    )
    return mean - np.sqrt(np.maximum(square - mean**2, 0))


def _lattice(low: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Points (*counts, 3) in template mm, from ``low`` in steps of 1 mm."""
    axes = [a + STEP_MM * np.arange(n) for a, n in zip(low, counts, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
