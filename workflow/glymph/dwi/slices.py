"""Slices that lost their signal while the head moved."""

from __future__ import annotations

import numpy as np

DARK = 0.7
"""Of what the slice has in the other volumes: no direction darkens a whole slice so much."""
LARGE = 0.5
"""Of the largest slice: in those that hold less brain eddy currents alone change the mean."""
MANY = 0.5
"""Of a volume's slices: so many are no lost slices but another image."""


def lost_slices(
    data: np.ndarray, mask: np.ndarray, volumes: np.ndarray
) -> dict[tuple[int, int], np.ndarray]:
    """Positions of dark slices by (voxel axis, volume): among ``volumes``, of one contrast, of a
    series ``data`` (x, y, z, n).

    A slice is dark where its mean over ``mask`` (x, y, z), relative to the volume's other slices,
    is below `DARK` of the median over volumes. All three axes are looked along: how a series was
    sliced is not known once it has been reoriented.
    """
    if len(volumes) < 3:
        return {}
    found = {}
    for axis in range(3):
        other = tuple(k for k in range(3) if k != axis)
        area = mask.sum(axis=other)
        large = area > LARGE * area.max()
        totals = [np.sum(data[..., v], axis=other, where=mask, dtype=np.float64) for v in volumes]
        means = np.stack(totals, axis=1)[large] / area[large, None]
        usual = np.median(means, axis=1, keepdims=True)
        relative = means / np.maximum(usual, np.finfo(np.float32).tiny)
        dark = relative < DARK * np.median(relative, axis=0)
        few = dark.any(axis=0) & (dark.mean(axis=0) < MANY)
        places = np.flatnonzero(large)
        found |= {(axis, int(volumes[k])): places[dark[:, k]] for k in np.flatnonzero(few)}
    return found


def filled(data: np.ndarray, lost: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
    """``data`` (x, y, z, n) with each of the ``lost`` slices between its nearest sound neighbours.

    For registration alone: nothing is measured there. Without lost slices ``data`` itself.
    """
    if not lost:
        return data
    data = data.copy()
    for (axis, volume), places in lost.items():
        slices = np.moveaxis(data[..., volume], axis, 0)
        sound = np.setdiff1d(np.arange(len(slices)), places)
        for place in places:
            after = int(np.searchsorted(sound, place))
            low, high = sound[max(after - 1, 0)], sound[min(after, len(sound) - 1)]
            share = (place - low) / (high - low) if high > low else 0.0
            slices[place] = (1 - share) * slices[low] + share * slices[high]
    return data
