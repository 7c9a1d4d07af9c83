"""How much CSF perivascular spaces hold, by how far they move the images' signal to that of CSF."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from glymph.common import legend
from glymph.common.spaces import voxel_sizes
from glymph.epvs.census import Object, territories
from glymph.epvs.fluid import large_spaces
from glymph.epvs.lesions import FLUID, surroundings, tissue
from glymph.epvs.quality import way_to_csf, white_matter

LEAST_SHELL = 10
"""Voxels of surroundings whose median is a level; with fewer the object's region gives it."""


def with_fluid(
    objects: list[Object],
    others: np.ndarray,
    t1w: np.ndarray,
    t2w: np.ndarray | None,
    brain: np.ndarray,
    labels: np.ndarray,
    affine: np.ndarray,
) -> list[Object]:
    """``objects`` with their ``fluid`` (mm3): the volume of CSF that would change the signal of the
    tissue about them as they do.

    The partial-volume model of two tissues: a voxel that lies a share w of the way from the
    surroundings' signal to that of CSF holds that share of it (review: Tohka 2014,
    10.4329/wjr.v6.i11.855). The shares are added up over the object's voxels and their neighbours,
    so that blur, which spreads the signal and keeps its sum, changes the result little. T1w and
    T2w are averaged where T2w (None without one) shows the whole object. Levels of the surroundings
    are medians of what lies 2 to 4 voxels around in the same region. No network's idea of a width
    is in it: the object only says where to add up.

    ``others`` (bool, x, y, z): what was found and is not counted, or lies in no region; it is
    neither tissue around an object nor part of one, so that no object changes when a rater takes
    another away.
    ``t1w`` and ``t2w``: in [-1, 1] at 1 mm, on the grid of ``brain`` (bool), of the
    region ``labels`` and of ``affine``; the T2w is -1 where it shows nothing. Without white matter
    to compare with ``fluid`` stays None.
    """
    white = white_matter(labels, brain)
    if not white.any():
        return objects
    fall = way_to_csf(t1w, white, brain)
    ways = [(fall, brain), *_rise(t2w, brain, labels)]
    counted = brain & ~large_spaces(objects, t1w, brain, labels)
    free = tissue(fall, counted, labels) & ~others
    owners = np.where(counted, territories(objects, others, affine), 0)
    voxel = float(np.prod(voxel_sizes(affine)))
    found = []
    for number, (item, shell) in enumerate(
        zip(objects, surroundings(objects, free, labels), strict=True), 1
    ):
        if shell[0].size < LEAST_SHELL:
            shell = np.nonzero(free & np.isin(labels, legend.label_values(item.region)))
        place = _place(item, owners, number)
        amounts = [
            _amount(way, place, shell)
            for way, seen in ways
            if seen[place].all() and seen[shell].all()
        ]
        found.append(replace(item, fluid=voxel * max(0.0, float(np.mean(amounts)))))
    return found


def _rise(t2w: np.ndarray | None, brain: np.ndarray, labels: np.ndarray) -> list[tuple]:
    """[(way to CSF on ``t2w``, what it shows)], empty where it shows no white matter."""
    if t2w is None:
        return []
    seen = brain & (t2w > -1)
    white = white_matter(labels, seen)
    return [(way_to_csf(t2w, white, seen, brightest=True), seen)] if white.any() else []


def _place(item: Object, owners: np.ndarray, number: int) -> tuple[np.ndarray, ...]:
    """Indices of the territory of object ``number``: its voxels and their neighbours."""
    low = np.maximum(item.voxels.min(axis=0) - 2, 0)
    box = tuple(slice(a, b) for a, b in zip(low, item.voxels.max(axis=0) + 3, strict=True))
    return tuple((np.argwhere(owners[box] == number) + low).T)


def _amount(way: np.ndarray, place: tuple, shell: tuple) -> float:
    """Voxels of CSF in ``place``, beyond what the level of the ``shell`` would be (white matter's
    where that is empty)."""
    level = float(np.median(way[shell])) if shell[0].size else 0.0
    return float((way[place].astype(np.float64) - level).sum() / max(1 - level, 1 - FLUID))
