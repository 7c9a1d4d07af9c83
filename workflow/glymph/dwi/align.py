"""Registration among the images of one series, by Gauss-Newton least squares.

Of one contrast (`follow`): a volume is its target seen through an affine map, times a gain, plus an
offset. The target's derivatives serve every step (inverse compositional; Baker and Matthews 2004,
10.1023/B:VISI.0000011205.11775.fd).

Of two contrasts (`link`): in a small window one image is a line of the other, as where two tissues
share voxels, whatever their shares (the local correlation of Cachier 2003,
10.1016/S1077-3142(03)00002-X; the line is fitted anew at every step). Mutual information, which
knows one relation for the whole head, is drawn to where partial volumes match.

All matrices (4, 4) carry world points of the target to world points of the volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import (
    affine_transform,
    map_coordinates,
    spline_filter,
    spline_filter1d,
    uniform_filter,
)

from glymph.common.spaces import apply_affine, rotation_part

RADIUS_MM = 80.0
"""Unit of turns and stretches: a step of 1 moves points so far from the centre by 1 mm."""
STEPS = 30
SMALL_MM = 0.01
"""A step that moves the head's surface by less is the last."""
WINDOW = 3
"""Voxels along the window within which contrasts have one relation; more hold too many tissues."""
OUTLYING = 2.4
"""Robust standard deviations at which a voxel counts half (Cauchy's weights at 95 % efficiency)."""
LITTLE = 0.05
"""A volume of which the target explains less shows nothing of the head, and is left where it is."""
LEAST = 0.05
"""Of the mean variance of a window, added to all: noise in an even window says nothing."""
TINY = 1e-6
"""Added too, for images that are even everywhere."""
AFFINE = np.eye(12, dtype=np.float32)
RIGID = np.zeros((6, 3, 4), np.float32)
RIGID[[0, 1, 2, 3, 4, 5], [2, 0, 1, 0, 1, 2], [1, 2, 0, 3, 3, 3]] = 1
RIGID[[0, 1, 2], [1, 2, 0], [2, 0, 1]] = -1
RIGID = RIGID.reshape(6, 12)
"""What may change: rows of steps (3, 4), the linear map of (x, y, z, 1) to a displacement."""


@dataclass(frozen=True)
class Places:
    """The voxels (n, 3) of a grid that count, and their places about the centre (n, 4): x, y, z in
    units of `RADIUS_MM`, and 1."""

    affine: np.ndarray
    voxels: np.ndarray
    centre: np.ndarray
    about: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray, affine: np.ndarray) -> Places:
        voxels = np.argwhere(mask)
        points = apply_affine(affine, voxels)
        centre = points.mean(axis=0)
        about = np.column_stack([(points - centre) / RADIUS_MM, np.ones(len(points))])
        return cls(affine, voxels, centre, about.astype(np.float32))

    def at(self, image: np.ndarray) -> np.ndarray:
        return image[tuple(self.voxels.T)]

    def changes(self, image: np.ndarray, freedom: np.ndarray) -> np.ndarray:
        """Change of ``image`` (n, m) at the places by each of the ``freedom`` (m, 12)."""
        slopes = np.stack([self.at(_slope(image, axis)) for axis in range(3)], axis=1)
        slopes = slopes @ np.linalg.inv(self.affine)[:3, :3].astype(np.float32)
        return (slopes[:, :, None] * self.about[:, None]).reshape(-1, 12) @ freedom.T

    def move(self, step: np.ndarray, freedom: np.ndarray) -> np.ndarray:
        """The matrix of a ``step`` (m,), a rotation and a shift where these alone are free."""
        whole = (step @ freedom).reshape(3, 4)
        linear = np.eye(3) + whole[:, :3] / RADIUS_MM
        matrix = np.eye(4)
        matrix[:3, :3] = rotation_part(linear) if freedom is RIGID else linear
        matrix[:3, 3] = self.centre + whole[:, 3] - matrix[:3, :3] @ self.centre
        return matrix


def _slope(image: np.ndarray, axis: int) -> np.ndarray:
    """Derivative along an axis, per voxel, of the cubic splines through ``image``.

    Plain differences are too flat at edges, and the steps by them too long.
    """
    return np.gradient(spline_filter1d(image, axis=axis, output=np.float32), axis=axis)


def splines(volume: np.ndarray) -> np.ndarray:
    """Coefficients of the cubic splines through a 3D ``volume``, for `follow` and `seen`."""
    return spline_filter(np.asarray(volume, np.float32), output=np.float32)


def seen(coefficients: np.ndarray, affine: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The volume on its own grid after ``matrix``; the nearest voxel's value beyond its edge."""
    voxels = np.linalg.inv(affine) @ matrix @ affine
    return affine_transform(coefficients, voxels, prefilter=False, mode="nearest")


def follow(target: np.ndarray, places: Places, volumes, starts, freedom) -> np.ndarray:
    """Matrices (n, 4, 4) of ``volumes``, given as `splines`, to ``target`` (x, y, z).

    Each starts from its own of ``starts``, or, where these are None, from what was found for the
    volume before: a head is where it just was, more or less. Voxels that the target cannot explain
    count less; a volume that it explains nowhere stays at its start.
    """
    columns = [places.changes(target, freedom), places.at(target)[:, None]]
    design = np.hstack([*columns, np.ones((len(places.voxels), 1))])
    found, matrix = np.empty((len(volumes), 4, 4)), np.eye(4)
    for k, volume in enumerate(volumes):
        start = matrix if starts is None else starts[k]
        found[k] = matrix = _follow(design, places, volume, start, freedom)
    return found


def _follow(design, places: Places, volume, start, freedom) -> np.ndarray:
    to_voxels, last = np.linalg.inv(places.affine), np.array(volume.shape) - 1
    matrix, trust = start, 1.0
    for _ in range(STEPS):
        points = apply_affine(to_voxels @ matrix @ places.affine, places.voxels)
        values = map_coordinates(volume, points.T, prefilter=False, mode="nearest")
        weights = ((points >= 0) & (points <= last)).all(axis=1)[:, None] * trust
        fit = _solve(design, values, weights)
        if not fit[-2] > 0:
            return start
        step = fit[:-2] / fit[-2]  # the last two: gain and offset
        matrix = matrix @ np.linalg.inv(places.move(step, freedom))
        left = values - design @ fit
        if abs(step).max() < SMALL_MM:
            break
        trust = _trust(left)
    inside = weights[:, 0] > 0
    return matrix if left[inside].var() < (1 - LITTLE) * values[inside].var() else start


def _trust(left: np.ndarray) -> np.ndarray:
    """Weights (n, 1) of Cauchy's kind by what is ``left`` (n,): slices without signal, and fibres
    that this direction darkens, count little."""
    usual = np.median(abs(left)) / 0.6745 + TINY
    return 1 / (1 + (left[:, None] / (OUTLYING * usual)) ** 2)


def link(fixed, moving, mask, affine, start: np.ndarray) -> np.ndarray:
    """Rigid matrix from ``fixed`` to ``moving``, of another contrast on the same grid (x, y, z), by
    the voxels of ``mask``, from a near ``start``."""
    inside = moving[mask]
    matrix = start
    coefficients = splines((moving - inside.mean()) / (inside.std() + TINY))
    places = Places.of(np.ones(mask.shape, bool), affine)
    for _ in range(STEPS):
        image = seen(coefficients, affine, matrix)
        changes = places.changes(image, RIGID).T.reshape(-1, *mask.shape)
        step = _solve(*_local_relation(fixed, image, changes, mask))
        matrix = matrix @ places.move(step, RIGID)
        if abs(step).max() < SMALL_MM:
            break
    return matrix


def _local_relation(fixed, image, changes, mask):
    """Least squares for what a line in ``image`` leaves of ``fixed``, one in each window.

    Returns design (n, m), values (n,) and weights (n, 1) of the voxels of ``mask``. Weights are the
    inverse of the window's variance: a correlation counts alike in bright and dark places.
    """

    def mean(values):
        return uniform_filter(values, WINDOW, np.float64, mode="nearest")[mask]

    of_image, of_fixed = mean(image), mean(fixed)
    spread = _steadied(mean(image**2) - of_image**2)
    slope = (mean(fixed * image) - of_fixed * of_image) / spread
    here = image[mask] - of_image
    left = fixed[mask] - of_fixed - slope * here
    columns = []
    for change in changes:
        of_change = mean(change)
        shared = mean(change * image) - of_change * of_image
        columns.append(slope * (change[mask] - of_change - here * shared / spread))
    variance = _steadied(mean(fixed**2) - of_fixed**2)
    return np.stack(columns, axis=1), left, 1 / variance[:, None]


def _steadied(variance: np.ndarray) -> np.ndarray:
    """Windows' variances (n,), larger by a share of their mean."""
    return variance + LEAST * variance.mean() + TINY


def _solve(design, values, weights) -> np.ndarray:
    """Weighted least squares, of smallest norm where the ``design`` leaves something open."""
    weighted = design * weights
    fit, *_ = np.linalg.lstsq(weighted.T @ design, weighted.T @ values, rcond=None)
    return fit
