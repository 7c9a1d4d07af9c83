"""Perivascular spaces, and what is not one but looks alike, drawn into a block of tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from glymph.train.anatomy import CENTRE, Tissues, load_maps, smooth_noise

STEP_MM = 0.25
SUBVOXELS = 3


@dataclass(frozen=True)
class Tube:
    """Axis (n, 3) in voxels of the block, ``width`` in mm, ``depth`` of its contrast (0 to 1)."""

    axis: np.ndarray
    width: float
    depth: float


@dataclass(frozen=True)
class Population:
    """What the perivascular spaces of a head are like, as shares of them: ``faint`` have any
    contrast from `FAINTEST` up, ``thin`` are a sixth thinner, ``wide`` are of `WIDE_MM` and hold
    CSF, ``clustered`` is how often some of a block's lie side by side."""

    faint: float = 0.0
    thin: float = 0.0
    wide: float = 0.0
    clustered: float = 0.0


PLAIN = Population()
VARIED = Population(faint=0.6, thin=0.5, clustered=0.45)
FAINTEST = 0.15
THINNER = 0.85
WIDE_MM = (2.0, 4.0)
"""Widths of wide spaces: a network that hardly sees any takes those of 3 mm for lacunes."""
WIDE_LENGTH = 2.0
"""Least length of a wide space in widths: a lacune is round."""
APART_MM = (2.2, 5.0)
"""How far apart the axes of parallel spaces lie."""


def plant_tubes(rng, linear: np.ndarray, tissues: Tissues, count: int, population=PLAIN):
    """Plant up to ``count`` tubes; returns (share of each voxel, contrast, numbers).

    ``linear`` (3, 3) takes directions of the block's grid to MNI space.
    ``share`` is the part of each voxel inside a tube, ``contrast`` the same times the tube's
    contrast against CSF, ``numbers`` (int16) which tube it is, from 1.
    """
    shape = tissues.gm.shape
    share, contrast = np.zeros((2, *shape), np.float32)
    numbers = np.zeros(shape, np.int16)
    weights = _seed_weights(tissues)
    total = weights.sum()
    if total <= 0 or not count:
        return share, contrast, numbers
    cumulated = np.cumsum(weights.ravel())
    clustered = population.clustered and rng.random() < population.clustered
    planted = 0
    for _ in range(3 * count):
        if planted >= count:
            break
        place = np.unravel_index(np.searchsorted(cumulated, rng.random() * total), shape)
        tube = _draw_tube(rng, linear, tissues, np.array(place, float), population)
        for one in _side_by_side(rng, tube, tissues.voxel_mm) if clustered else [tube]:
            if not _in_tissue(one, tissues):
                continue
            box, part = fill(one.axis, one.width / 2 / tissues.voxel_mm, shape)
            if box is None or (share[box][part > 0.05] > 0.05).any():
                continue
            planted += 1
            numbers[box][part > share[box]] = planted
            share[box] = np.maximum(share[box], part)
            contrast[box] = np.maximum(contrast[box], one.depth * part)
    return share, contrast, numbers


def _side_by_side(rng, tube: Tube, voxel_mm: float) -> list[Tube]:
    """``tube`` and, half of the time, up to seven beside it that run nearly its way."""
    if rng.random() < 0.5:
        return [tube]
    along = tube.axis[-1] - tube.axis[0]
    along = along / (np.linalg.norm(along) + 1e-9)
    across = np.cross(along, rng.standard_normal(3))
    across /= np.linalg.norm(across) + 1e-9
    found, place = [tube], np.zeros(3)
    for _ in range(rng.integers(1, 8)):
        place = place + rng.uniform(*APART_MM) / voxel_mm * across
        shift = place + rng.normal(0, 1.0 / voxel_mm) * along + rng.normal(0, 0.5, 3)
        middle = tube.axis.mean(0)
        axis = middle + np.exp(0.25 * rng.standard_normal()) * (tube.axis - middle) + shift
        widest = max(tube.width, 3.0)
        width = float(np.clip(tube.width * np.exp(0.2 * rng.standard_normal()), 0.5, widest))
        found.append(Tube(axis, width, float(np.clip(tube.depth * rng.uniform(0.7, 1.3), 0, 1))))
    return found


def _seed_weights(tissues: Tissues) -> np.ndarray:
    """Where tubes may have their middle: white matter, basal ganglia and brain stem."""
    maps = load_maps()
    places = maps.at("places", tissues.mni, order=0)
    deep = maps.at("depth", tissues.mni) > 6
    white = (tissues.wm > 0.85) & deep
    nuclei = (places == 2) & (tissues.tissue > 0.9)
    stem = (places == 3) & (tissues.tissue > 0.9)
    return white + 3.0 * nuclei + 3.0 * stem


def _draw_tube(rng, linear, tissues: Tissues, middle: np.ndarray, population) -> Tube:
    maps = load_maps()
    mni = tissues.mni[tuple(middle.astype(int))]
    place = int(maps.at("places", mni[None], order=0)[0])
    width = float(np.clip(1.5 * np.exp(0.38 * rng.standard_normal()), 0.5, 3.0))
    if population.thin and rng.random() < population.thin:
        width = max(0.5, THINNER * width)
    wide = bool(population.wide) and rng.random() < population.wide
    if wide:
        width = float(rng.uniform(*WIDE_MM))
    typical = 5.0 if place == 3 else 7.0
    shortest = WIDE_LENGTH * width if wide else max(2.0, width)
    length = float(np.clip(typical * np.exp(0.5 * rng.standard_normal()), shortest, 25.0))
    direction = _course(rng, maps, mni, place) @ np.linalg.inv(linear).T
    direction = direction / np.linalg.norm(direction) + 0.25 * rng.standard_normal(3)
    direction /= np.linalg.norm(direction)
    across = np.cross(direction, rng.standard_normal(3))
    across /= np.linalg.norm(across) + 1e-9
    run = max(length - width, 0.3)
    t = np.linspace(-0.5, 0.5, max(3, int(run / STEP_MM) + 2))[:, None]
    bow = rng.uniform(0, 0.35) * run
    wave = rng.uniform(0, 0.05) * run * np.sin(2 * np.pi * (t * rng.uniform(0.5, 1.5)))
    axis = run * t * direction + bow * (t**2 - 1 / 12) * across
    axis = axis + wave * np.cross(direction, across)
    start = middle + rng.uniform(-0.5, 0.5, 3)
    depth = float(rng.uniform(0.7, 1.0))
    if population.faint and not wide and rng.random() < population.faint:
        depth = float(np.exp(rng.uniform(np.log(FAINTEST), 0)))
    return Tube(start + axis / tissues.voxel_mm, width, depth)


def _course(rng, maps, mni, place: int) -> np.ndarray:
    """Direction in MNI space: away from the ventricles in white matter, rising from below deep."""
    side = np.sign(mni[0]) or 1.0
    if place == 2:
        return np.array([0.3 * side, -0.1, 1.0]) + 0.3 * rng.standard_normal(3)
    if place == 3:
        return rng.standard_normal(3) * [0.5, 0.5, 1.0]
    steps = 3.0 * np.concatenate([np.eye(3), -np.eye(3)])
    around = maps.at("ventricle", mni + steps)
    away = around[:3] - around[3:]
    norm = np.linalg.norm(away)
    return away / norm if norm > 0.5 else mni - CENTRE


def _in_tissue(tube: Tube, tissues: Tissues) -> bool:
    index = np.round(tube.axis[::2]).astype(int)
    if (index < 1).any() or (index >= np.array(tissues.gm.shape) - 1).any():
        keep = ((index >= 1) & (index < np.array(tissues.gm.shape) - 1)).all(1)
        if keep.mean() < 0.4:
            return False
        index = index[keep]
    return bool(tissues.csf[tuple(index.T)].max() < 0.25)


def fill(axis: np.ndarray, radius: float, shape):
    """Share of each voxel within ``radius`` (voxels) of ``axis`` (n, 3): (box of slices, share)."""
    low = np.maximum(np.floor(axis.min(0) - radius - 1).astype(int), 0)
    high = np.minimum(np.ceil(axis.max(0) + radius + 2).astype(int), shape)
    if (high <= low).any():
        return None, None
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    tree = cKDTree(axis)
    size = tuple(high - low)
    voxels = np.stack(np.unravel_index(np.arange(np.prod(size)), size), -1) + low
    near = tree.query(voxels, distance_upper_bound=radius + 0.9)[0] < np.inf
    offsets = (np.arange(SUBVOXELS) + 0.5) / SUBVOXELS - 0.5
    offsets = np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"), -1).reshape(-1, 3)
    points = (voxels[near][:, None] + offsets).reshape(-1, 3)
    inside = tree.query(points, distance_upper_bound=radius)[0] < np.inf
    share = np.zeros(len(voxels), np.float32)
    share[near] = inside.reshape(-1, len(offsets)).mean(1)
    return box, share.reshape(size)


def draw_lesions(rng, tissues: Tissues, count: int) -> np.ndarray:
    """Soft masks (0 to 1) of white-matter lesions: caps at the ventricles and irregular patches."""
    shape = tissues.gm.shape
    lesions = np.zeros(shape, np.float32)
    near = load_maps().at("ventricle", tissues.mni)
    weights = (tissues.wm > 0.7) * (0.3 + 2.0 * np.exp(-((near / 6) ** 2)))
    for centre in _draw_places(rng, weights, count):
        for _ in range(rng.integers(1, 5)):
            radii = np.exp(rng.normal(np.log(2.2), 0.5, 3)) / tissues.voxel_mm
            middle = centre + rng.normal(0, 2.0, 3) / tissues.voxel_mm
            _add_ellipsoid(lesions, middle, np.clip(radii, 0.8, 9), rng.uniform(0.5, 1.5))
    if count:
        lesions *= np.clip(1 + 0.35 * smooth_noise(rng, shape, 2.0), 0.3, 1.3)
    return np.clip(lesions, 0, 1) * np.clip(tissues.wm * 1.5, 0, 1)


IRON = {
    "pallidum": ((19.0, -4.0, -1.0), (5.0, 9.0, 5.0)),
    "substantia nigra": ((10.0, -18.0, -12.0), (5.0, 6.0, 4.0)),
    "red nucleus": ((5.0, -20.0, -9.0), (3.0, 3.5, 4.0)),
}
"""Middle (MNI mm, right side) and semi-axes of the nuclei that hold iron."""


def iron(tissues: Tissues) -> np.ndarray:
    """Soft mask (0 to 1) of the `IRON` nuclei of both sides, in tissue."""
    folded = np.concatenate([np.abs(tissues.mni[..., :1]), tissues.mni[..., 1:]], -1)
    inside = [
        np.clip(2 - 2 * np.linalg.norm((folded - middle) / np.array(semi), axis=-1), 0, 1)
        for middle, semi in IRON.values()
    ]
    return np.max(inside, axis=0).astype(np.float32) * tissues.tissue


def draw_lacunes(rng, tissues: Tissues, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Soft masks of round cavities wider than 3 mm, and of the rim of gliosis about them."""
    shape = tissues.gm.shape
    holes, rims = np.zeros((2, *shape), np.float32)
    weights = (tissues.tissue > 0.9) & (load_maps().at("depth", tissues.mni) > 8)
    for centre in _draw_places(rng, weights.astype(float), count):
        radius = rng.uniform(1.7, 5.5) / tissues.voxel_mm
        radii = radius * np.exp(0.2 * rng.standard_normal(3))
        _add_ellipsoid(holes, centre, np.maximum(radii, 1.6 / tissues.voxel_mm), 0.4)
        _add_ellipsoid(rims, centre, radii + rng.uniform(0.3, 2.5) / tissues.voxel_mm, 1.0)
    return np.clip(holes, 0, 1), np.clip(rims, 0, 1)


def _draw_places(rng, weights: np.ndarray, count: int):
    total = float(weights.sum())
    if total <= 0:
        return []
    cumulated = np.cumsum(weights.ravel(), dtype=float)
    drawn = np.searchsorted(cumulated, rng.random(count) * cumulated[-1])
    return [
        np.array(np.unravel_index(min(d, weights.size - 1), weights.shape), float) for d in drawn
    ]


def _add_ellipsoid(field: np.ndarray, centre, radii, edge: float) -> None:
    """Add an ellipsoid (voxels) whose border is ``edge`` voxels wide."""
    low = np.maximum(np.floor(centre - radii - 3).astype(int), 0)
    high = np.minimum(np.ceil(centre + radii + 4).astype(int), field.shape)
    if (high <= low).any():
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    axes = np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij")
    distance = np.sqrt(sum(((x - c) / r) ** 2 for x, c, r in zip(axes, centre, radii, strict=True)))
    soft = np.clip(0.5 - (distance - 1) * float(np.mean(radii)) / edge, 0, 1)
    field[box] = np.maximum(field[box], soft)


def thin_lines(rng, shape, count: int) -> np.ndarray:
    """Vessels and motion streaks: thin dark lines (share) that T2w shows as a lack of signal."""
    lines = np.zeros(shape, np.float32)
    for _ in range(count):
        middle = rng.uniform(0, 1, 3) * shape
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        axis = middle + np.linspace(-8, 8, 40)[:, None] * direction
        box, part = fill(axis, rng.uniform(0.3, 0.6), shape)
        if box is not None:
            lines[box] = np.maximum(lines[box], part)
    return ndimage.gaussian_filter(lines, 0.3)
