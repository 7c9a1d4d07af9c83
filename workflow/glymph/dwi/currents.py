"""Head motion told from eddy currents in the affine of every volume.

Eddy currents change an image along its phase encoding alone: they scale, shear (twice) and shift it
there (Jezzard 1998, 10.1002/mrm.1910390518). Of a volume's matrix, in the image's axes, the other
two rows are therefore the head's rotation; what the third differs from it by are scale and shears.
The shift along phase encoding is the head's and the currents' together. The currents' share follows
the gradient: it is what a linear model of the direction explains, as in FSL's eddy (Andersson 2016,
10.1016/j.neuroimage.2015.10.019), where it explains more than chance would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm, logm
from scipy.stats import f as f_distribution

from glymph.common.gradients import GradientTable
from glymph.common.spaces import apply_affine, image_axes, rotation_part

CHANCE = 1e-3
"""A shift follows the gradients where chance would explain as much with a smaller probability."""
MEMORIES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)
"""How much of a head's place may remain from volume to volume; the likeliest is taken."""
ENOUGH = 6
"""Volumes that tell a bend which follows the gradient from one that does not."""
ROUNDS = 10
"""Of weighing anew."""
LINEAR = (0, 1, 2, 4, 5, 6, 8, 9, 10)
"""Of a matrix (4, 4) as a row: what is not the shift."""
TERMS = ("eddy_along_i", "eddy_along_j", "eddy_along_k", "eddy_shift")


@dataclass(frozen=True)
class Separated:
    """Motion and eddy terms of every volume.

    ``poses`` (n, 4, 4): the rigid motion, reference world points to volume points. ``terms``
    (n, 4): mm of shift along phase encoding per mm along the image axes i, j, k, and a shift in mm
    at the centre; None where the axis is unknown. ``axis``: of phase encoding (0, 1, 2), or None.
    ``explained``: adjusted R2 of the shift along it by the gradient direction, or None.
    """

    poses: np.ndarray
    terms: np.ndarray | None
    axis: int | None
    explained: float | None


def separate(
    matrices: np.ndarray,
    affine: np.ndarray,
    table: GradientTable,
    axis: int | None,
    centre: np.ndarray,
) -> Separated:
    """Motion and eddy terms of ``matrices`` (n, 4, 4; reference world points to volume points).

    ``affine``: of the grid; ``axis``: voxel axis of phase encoding, None where unknown: then it is
    the one along which shifts follow the gradients, if they do along any; ``centre``: of the head,
    in world mm. Where no axis is found all of the shift is motion, and the rotation is the nearest
    to the whole matrix.
    """
    if axis is None:
        tried = [_split(matrices, affine, table, k, centre) for k in range(3)]
        found = min(tried, key=lambda one: one[2])
        if found[2] >= CHANCE:
            return Separated(_nearest_rigid(matrices, centre), None, None, None)
    else:
        found = _split(matrices, affine, table, axis, centre)
    poses, terms, _, explained, axis = found
    return Separated(poses, terms, axis, explained)


def straighten(matrices: np.ndarray, table: GradientTable) -> np.ndarray:
    """``matrices`` (n, 4, 4; of weighted volumes, from any common frame) from a frame without bend.

    Volumes that follow one of their own follow its eddy currents too. What currents do is linear in
    the gradient, so the matrix that a linear model foretells without any gradient has none of it:
    the frame is moved by that one. Robust (Cauchy's weights): some volumes may have been lost.
    """
    if len(table) < ENOUGH:
        return matrices
    amplitude = np.sqrt(table.bvals / table.bvals.max())[:, None]
    design = np.column_stack([np.ones(len(table)), table.vectors * amplitude])
    logs = np.array([np.real(logm(m)) for m in matrices]).reshape(len(matrices), 16)
    linear = np.ix_(range(len(logs)), LINEAR)
    weights = np.ones((len(logs), 1))
    for _ in range(ROUNDS):
        fit, *_ = np.linalg.lstsq(design * weights, logs * weights, rcond=None)
        rest = np.linalg.norm((logs - design @ fit)[linear], axis=1, keepdims=True)
        usual = np.median(rest) / 0.6745 + np.finfo(float).eps
        weights = 1 / np.sqrt(1 + (rest / (2.385 * usual)) ** 2)
    frame = np.linalg.inv(expm(fit[0].reshape(4, 4)))
    frame[3] = 0, 0, 0, 1  # but for rounding it is; resampling wants it exact
    return matrices @ frame


def _split(matrices, affine, table: GradientTable, axis: int, centre):
    """(poses, terms, probability by chance, adjusted R2, axis) for one axis of phase encoding."""
    axes = image_axes(affine)
    poses = np.tile(np.eye(4), (len(matrices), 1, 1))
    terms = np.zeros((len(matrices), 4))
    moved = matrices[:, :3, :3] @ centre + matrices[:, :3, 3]
    shifts = (moved - centre) @ axes
    for volume, matrix in enumerate(matrices):
        linear = axes.T @ matrix[:3, :3] @ axes
        rotation = _rotation(linear, axis)
        terms[volume, :3] = linear[axis] @ rotation.T
        terms[volume, axis] -= 1
        poses[volume, :3, :3] = axes @ rotation @ axes.T
    eddy, chance, explained = _follows(shifts[:, axis], table, axes)
    terms[:, 3] = eddy
    shifts[:, axis] -= eddy
    places = shifts @ axes.T + centre
    poses[:, :3, 3] = places - poses[:, :3, :3] @ centre
    return poses, terms, chance, explained, axis


def _rotation(linear: np.ndarray, axis: int) -> np.ndarray:
    """The rotation whose rows other than ``axis`` are nearest to those of ``linear`` (3, 3)."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    left, _, right = np.linalg.svd(linear[[first, second]], full_matrices=False)
    rows = left @ right
    rotation = np.empty((3, 3))
    rotation[[first, second]] = rows
    rotation[axis] = np.cross(rows[0], rows[1])
    return rotation


def _follows(shift: np.ndarray, table: GradientTable, axes: np.ndarray):
    """The part of ``shift`` (n,) that is linear in the gradients, 0 where chance explains it; the
    probability of that, and the adjusted R2. All volumes with b > 0 enter, with a constant. Of one
    timing, the gradients' amplitude is as the root of b.

    The rest is motion, in which a head stays where it was or drifts: neighbours in time are alike,
    gradients are not. The fit is therefore generalised least squares for a rest of the first
    autoregressive order, and chance and R2 are counted on what is whitened so.
    """
    weighted = ~table.is_b0
    amplitude = np.sqrt(table.bvals / max(table.bvals.max(), 1))
    gradients = (table.vectors @ axes) * amplitude[:, None]
    seen, y = gradients[weighted], shift[weighted]
    left = len(y) - 4
    nothing = np.zeros(len(shift))
    if left < 2 or np.ptp(y) == 0:
        return nothing, 1.0, None
    design = np.column_stack([np.ones(len(y)), seen])
    tried = [_autoregressive_fit(design, y, memory) for memory in MEMORIES]
    _, fit, rest, whole = max(tried, key=lambda one: one[0])
    explained = 1 - (rest / left) / (whole / (len(y) - 1))
    chance = float(f_distribution.sf((whole - rest) / 3 / max(rest / left, 1e-30), 3, left))
    if chance >= CHANCE:
        return nothing, chance, explained
    return np.where(weighted, gradients @ fit[1:], 0.0), chance, explained


def _autoregressive_fit(design: np.ndarray, y: np.ndarray, memory: float):
    """(restricted log-likelihood, coefficients, whitened sum of squares left by them, and by the
    first column of ``design`` alone) where errors are ``memory`` times the last and chance."""
    whiten = np.eye(len(y)) - memory * np.eye(len(y), k=-1)
    whiten[0, 0] = np.sqrt(1 - memory**2)
    design, y = whiten @ design, whiten @ y
    fit, *_ = np.linalg.lstsq(design, y, rcond=None)
    constant, *_ = np.linalg.lstsq(design[:, :1], y, rcond=None)
    rest = float(np.sum((y - design @ fit) ** 2))
    whole = float(np.sum((y - design[:, :1] @ constant) ** 2))
    freedom = len(y) - design.shape[1]
    likelihood = (
        np.log(1 - memory**2)
        - np.linalg.slogdet(design.T @ design)[1]
        - freedom * np.log(max(rest, 1e-30))
    ) / 2
    return likelihood, fit, rest, whole


def _nearest_rigid(matrices: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The rotation nearest to each whole matrix, and the shift of the ``centre``."""
    poses = np.tile(np.eye(4), (len(matrices), 1, 1))
    for pose, matrix in zip(poses, matrices, strict=True):
        pose[:3, :3] = rotation_part(matrix[:3, :3])
        pose[:3, 3] = apply_affine(matrix, centre) - pose[:3, :3] @ centre
    return poses


def displacement(terms: np.ndarray, radius_mm: float) -> np.ndarray:
    """Root-mean-square shift (n,) by eddy terms (n, 4) within a sphere about the centre."""
    return np.sqrt(radius_mm**2 * (terms[:, :3] ** 2).sum(axis=1) / 5 + terms[:, 3] ** 2)
