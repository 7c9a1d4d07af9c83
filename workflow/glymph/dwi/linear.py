"""The affine from a DWI to the template, by b = 0 and FA together, from several starts.

Both images are explained as a mixture of the template's grey matter, white matter and CSF, fitted
anew at each pose: what is bright in which is not assumed. Only where the DWI has voxels counts,
so a slab is not drawn to the middle of the head. Non-linear least squares, without random samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from glymph.common.images import array
from glymph.common.spaces import apply_affine, coarser, voxel_sizes
from glymph.common.template import Template

COARSE, FINE = (8.0, 5.0), (5.0, 3.0)
"""Distance of the samples, and standard deviation of the smoothing, in mm."""
SHELL_MM = 12.0
"""How far around the brain its background counts: without it a template may be too large."""
PITCHES_DEG = (-25.0, 0.0, 25.0)
SHIFTS_MM = (-40.0, 0.0, 40.0)
"""Starts: how the head may nod, and how far up or down a slab's centre may lie from the brain's."""
TURNS_DEG = (-90.0, 90.0, 180.0)
"""Starts about each axis that no upright head needs: where one of them fits best, the header lies,
also where it mirrors, as a head is nearly symmetric. Without them a wrong pose may look fair."""
KEPT = 2
SIZE, SIZE_SD = 1.08, 0.12
"""MNI152 is larger than most heads; a slab alone says little about its size across the slices."""
SIZE_WEIGHT = 0.1
STEP = np.array([*[0.1] * 6, *[0.05] * 6])
"""Typical size of the parameters of `pose`."""


@dataclass(frozen=True)
class Samples:
    """World ``points`` (n, 3), b = 0 and FA there, standardised (n, 2), and the brain's centre."""

    points: np.ndarray
    values: np.ndarray
    centre: np.ndarray


@dataclass(frozen=True)
class Tissues:
    """Smoothed probabilities (3, x, y, z), their world-to-voxel matrix, and the brain's centre."""

    maps: np.ndarray
    to_voxel: np.ndarray
    centre: np.ndarray


def register(
    b0: np.ndarray, fa: np.ndarray, mask: np.ndarray, affine: np.ndarray, template: Template
) -> tuple[np.ndarray, np.ndarray]:
    """World map (4x4) of template points to DWI points, and what it explains of b = 0 and FA (2,).

    ``b0``, ``fa`` and ``mask`` are on the grid ``affine``. Explained is the share of the variance
    over brain and near background, 0 to 1; it is the same criterion for all starts.
    """
    coarse = sample(b0, fa, mask, affine, *COARSE), tissues(template, COARSE[1])
    fine = sample(b0, fa, mask, affine, *FINE), tissues(template, FINE[1])
    rigid = sorted((_refine(start, *coarse) for start in _starts()), key=lambda one: one.cost)
    full = [_refine(np.append(one.x, np.zeros(6)), *coarse) for one in rigid[:KEPT]]
    best = _refine(min(full, key=lambda one: one.cost).x, *fine).x
    explained = 1 - np.sum(_residuals(best, *fine) ** 2, axis=0)
    return np.linalg.inv(pose(best, *fine)), explained


def tissues(template: Template, sigma: float) -> Tissues:
    """Grey matter, white matter and CSF on voxels of about 2 mm, smoothed by ``sigma`` mm."""
    maps = np.stack([array(template.gm), array(template.wm), template.csf], axis=-1)
    maps, affine, _ = coarser(maps, template.t1w.affine, 2.0)
    width = (*(sigma / voxel_sizes(affine)), 0)
    smooth = np.moveaxis(ndimage.gaussian_filter(maps, width, mode="constant"), -1, 0)
    centre = apply_affine(template.t1w.affine, np.argwhere(template.brain).mean(axis=0))
    return Tissues(np.ascontiguousarray(smooth), np.linalg.inv(affine), centre)


def sample(b0, fa, mask, affine, step: float, sigma: float) -> Samples:
    """`Samples` about ``step`` mm apart in and around the brain, smoothed by ``sigma`` mm."""
    sizes = voxel_sizes(affine)
    near = ndimage.distance_transform_edt(~mask, sampling=sizes) < SHELL_MM
    strides = np.maximum(1, np.rint(step / sizes).astype(int))
    # From the middle of the grid, so that it matters little in which order an axis is stored.
    first = (np.array(mask.shape) - 1) % strides // 2
    index = first + strides * np.argwhere(
        near[tuple(slice(a, None, s) for a, s in zip(first, strides, strict=True))]
    )
    channels = [np.clip(b0, 0, np.percentile(b0[mask], 99)), fa]
    smooth = [
        ndimage.gaussian_filter((c * mask).astype(np.float32), sigma / sizes, mode="nearest")
        for c in channels
    ]
    values = np.stack([c[tuple(index.T)] for c in smooth], axis=1).astype(float)
    spread = np.maximum(values.std(axis=0), np.finfo(np.float32).tiny)
    centre = apply_affine(affine, np.argwhere(mask).mean(axis=0))
    return Samples(apply_affine(affine, index), (values - values.mean(axis=0)) / spread, centre)


def pose(p: np.ndarray, samples: Samples, to: Tissues) -> np.ndarray:
    """World map (4x4) of DWI points to template points for the parameters ``p``.

    A rotation vector (rad), a shift from centre on centre (100 mm), and for 12 parameters the
    logarithm of the stretch along the template's axes: xx, yy, zz, xy, xz, yz.
    """
    xx, yy, zz, xy, xz, yz = np.append(p, np.zeros(6))[6:12]
    size, axes = np.linalg.eigh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    stretch = SIZE * (axes * np.exp(size)) @ axes.T
    matrix = np.eye(4)
    matrix[:3, :3] = stretch @ Rotation.from_rotvec(p[:3]).as_matrix()
    matrix[:3, 3] = to.centre + 100 * p[3:6] - matrix[:3, :3] @ samples.centre
    return matrix


def _starts() -> list[np.ndarray]:
    """Six parameters each: the head nodded about x and shifted along z, or lying some other way."""
    upright = [
        np.array([np.radians(pitch), 0, 0, 0, 0, shift / 100])
        for pitch, shift in product(PITCHES_DEG, SHIFTS_MM)
    ]
    turned = [np.radians(turn) * axis for axis, turn in product(np.eye(6)[:3], TURNS_DEG)]
    return upright + turned


def _refine(start: np.ndarray, samples: Samples, to: Tissues) -> optimize.OptimizeResult:
    """Least squares from ``start``, with a head of ordinary size where there are 12 parameters."""

    def left(p):
        return np.append(_residuals(p, samples, to), SIZE_WEIGHT * p[6:] / SIZE_SD)

    return optimize.least_squares(
        left, start, x_scale=STEP[: len(start)], diff_step=1e-3, max_nfev=12
    )


def _residuals(p: np.ndarray, samples: Samples, to: Tissues) -> np.ndarray:
    """What no mixture of the tissues explains (n, 2); its squares sum to 1 - R2 per image."""
    voxels = apply_affine(to.to_voxel @ pose(p, samples, to), samples.points).T
    found = [ndimage.map_coordinates(m, voxels, order=1) for m in to.maps]
    design = np.stack([np.ones(len(samples.points)), *found], axis=1)
    gram = design.T @ design + 1e-3 * np.eye(4)  # also where a tissue lies outside the slab
    mixture = np.linalg.solve(gram, design.T @ samples.values)
    return (samples.values - design @ mixture) / np.sqrt(len(design))
