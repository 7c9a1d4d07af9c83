"""Enlarged perivascular spaces: curved tubes of known place, length and width."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from .anatomy import Anatomy
from .space import Grid, apply
from .spec import SubjectSpec
from .template import ORIGIN

REGIONS = {"CSO": 1, "BG": 2, "midbrain": 3}
ROOF_MM = 28.5
"""Roof of the template's lateral ventricles: a subject's wider ones are a part of its deformation,
so that its own roof is here too."""
MASK_SHARE = 0.3
AXIS_STEP = 0.2
TRIES = 60


@dataclass(frozen=True)
class Tube:
    """A tube with round ends. axis: (n, 3) head mm; length from end to end and width in mm."""

    region: str
    axis: np.ndarray
    length: float
    width: float


def region_labels(mni: np.ndarray, gm: np.ndarray, wm: np.ndarray) -> np.ndarray:
    """1 CSO, 2 BG, 3 midbrain, 0 elsewhere, for MNI points (3, ...) and their tissue shares."""
    x, y, z = mni
    out, brain = np.abs(x), gm + wm > 0.5
    labels = np.zeros(gm.shape, np.uint8)
    labels[(wm > 0.5) & (z > ROOF_MM) & (out > 4)] = REGIONS["CSO"]
    deep = ((out - 22) / 14) ** 2 + ((y - 2) / 25) ** 2 + ((z - 2) / 17) ** 2 < 1
    labels[brain & deep & (z <= 20)] = REGIONS["BG"]
    stem = (out / 15) ** 2 + ((y + 21) / 12) ** 2 < 1
    labels[brain & stem & (z > -22) & (z < -6)] = REGIONS["midbrain"]
    return labels


def _seeds(anatomy: Anatomy) -> dict:
    """Region -> (n, 3) MNI points where a tube may have its middle."""
    step = anatomy.template.step
    gm, wm = anatomy.fractions["gm"], anatomy.fractions["wm"]
    index = np.argwhere(gm + wm > 0.93)
    mni = index * float(step) + ORIGIN
    white = wm[tuple(index.T)]
    x, y, z = mni.T
    out = np.abs(x)
    lentiform = ((out - 23) / 9) ** 2 + ((y - 2) / 18) ** 2 + ((z + 1) / 10) ** 2 < 1
    stem = ((out - 6) / 5) ** 2 + ((y + 20) / 6) ** 2 + ((z + 13) / 6) ** 2 < 1
    white_above = (white > 0.9) & (z > ROOF_MM + 3) & (z < 58) & (out > 14) & (out < 46)
    white_above &= (y > -65) & (y < 40)
    return {"CSO": mni[white_above], "BG": mni[lentiform], "midbrain": mni[stem]}


def _course(region: str, mni: np.ndarray, rng) -> np.ndarray:
    """Unit direction of a tube: away from the ventricles in CSO, rising elsewhere."""
    side = np.sign(mni[0])
    if region == "CSO":
        away = mni - np.array([12 * side, np.clip(mni[1], -35, 25) * 0.9, 20])
        direction = away / np.linalg.norm(away)
    else:
        direction = np.array([0.3 * side, -0.15, 1.0])
    direction = direction + 0.15 * rng.standard_normal(3)
    return direction / np.linalg.norm(direction)


def _draw_tube(region, seeds, anatomy, rng) -> Tube:
    mni = seeds[rng.integers(len(seeds))] + rng.uniform(-0.5, 0.5, 3)
    centre = anatomy.from_mni(mni[None])[0]
    width = float(np.clip(1.9 * np.exp(0.25 * rng.standard_normal()), 0.5, 3.0))
    longest = 15.0 if region != "midbrain" else 8.0
    length = float(np.clip(8.0 * np.exp(0.3 * rng.standard_normal()), max(3.0, width + 1), longest))
    direction = _course(region, mni, rng)
    across = np.cross(direction, rng.standard_normal(3))
    across /= np.linalg.norm(across)
    run = length - width
    t = np.linspace(-0.5, 0.5, max(3, int(np.ceil(run / AXIS_STEP)) + 1))
    bow = rng.uniform(0.0, 0.35) * run
    axis = centre + run * t[:, None] * direction + bow * (t[:, None] ** 2 - 1 / 12) * across
    arc = np.linalg.norm(np.diff(axis, axis=0), axis=1).sum()
    return Tube(region, axis, arc + width, width)


def plant(spec: SubjectSpec, anatomy: Anatomy, grid: Grid, pose: np.ndarray):
    """Draw tubes that do not touch one another in a mask on `grid`.

    Returns (tubes, share, objects): share float32 and objects int16 (1 for the first tube) on the
    grid. Where no room is left for another tube, fewer than asked are planted.
    """
    rng = spec.rng("epvs")
    seeds = _seeds(anatomy)
    wanted = {"CSO": spec.epvs_cso, "BG": spec.epvs_bg, "midbrain": spec.epvs_midbrain}
    share = np.zeros(grid.shape, np.float32)
    objects = np.zeros(grid.shape, np.int16)
    tubes = []
    for region, count in wanted.items():
        for _ in range(count):
            for _ in range(TRIES):
                tube = _draw_tube(region, seeds[region], anatomy, rng)
                if _lies_in_tissue(tube, anatomy) and _stands_alone(tube, grid, pose, objects):
                    tubes.append(tube)
                    _add(tube, grid, pose, share, objects, len(tubes))
                    break
    return tubes, share, objects


def _lies_in_tissue(tube: Tube, anatomy: Anatomy) -> bool:
    mni = anatomy.to_mni(tube.axis[::3]).T.astype(np.float32)
    gm, wm = (anatomy.sample(anatomy.fractions[k], mni) for k in ("gm", "wm"))
    enough = wm if tube.region == "CSO" else gm + wm
    return bool(enough.min() > (0.7 if tube.region == "CSO" else 0.85))


def _stands_alone(tube, grid, pose, objects) -> bool:
    box, _, mask = footprint(tube, grid, pose)
    wide = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
    taken = objects[wide] > 0
    if not taken.any():
        return True
    padded = np.zeros(taken.shape, bool)
    corner = [s.start - w.start for s, w in zip(box, wide, strict=True)]
    padded[tuple(slice(c, c + n) for c, n in zip(corner, mask.shape, strict=True))] = mask
    return not (ndimage.binary_dilation(padded, np.ones((3, 3, 3))) & taken).any()


def _add(tube, grid, pose, share, objects, number):
    box, part, mask = footprint(tube, grid, pose)
    share[box] = np.maximum(share[box], part)
    objects[box][mask] = number


def footprint(tube: Tube, grid: Grid, pose: np.ndarray):
    """Where a tube lies on a grid: (box of slices, share of each voxel, mask).

    The mask holds the voxels filled to more than 0.3, and those that the tube's axis crosses, so
    that a thin tube stays one 26-connected object.
    """
    axis = apply(pose, tube.axis)
    index = apply(np.linalg.inv(grid.affine), axis)
    room = tube.width / 2 / grid.voxel + 1
    low = np.clip(np.floor(index.min(0) - room).astype(int), 0, np.array(grid.shape) - 1)
    high = np.clip(np.ceil(index.max(0) + room).astype(int) + 1, low + 1, grid.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    shape = tuple(high - low)
    voxels = np.stack(np.unravel_index(np.arange(np.prod(shape)), shape), 1) + low
    tree = cKDTree(axis)
    reach = tube.width / 2 + np.linalg.norm(grid.voxel) / 2
    near = tree.query(apply(grid.affine, voxels), distance_upper_bound=reach)[0] < np.inf
    share = np.zeros(len(voxels), np.float32)
    share[near] = _filled(voxels[near], grid, tree, tube.width / 2)
    share = share.reshape(shape)
    mask = share > MASK_SHARE
    crossed = np.round(index).astype(int) - low
    crossed = crossed[((crossed >= 0) & (crossed < shape)).all(1)]
    mask[tuple(crossed.T)] = True
    return box, share, mask


def _filled(voxels, grid, tree, radius) -> np.ndarray:
    """Share of each voxel (n, 3) within the radius of an axis, by sampling inside the voxel."""
    counts = np.clip(np.ceil(grid.voxel / 0.2), 2, 10).astype(int)
    steps = [(np.arange(c) + 0.5) / c - 0.5 for c in counts]
    offsets = np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3)
    points = apply(grid.affine, voxels[:, None] + offsets)
    distance = tree.query(points.reshape(-1, 3), distance_upper_bound=radius + 1e-6)[0]
    return (distance <= radius).reshape(len(voxels), -1).mean(1)


def paint(tubes, grid: Grid, pose: np.ndarray) -> np.ndarray:
    """Share (float32) of each voxel of a grid that lies in a tube."""
    share = np.zeros(grid.shape, np.float32)
    for tube in tubes:
        box, part, _ = footprint(tube, grid, pose)
        share[box] = np.maximum(share[box], part)
    return share


def describe(tubes, anatomy: Anatomy, grid: Grid, pose: np.ndarray, objects) -> list[dict]:
    """One row per tube for the truth table. Scanner mm are those of the T1w image."""
    rows = []
    for number, tube in enumerate(tubes, 1):
        middle = tube.axis[len(tube.axis) // 2][None]
        mni, scanner = anatomy.to_mni(middle)[0], apply(pose, middle)[0]
        box, share, _ = footprint(tube, grid, pose)
        rows.append(
            {"object": number, "region": tube.region}
            | dict(zip(("mni_x", "mni_y", "mni_z"), mni.round(2), strict=True))
            | dict(zip(("t1w_x", "t1w_y", "t1w_z"), scanner.round(2), strict=True))
            | {
                "length_mm": round(tube.length, 3),
                "width_mm": round(tube.width, 3),
                "volume_mm3": round(float(share.sum(dtype=float)) * grid.volume, 3),
                "mask_voxels": int((objects[box] == number).sum()),
            }
        )
    return rows


def rater_mask(spec: SubjectSpec, rater: str, share, objects, allowed) -> np.ndarray:
    """uint8 mask as a human would draw it: some tubes missed, others invented, edges uncertain.

    share, objects: the truth on the T1w grid. allowed: bool, tissue where a false one may lie.
    """
    rng = spec.rng(f"rater:{rater}")
    threshold = rng.uniform(0.2, 0.5)
    edge = share + 0.12 * rng.standard_normal(share.shape, dtype=np.float32)
    mask = (objects > 0) & (edge > threshold) | ((share > 0.05) & (edge > threshold + 0.05))
    count = int(objects.max())
    missed = 1 + np.flatnonzero(rng.random(count) < 0.1)
    grown = ndimage.grey_dilation(objects, size=(3, 3, 3))
    mask &= ~np.isin(grown, missed)
    candidates = np.argwhere(allowed & ~ndimage.binary_dilation(grown > 0))
    for spot in candidates[rng.integers(len(candidates), size=rng.poisson(0.08 * count))]:
        mask[tuple(slice(max(0, s - 1), s + 2) for s in spot[:2]) + (spot[2],)] = True
    return mask.astype(np.uint8)
