"""Random heads: the template's tissue maps under strong random deformation and atrophy.

A head is made backwards: every voxel asks where in MNI space it lies and takes the tissue there.
Points are arrays (..., 3) in mm; a head's own frame is RAS about the template's origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from glymph.common.images import array
from glymph.common.spaces import apply_affine
from glymph.common.template import load_template
from glymph.epvs import atlas

CENTRE = np.array([0.0, -18.0, 8.0])
"""Middle of the brain in MNI mm: heads turn and grow about it."""
LATTICE_MM = 8.0
LATTICE_LOW = np.array([-120.0, -150.0, -150.0])
LATTICE_SHAPE = (31, 36, 33)
FLOOR = 0.02
"""Least share of every tissue before noise moves the borders."""


@dataclass(frozen=True)
class Maps:
    """What is known of the template, on one grid of ``affine`` (arrays (x, y, z) float32).

    ``gm``, ``wm``: tissue shares; ``hull``: 1 in the brain with its sulci; ``depth``: mm inside the
    hull, negative outside; ``ventricle``: mm from the ventricles, 0 within; ``places``: numbers of
    the regions' outlines.
    """

    affine: np.ndarray
    gm: np.ndarray
    wm: np.ndarray
    hull: np.ndarray
    depth: np.ndarray
    ventricle: np.ndarray
    places: np.ndarray

    def at(self, name: str, mni: np.ndarray, order: int = 1) -> np.ndarray:
        """Map ``name`` at MNI points (..., 3); beyond the grid there is no brain."""
        mode = "nearest" if name in ("depth", "ventricle") else "constant"
        voxels = voxels_of(self.affine, mni)
        return ndimage.map_coordinates(getattr(self, name), voxels, order=order, mode=mode)


def voxels_of(affine: np.ndarray, mni: np.ndarray) -> np.ndarray:
    """Voxels (3, ..., float32) of the grid ``affine`` at MNI points (..., 3)."""
    return np.moveaxis(apply_affine(np.linalg.inv(affine), mni), -1, 0).astype(np.float32)


@lru_cache(maxsize=1)
def load_maps() -> Maps:
    """The bundled template's maps (some 20 s, once per process)."""
    template = load_template(None)
    hull = ndimage.binary_fill_holes(template.brain)
    affine, gm = template.t1w.affine, array(template.gm)
    places = atlas.enclosed(gm.shape, affine).astype(np.float32)
    return make_maps(affine, gm, array(template.wm), hull, places)


def make_maps(affine, gm: np.ndarray, wm: np.ndarray, hull: np.ndarray, places) -> Maps:
    """`Maps` of a brain (x, y, z) in MNI space: tissue shares, ``hull`` (bool), region numbers."""
    size = float(abs(affine[0, 0]))
    inside = ndimage.distance_transform_edt(hull, sampling=size).astype(np.float32)
    outside = ndimage.distance_transform_edt(~hull, sampling=size).astype(np.float32)
    fluid = hull & (gm + wm < 0.5) & (inside > 12)
    labels, _ = ndimage.label(fluid)
    sizes = np.bincount(labels.ravel()) * size**3
    sizes[0] = 0
    ventricles = np.isin(labels, np.flatnonzero(sizes > 500))
    distance = ndimage.distance_transform_edt(~ventricles, sampling=size).astype(np.float32)
    depth = np.where(hull, inside - size / 2, size / 2 - outside)
    return Maps(affine, gm, wm, hull.astype(np.float32), depth, distance, places)


@dataclass(frozen=True)
class Head:
    """One random head: head point -> ``linear`` (p - CENTRE) + CENTRE + displacement -> MNI."""

    linear: np.ndarray
    displacement: np.ndarray
    ventricle_mm: float
    sulci: float
    sharpness: float
    unrest: float

    def to_mni(self, points: np.ndarray) -> np.ndarray:
        index = (points - LATTICE_LOW) / LATTICE_MM
        index = np.moveaxis(index, -1, 0).astype(np.float32)
        moved = [
            ndimage.map_coordinates(d, index, order=1, mode="nearest") for d in self.displacement
        ]
        return ((points - CENTRE) @ self.linear.T + CENTRE + np.stack(moved, -1)).astype(np.float32)

    def from_mni(self, mni: np.ndarray) -> np.ndarray:
        """Head points (n, 3) that lie at ``mni``, by fixed-point iteration (to about 0.1 mm)."""
        back = np.linalg.inv(self.linear)
        points = (mni - CENTRE) @ back.T + CENTRE
        for _ in range(8):
            points = points + (mni - self.to_mni(points)) @ back.T
        return points


def draw_head(rng: np.random.Generator, turn_deg: float = 12.0) -> Head:
    """Draw size, turn, deformation at two scales, ventricles and sulci."""
    angles = np.deg2rad(turn_deg) * np.clip(rng.standard_normal(3) / 1.5, -1.5, 1.5)
    size = 1 / (0.94 * np.exp(0.05 * rng.standard_normal() + 0.04 * rng.standard_normal(3)))
    shear = np.eye(3) + np.triu(0.04 * rng.standard_normal((3, 3)), 1)
    linear = _turn(angles) @ np.diag(size) @ shear
    coarse, fine = rng.uniform(1.0, 5.0), rng.uniform(0.3, 1.6)
    displacement = coarse * _smooth_vectors(rng, 3.5) + fine * _smooth_vectors(rng, 1.3)
    aged = rng.random() < 0.6
    return Head(
        linear=linear,
        displacement=displacement.astype(np.float32),
        ventricle_mm=float(rng.uniform(0, 7) if aged else rng.uniform(-1, 2)),
        sulci=float(rng.uniform(0.3, 1.6) if aged else rng.uniform(-0.3, 0.6)),
        sharpness=float(rng.uniform(1.2, 2.4)),
        unrest=float(rng.uniform(0.2, 1.3)),
    )


def _turn(angles) -> np.ndarray:
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return z @ y @ x


def _smooth_vectors(rng, sigma: float) -> np.ndarray:
    """Displacements (3, *LATTICE_SHAPE) of unit standard deviation, smooth at ``sigma`` nodes."""
    field = rng.standard_normal((3, *LATTICE_SHAPE))
    field = ndimage.gaussian_filter(field, (0, sigma, sigma, sigma))
    return field / field.std()


def smooth_noise(rng, shape, sigma: float) -> np.ndarray:
    """Noise (float32) of unit variance over ``shape``, smooth at ``sigma`` voxels."""
    if sigma >= 4:  # coarse, then enlarged: smooth noise needs few samples
        step = sigma / 2
        small = [int(np.ceil(n / step)) + 3 for n in shape]
        field = smooth_noise(rng, small, 2.0)
        for wide, narrow in zip(shape, small, strict=True):
            weights = _linear_weights(np.arange(wide) / step + 1, narrow)
            field = np.tensordot(field, weights, axes=(0, 1))  # the new axis comes last
        return field
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma)
    return noise / (noise.std() + 1e-9)


def _linear_weights(places: np.ndarray, length: int) -> np.ndarray:
    """Matrix (places, length) that interpolates ``length`` samples linearly at ``places``."""
    return np.clip(1 - np.abs(places[:, None] - np.arange(length)), 0, None).astype(np.float32)


@dataclass(frozen=True)
class Tissues:
    """A head on a grid: shares of tissue (x, y, z), its MNI points and the head's own points."""

    csf: np.ndarray
    gm: np.ndarray
    wm: np.ndarray
    hull: np.ndarray
    mni: np.ndarray
    voxel_mm: float

    @property
    def tissue(self) -> np.ndarray:
        return self.gm + self.wm


def render_tissues(
    head: Head,
    rng,
    low: np.ndarray,
    shape: tuple[int, int, int],
    voxel_mm: float,
    maps: Maps | None = None,
) -> Tissues:
    """The head's tissues on a grid of ``voxel_mm`` whose first voxel centre is at ``low``: those of
    ``maps``, by default the template's, deformed as the head is.

    Tissue borders wander by smooth noise, so that no two heads have the same gyri; ventricles grow
    by ``ventricle_mm`` into what surrounds them; sulci widen.
    """
    maps = maps or load_maps()
    axes = [low[k] + voxel_mm * np.arange(shape[k]) for k in range(3)]
    mni = head.to_mni(np.stack(np.meshgrid(*axes, indexing="ij"), -1))
    gm, wm, hull = (maps.at(name, mni) for name in ("gm", "wm", "hull"))
    csf = np.clip(hull - gm - wm, 0, 1)
    shares = np.stack([csf, gm, wm]) + FLOOR
    logits = head.sharpness * np.log(shares)
    wander = head.unrest * np.stack([smooth_noise(rng, shape, s / voxel_mm) for s in (3.0, 2.5, 3)])
    # Noise moves borders; it does not make islands deep inside a tissue.
    logits += wander * np.clip(4 * shares.max(0) * (1 - shares.max(0)) + 0.15, 0, 1)
    logits[0] += head.sulci * np.clip(1 - (maps.at("depth", mni) - 3) / 12, 0, 1)
    distance = maps.at("ventricle", mni)
    wall = head.ventricle_mm * (1 + 0.25 * smooth_noise(rng, shape, 8.0 / voxel_mm))
    logits[0] += np.clip(3.0 * (wall - distance), -6, 8) * (distance < 14) * (wall > 0)
    logits -= logits.max(0)
    shares = np.exp(logits)
    shares *= hull / shares.sum(0)
    return Tissues(*shares.astype(np.float32), hull, mni, voxel_mm)
