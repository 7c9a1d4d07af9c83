"""The atlas of EPVS regions, drawn on the template from `resources/regions.yaml`."""

from __future__ import annotations

import numpy as np
from matplotlib.path import Path as Outline

from glymph.common import legend
from glymph.common.images import array
from glymph.common.spaces import apply_affine
from glymph.common.template import Template


def draw(template: Template, outlines: np.ndarray) -> np.ndarray:
    """Region labels (uint8) on the template's grid; values as in `resources/regions.yaml`.

    ``outlines``: what `enclosed` gives for that grid.
    """
    gm, wm = array(template.gm), array(template.wm)
    x, _, z = world(template.t1w.shape, template.t1w.affine)
    return limited(outlines, gm, wm, x, z < legend.definitions()["roof_mm"])


def world(shape, affine) -> np.ndarray:
    """World x, y, z (mm; 3, *``shape``) of every voxel of a grid."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return np.moveaxis(apply_affine(affine, index).astype(np.float32), -1, 0)


def limited(
    places: np.ndarray, gm: np.ndarray, wm: np.ndarray, x: np.ndarray, below: np.ndarray
) -> np.ndarray:
    """Labels (uint8) of what of each outline is tissue, left where template ``x`` is negative.

    ``places`` holds 1, 2, 3 ... for the outlines of `outlined`, 0 elsewhere; ``gm`` and ``wm`` are
    tissue shares on the same grid; ``below`` (bool) is what lies below the ventricle's roof.
    """
    shares, regions = {"gm": gm, "wm": wm}, legend.definitions()["regions"]
    numbers = np.zeros(places.shape, np.uint8)
    for number, name in enumerate(legend.outlined(), 1):
        share = sum(shares[tissue] for tissue in regions[name]["tissue"])
        numbers[(places == number) & (share >= regions[name]["minimum"])] = number
    for number, region in enumerate(regions.values(), 1):
        if "below" in region:
            numbers[(numbers == 1 + legend.names().index(region["below"])) & below] = number
    return sided(numbers, x)


def sided(numbers: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Region numbers (1, 2, 3 ... in the order of `names`) as labels (uint8) of the left (template
    ``x`` < 0) and the right side."""
    labels = np.zeros(numbers.shape, np.uint8)
    for number, name in enumerate(legend.names(), 1):
        left, right = legend.label_values(name)
        inside = numbers == number
        labels[inside] = np.where(x[inside] < 0, left, right)
    return labels


def enclosed(shape, affine) -> np.ndarray:
    """Number (uint8) of the outline that encloses each voxel centre of an MNI grid, 0 for none."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = apply_affine(affine, index.reshape(-1, 3))
    places = np.zeros(len(world), np.uint8)
    for number, name in enumerate(legend.outlined(), 1):
        outline = legend.definitions()["regions"][name]["outline"]
        levels = {float(z): np.array(o, float) for z, o in outline.items()}
        low, high = min(levels), max(levels)
        for z in np.unique(np.round(world[:, 2], 3)):
            if low <= z < high:
                at = np.flatnonzero(np.isclose(world[:, 2], z, atol=1e-3))
                points = np.column_stack([np.abs(world[at, 0]), world[at, 1]])
                inside = _inside(levels, z, points)
                places[at[inside & (places[at] == 0)]] = number
    return places.reshape(shape)


def _inside(levels: dict[float, np.ndarray], z: float, points: np.ndarray) -> np.ndarray:
    """Whether ``points`` (n, 2) lie in the outline at ``z``, blended between two levels.

    Outlines at neighbouring levels need not have as many corners: what is blended is the signed
    distance to each.
    """
    below = max(level for level in levels if level <= z)
    above = min(level for level in levels if level > z)
    weight = (z - below) / (above - below)
    return (1 - weight) * _signed(levels[below], points) + weight * _signed(
        levels[above], points
    ) > 0


def _signed(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance (mm) of ``points`` to the outline, positive inside. An edge on x = 0 is no edge."""
    starts, ends = corners, np.roll(corners, -1, axis=0)
    real = ~((starts[:, 0] == 0) & (ends[:, 0] == 0))
    distance = np.full(len(points), np.inf)
    for start, end in zip(starts[real], ends[real], strict=True):
        along = end - start
        share = np.clip((points - start) @ along / (along @ along), 0, 1)
        away = points - start - share[:, None] * along
        distance = np.minimum(distance, np.hypot(*away.T))
    inside = Outline(corners).contains_points(points, radius=1e-9)
    on_midline = (corners[:, 0] == 0).any() & (points[:, 0] == 0)
    return np.where(inside | on_midline & _spans(corners, points), distance, -distance)


def _spans(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    y = corners[corners[:, 0] == 0][:, 1] if (corners[:, 0] == 0).any() else np.zeros(1)
    return (points[:, 1] >= y.min()) & (points[:, 1] <= y.max())
