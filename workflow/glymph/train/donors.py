"""Heads whose surroundings of the brain are real: skull, scalp, face and neck of public templates.

resources/heads/ holds them, in MNI space, with their brains' tissue; its README says what they are.
A network that saw only drawn skulls took necks and scalps of real heads for brain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from glymph.common.images import array
from glymph.common.registry import RESOURCES
from glymph.train.anatomy import Maps, make_maps, smooth_noise, voxels_of

FOLDER = RESOURCES / "heads"
NAMES = ("colin27", "mean")
ROOM_MM = 60.0
"""Room about a donor's image in which distances from the brain are known."""
KNOTS = np.array([0.0, 0.06, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3, 1.8, 3.0])
"""Signals, white matter 1, between which a donor's surroundings get new ones."""
AIR = 0.06


@dataclass(frozen=True)
class Donor:
    """A head in MNI space: ``signal`` (x, y, z) of its T1w, white matter 1, and its ``maps``.

    ``outward`` (3, x, y, z): unit vectors away from the brain, on the grid of the maps.
    """

    signal: np.ndarray
    affine: np.ndarray
    maps: Maps
    outward: np.ndarray

    def at(self, mni: np.ndarray) -> np.ndarray:
        """Signal at MNI points (..., 3); air beyond the image."""
        return ndimage.map_coordinates(self.signal, voxels_of(self.affine, mni), order=1)

    def away(self, mni: np.ndarray) -> np.ndarray:
        """Unit vectors (..., 3) away from the brain at MNI points."""
        voxels = voxels_of(self.maps.affine, mni)
        found = [
            ndimage.map_coordinates(part, voxels, order=1, mode="nearest") for part in self.outward
        ]
        return np.stack(found, -1)


@dataclass(frozen=True)
class Placed:
    """A ``donor`` at MNI points ``mni`` (x, y, z, 3): mm from its brain, and the way from it."""

    donor: Donor
    mni: np.ndarray
    distance: np.ndarray
    away: np.ndarray


def place(donor: Donor, mni: np.ndarray) -> Placed:
    """`Placed`, for several drawings of `surround`."""
    distance = np.maximum(-donor.maps.at("depth", mni), 0)
    return Placed(donor, mni, distance, donor.away(mni))


@lru_cache(maxsize=len(NAMES))
def load_donor(name: str, folder: Path = FOLDER) -> Donor:
    """The donor ``name`` of ``folder`` (once per process)."""
    parts = {}
    for part in ("T1w", "brain", "gm", "wm"):
        image = nib.load(folder / f"{name}_{part}.nii.gz")
        parts[part] = array(image)
    affine, size = image.affine, float(image.affine[0, 0])
    room = int(ROOM_MM / size)
    wide = affine.copy()
    wide[:3, 3] -= room * size
    gm, wm, hull = (np.pad(parts[k], room) for k in ("gm", "wm", "brain"))
    maps = make_maps(wide, gm, wm, hull > 0.5, np.zeros((1, 1, 1), np.float32))
    slopes = np.stack(np.gradient(-ndimage.gaussian_filter(maps.depth, 3.0 / size)))
    outward = slopes / np.maximum(np.linalg.norm(slopes, axis=0), 1e-3)
    return Donor(parts["T1w"], affine, maps, outward.astype(np.float32))


def surround(
    rng: np.random.Generator, placed: Placed, voxel_mm: float, own_brain: bool = False
) -> np.ndarray:
    """Signal (x, y, z) of everything outside the brain of a donor, ``placed``.

    The layers about the brain are thicker or thinner than the donor's, fluid over the brain too,
    and every tissue gets a new signal: in most heads that of some T1w, in the others any. With
    ``own_brain`` the donor's brain is in it, by the same new signals and without added fluid, so
    that the brain stem goes over into the cord as in a real image.
    """
    distance = placed.distance
    shape = distance.shape
    stretch = np.exp(0.22 * rng.standard_normal() + 0.15 * smooth_noise(rng, shape, 25 / voxel_mm))
    rim = rng.choice([0.0, rng.uniform(0, 2.0), rng.uniform(1.0, 6.0)], p=[0.4, 0.35, 0.25])
    rim = 0.0 if own_brain else rim
    rim = rim * np.clip(1 + 0.5 * smooth_noise(rng, shape, 18 / voxel_mm), 0, 2)
    asked = np.maximum(distance - rim, 0) / stretch
    taken = placed.donor.at(placed.mni + placed.away * (asked - distance)[..., None])
    alike = bool(rng.random() < 0.7)
    mixed = 1 / (1 + np.exp(-4 * smooth_noise(rng, shape, 20 / voxel_mm)))
    first, second = (np.interp(taken, KNOTS, _new_signals(rng, alike)) for _ in range(2))
    signal = first * mixed + second * (1 - mixed)
    signal *= 1 + rng.uniform(0, 0.2) * smooth_noise(rng, shape, 3.0 / voxel_mm)
    fluid = rng.uniform(0.05, 0.4)
    signal = np.where((distance > 0) & (distance < rim), fluid, signal)
    if rng.random() < 0.1:  # a background as loud as tissue, as in a quotient of two images
        signal = np.where(taken < AIR, rng.uniform(0, rng.uniform(0.3, 1.2), shape), signal)
    return np.maximum(signal, 0).astype(np.float32)


def _new_signals(rng, alike: bool) -> np.ndarray:
    """A signal for each of `KNOTS`: ``alike`` a T1w's, or any; air stays dark."""
    if alike:
        gain = np.exp(0.15 * rng.standard_normal(len(KNOTS)))
        values = KNOTS ** np.exp(0.25 * rng.standard_normal()) * gain
        values[KNOTS > 1] *= rng.uniform(0.4, 1.8)  # fat and marrow
    else:
        values = rng.uniform(0, 1.5, len(KNOTS))
    values[0] = rng.uniform(0, 0.03)
    values[1] = min(values[1], rng.uniform(0.02, 0.15))
    return values
