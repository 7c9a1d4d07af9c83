"""The MNI head: brain tissue maps that nilearn carries, and a head built around them.

nilearn bundles the skull-stripped ICBM 152 symmetric template with grey and white matter maps
(Fonov et al. 2011, NeuroImage 54:313). Skull, scalp, eyes, neck and face are drawn here from
distances and simple solids, so that brain extraction has something to remove.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import nilearn
import numpy as np
from scipy import ndimage

from .space import expand, linear_weights

ORIGIN = np.array([-98.0, -134.0, -150.0])
SHAPE_1MM = (197, 253, 255)
BRAIN_OFFSET = (0, 0, 78)
BRAIN = ("gm", "wm", "csf")
TISSUES = (*BRAIN, "fat", "muscle", "eye")
SHARPNESS = 1.6


@dataclass(frozen=True)
class Template:
    """Maps in MNI space on a grid of `step` mm that begins at ORIGIN.

    fractions: tissue -> float32 (x, y, z) share of the voxel; what is missing to 1 is bone or air.
    hull: bool (x, y, z), the brain with its inner and sulcal CSF.
    distance: float32 (x, y, z) at 2 mm, distance to the hull in mm, negative inside.
    """

    step: int
    fractions: dict
    hull: np.ndarray
    distance: np.ndarray


def _bundled(name: str) -> np.ndarray:
    file = f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
    image = nib.load(Path(nilearn.__file__).parent / "datasets" / "data" / file)
    values = np.zeros(SHAPE_1MM, np.float32)
    data = np.asarray(image.dataobj)
    corner = np.round(image.affine[:3, 3] - ORIGIN).astype(int)
    assert tuple(corner) == BRAIN_OFFSET, "nilearn's bundled template has changed its grid"
    stop = [min(n, c + m) for n, c, m in zip(SHAPE_1MM, corner, data.shape, strict=True)]
    box = tuple(slice(c, s) for c, s in zip(corner, stop, strict=True))
    values[box] = data[tuple(slice(0, s - c) for c, s in zip(corner, stop, strict=True))]
    return values


def _coarsen(values: np.ndarray, step: int) -> np.ndarray:
    """Every step-th sample, after the average that the coarser grid needs against aliasing."""
    if step == 1:
        return values
    for axis in range(3):
        values = ndimage.correlate1d(values, [0.25, 0.5, 0.25], axis=axis)
        values = np.moveaxis(np.moveaxis(values, axis, 0)[::step], 0, axis)
    return np.ascontiguousarray(values)


@lru_cache(maxsize=2)
def load_template(step: int = 1) -> Template:
    """Build the head at 1 or 2 mm (some seconds, once per process)."""
    hull = ndimage.binary_fill_holes(_bundled("t1") > 0)
    gm, wm = _bundled("gm") / 255, _bundled("wm") / 255
    gm, wm = gm * hull, wm * hull
    tissue = {"gm": gm, "wm": wm, "csf": np.clip(hull - gm - wm, 0, 1)}
    tissue = {name: _coarsen(values, step) for name, values in tissue.items()}
    distance = hull_distance(hull[::2, ::2, ::2])
    surround = head_solids(distance, step)
    inside = sum(tissue.values())
    for name in surround:
        surround[name] *= 1 - inside
    tissue["csf"] += surround.pop("csf")
    tissue["wm"] += surround.pop("cord")
    fractions = {name: values.astype(np.float32) for name, values in (tissue | surround).items()}
    return Template(step, fractions, hull[::step, ::step, ::step], distance)


def hull_distance(hull_2mm: np.ndarray) -> np.ndarray:
    """Signed distance in mm to the surface of a mask of 2 mm voxels, negative inside."""
    outside = ndimage.distance_transform_edt(~hull_2mm, sampling=2.0)
    inside = ndimage.distance_transform_edt(hull_2mm, sampling=2.0)
    signed = np.where(hull_2mm, 1.0 - inside, outside - 1.0)
    return ndimage.gaussian_filter(signed, 0.7).astype(np.float32)


def head_solids(distance: np.ndarray, step: int) -> dict:
    """Fractions of everything around the brain: csf, cord, fat, muscle, eye; bone and air are 0.

    The solids are signed distances in mm on the 2 mm grid, refined to `step` before their surface
    is cut, so that it stays sharp.
    """
    rng = np.random.default_rng(152)
    csf_mm = 2.2 + 0.6 * _smooth_noise(distance.shape, rng)
    skull_mm = 5.5 + 1.2 * _smooth_noise(distance.shape, rng)
    scalp_mm = 6.5 + 1.5 * _smooth_noise(distance.shape, rng)
    fat_mm = 4.0 + 1.2 * _smooth_noise(distance.shape, rng)
    points = _points_2mm(distance.shape)
    skin = _join(
        distance - csf_mm - skull_mm - scalp_mm,
        _capsule(points, (0, -40, -60), (0, -55, -190), 50),
        _ellipsoid(points, (0, 34, -62), (57, 50, 74)),
        _capsule(points, (0, 84, -42), (0, 96, -66), 9),
        blend=5.0,
    )
    canal = ((0, -46, -72), (0, -56, -190))
    # From the outside in: what is named later replaces what was there.
    layers = [
        (skin, {"fat": 0.85, "muscle": 0.15}),
        (skin + fat_mm, {"muscle": 0.85, "fat": 0.15}),
        (_pair(points, (31, 58, -38), 18), {"fat": 1.0}),
        (_pair(points, (31, 64, -37), 12.5), {"eye": 1.0}),
        (_mirrored(points, (47, 2, -72), (17, 70, -118), 6), {"fat": 0.2}),
        (_capsule(points, *canal, 16), {"fat": 0.1}),
        (_capsule(points, (0, -28, -88), (0, -38, -190), 11), {"fat": 0.45}),
        (_airways(points, distance), {}),
        (distance - csf_mm - skull_mm, {}),
        (np.abs(distance - csf_mm - skull_mm / 2) - skull_mm / 6, {"fat": 0.4}),
        (distance - csf_mm, {"csf": 1.0}),
        (_capsule(points, *canal, 8), {"csf": 1.0}),
        (_capsule(points, *canal, 5), {"cord": 1.0}),
    ]
    shape = [(n - 1) // step + 1 for n in SHAPE_1MM]
    names = ("csf", "cord", "fat", "muscle", "eye")
    fractions = {name: np.zeros(shape, np.float32) for name in names}
    for solid, content in layers:
        _paint(solid, content, fractions, step)
    return fractions


def _paint(solid: np.ndarray, content: dict, fractions: dict, step: int):
    """Replace what lies inside a solid, given by its signed distance on the 2 mm grid."""
    coarse = ndimage.find_objects((solid < 3.0).astype(np.uint8))[0]
    distance = solid[coarse].astype(np.float32)
    if step == 1:
        weights = [linear_weights(2 * n - 1, n, 2) for n in distance.shape]
        distance = expand(distance, weights)
    scale = 2 // step
    starts = [s.start * scale for s in coarse]
    box = tuple(slice(a, a + n) for a, n in zip(starts, distance.shape, strict=True))
    share = np.clip(0.5 - distance / step, 0, 1)
    for name, values in fractions.items():
        values[box] *= 1 - share
        if name in content:
            values[box] += np.float32(content[name]) * share


def _points_2mm(shape) -> np.ndarray:
    axes = [ORIGIN[k] + 2.0 * np.arange(shape[k]) for k in range(3)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(np.float32)


def _smooth_noise(shape, rng) -> np.ndarray:
    """Thickness pattern of unit variance, smooth at 25 mm."""
    coarse = ndimage.gaussian_filter(rng.standard_normal([n // 8 + 2 for n in shape]), 1.5)
    coarse = np.clip(coarse / coarse.std(), -2, 2).astype(np.float32)
    return expand(coarse, [linear_weights(n, n // 8 + 2, 8) for n in shape])


def _join(*solids, blend: float) -> np.ndarray:
    """Union of solids with rounded seams (soft minimum of their distances)."""
    total = sum(np.exp(-np.clip(solid, -200, 200) / blend) for solid in solids)
    return -blend * np.log(total)


def _capsule(points, start, end, radius) -> np.ndarray:
    start, axis = np.asarray(start, np.float32), np.subtract(end, start).astype(np.float32)
    away = points - start
    projection, length = away @ axis, axis @ axis
    along = np.clip(projection / length, 0, 1)
    squared = np.einsum("xyzk,xyzk->xyz", away, away) + along * (along * length - 2 * projection)
    return np.sqrt(np.maximum(squared, 0)) - radius


def _ellipsoid(points, centre, semi) -> np.ndarray:
    semi = np.asarray(semi, np.float32)
    return (np.linalg.norm((points - np.float32(centre)) / semi, axis=-1) - 1) * semi.min()


def _pair(points, centre, radius) -> np.ndarray:
    """Two spheres, mirrored in x."""
    return _mirrored(points, centre, np.add(centre, (0, 0, 0.1)), radius)


def _mirrored(points, start, end, radius) -> np.ndarray:
    folded = np.concatenate([np.abs(points[..., :1]), points[..., 1:]], axis=-1)
    return _capsule(folded, start, end, radius)


def _airways(points, distance) -> np.ndarray:
    """Nose, throat, sinuses and mastoid cells, kept 7 mm off the brain by the skull base."""
    septum = 1.5 - np.abs(points[..., 0])
    spaces = [
        np.maximum(_capsule(points, (0, 90, -62), (0, 30, -60), 10), septum),
        _capsule(points, (0, 26, -62), (0, 2, -190), 8),
        _mirrored(points, (26, 52, -68), (24, 62, -72), 10),
        _pair(points, (0, 26, -36), 9),
        _mirrored(points, (4, 80, -28), (14, 82, -20), 5),
        _mirrored(points, (50, -36, -52), (52, -34, -44), 8),
        _mirrored(points, (52, -22, -44), (82, -24, -44), 3),
    ]
    return np.maximum(np.minimum.reduce(spaces), 7.0 - distance)
