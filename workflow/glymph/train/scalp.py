"""What surrounds the brain in a head image: skull, scalp, face, eyes, neck, spinal cord."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

from glymph.common.spaces import apply_affine
from glymph.train.anatomy import Head, load_maps, smooth_noise

WIDE_MM = 3.0
WIDE_LOW = np.array([-132.0, -168.0, -210.0])
WIDE_SHAPE = (89, 102, 120)


@lru_cache(maxsize=1)
def wide_depth() -> np.ndarray:
    """Distance (mm) outside the template's brain, negative inside, with room for a neck."""
    maps = load_maps()
    axes = [WIDE_LOW[k] + WIDE_MM * np.arange(WIDE_SHAPE[k]) for k in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    voxels = np.moveaxis(apply_affine(np.linalg.inv(maps.affine), points), -1, 0)
    hull = ndimage.map_coordinates(maps.hull, voxels, order=1, mode="constant") > 0.5
    outside = ndimage.distance_transform_edt(~hull, sampling=WIDE_MM)
    inside = ndimage.distance_transform_edt(hull, sampling=WIDE_MM)
    return ndimage.gaussian_filter(np.where(hull, 1.5 - inside, outside - 1.5), 0.6).astype(
        np.float32
    )


def surround(rng: np.random.Generator, head: Head, mni: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Signal (x, y, z) of everything outside the brain hull; bright tissue is about 1, air 0.

    ``mni``: the grid's points (x, y, z, 3). Thicknesses, signals and the face are random; beyond
    the skull the soft parts are blobs of random signal, so that no network learns their look.
    """
    shape = mni.shape[:3]
    voxels = np.moveaxis((mni - WIDE_LOW) / WIDE_MM, -1, 0).astype(np.float32)
    depth = ndimage.map_coordinates(wide_depth(), voxels, order=1, mode="nearest")

    def uneven(mean, spread):
        return np.maximum(mean * (1 + spread * smooth_noise(rng, shape, 18.0 / voxel_mm)), 0.5)

    rim = uneven(rng.choice([rng.uniform(0.5, 3.0), rng.uniform(2.0, 8.0)]), 0.35)
    skull = uneven(rng.uniform(4.0, 10.0), 0.25)
    scalp = uneven(rng.uniform(4.0, 14.0), 0.3)
    skin = _skin(rng, mni, depth - rim - skull - scalp)
    soft = _blobs(rng, shape, voxel_mm)
    fat = rng.uniform(0.2, 1.5)
    signal = np.where(skin < 0, soft, 0.0)
    signal = np.where((skin < 0) & (skin > -uneven(rng.uniform(1.5, 6), 0.3)), fat, signal)
    signal = np.where(_airways(rng, mni), rng.uniform(0, 0.05), signal)
    bone = (depth > rim) & (depth < rim + skull)
    signal = np.where(bone, rng.uniform(0.0, 0.15), signal)
    middle = np.abs(depth - rim - skull / 2) < skull * rng.uniform(0.08, 0.25)
    signal = np.where(bone & middle, rng.uniform(0.05, 1.0), signal)
    fluid = rng.uniform(0.05, 0.4)
    signal = np.where(depth <= rim, fluid, signal)
    if rng.random() < 0.35:  # dura, sinuses and bridging veins after contrast agent, or pial fat
        shell = (depth > rim - 2) & (depth <= rim + 0.5) & (smooth_noise(rng, shape, 3.0) > 0.3)
        signal = np.where(shell, rng.uniform(0.3, 1.3), signal)
    signal = _eyes(rng, mni, signal)
    return _cord(rng, mni, signal, fluid).astype(np.float32)


def _skin(rng, mni, around: np.ndarray) -> np.ndarray:
    """Signed distance (mm) to the skin: skull cap, face and neck joined."""
    face = _ellipsoid(mni, (0, rng.uniform(25, 42), rng.uniform(-75, -55)),
                      (rng.uniform(52, 66), rng.uniform(48, 62), rng.uniform(66, 95)))  # fmt: skip
    neck = _cylinder(mni, (0, rng.uniform(-52, -34)), rng.uniform(44, 66), -60.0)
    nose = np.linalg.norm(mni - [0, 88 + rng.uniform(-4, 8), -48], axis=-1) - rng.uniform(9, 14)
    return np.minimum.reduce([around, face, neck, nose])


def _blobs(rng, shape, voxel_mm: float) -> np.ndarray:
    """A patchwork of random signals: muscles, glands, tongue, vertebrae."""
    kinds = int(rng.integers(3, 8))
    fields = [smooth_noise(rng, shape, rng.uniform(4, 12) / voxel_mm) for _ in range(kinds)]
    signals = rng.uniform(0.1, 1.2, kinds).astype(np.float32)
    return signals[np.argmax(fields, axis=0)]


def _airways(rng, mni) -> np.ndarray:
    x, y, z = np.moveaxis(mni, -1, 0)
    nose = (np.hypot(x, z + 60) < rng.uniform(7, 13)) & (y > 20) & (y < 92)
    throat = (np.hypot(x, y - rng.uniform(5, 20)) < rng.uniform(5, 10)) & (z < -55)
    sinus = np.linalg.norm(np.stack([np.abs(x) - 26, y - 55, z + 68], -1), axis=-1) < 11
    mastoid = np.linalg.norm(np.stack([np.abs(x) - 52, y + 32, z + 48], -1), axis=-1) < 9
    return nose | throat | sinus | (mastoid & bool(rng.random() < 0.7))


def _eyes(rng, mni, signal: np.ndarray) -> np.ndarray:
    place = np.array([rng.uniform(28, 34), rng.uniform(54, 66), rng.uniform(-42, -32)])
    folded = np.concatenate([np.abs(mni[..., :1]), mni[..., 1:]], -1)
    away = np.linalg.norm(folded - place, axis=-1)
    radius = rng.uniform(10.5, 13.5)
    orbit = (away < radius + rng.uniform(3, 8)) & (folded[..., 1] < place[1] + 6)
    signal = np.where(orbit, rng.uniform(0.3, 1.4), signal)
    signal = np.where(away < radius, rng.uniform(0.05, 0.45), signal)
    along = np.clip((place[1] - folded[..., 1]) / 45, 0, 1)
    nerve = np.hypot(folded[..., 0] - place[0] * (1 - 0.75 * along), folded[..., 2] - place[2])
    inside = (nerve < rng.uniform(2, 3.5)) & (along > 0.2) & (along < 0.8)
    return np.where(inside, rng.uniform(0.3, 0.9), signal)


def _cord(rng, mni, signal: np.ndarray, fluid: float) -> np.ndarray:
    """The spinal canal below the brain stem: cord of brain's own signal in fluid."""
    x, y, z = np.moveaxis(mni, -1, 0)
    centre = -46 + 0.12 * (z + 72)
    away = np.hypot(x, y - centre)
    below = z < -66
    signal = np.where(below & (away < rng.uniform(8, 12)), fluid, signal)
    return np.where(below & (away < rng.uniform(4.5, 7.5)), rng.uniform(0.6, 1.05), signal)


def _ellipsoid(points, centre, semi) -> np.ndarray:
    semi = np.asarray(semi)
    return (np.linalg.norm((points - np.asarray(centre)) / semi, axis=-1) - 1) * semi.min()


def _cylinder(points, centre, radius, top) -> np.ndarray:
    side = np.hypot(points[..., 0] - centre[0], points[..., 1] - centre[1]) - radius
    return np.maximum(side, points[..., 2] - top)
