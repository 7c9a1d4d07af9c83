"""Motion within one series: volumes follow their own contrast, and one link joins the contrasts.

A registration per volume by mutual information takes three times as long and comes less near to
planted motion, to where a real head lies that keeps still (docs/validation.md) and to the tensor.
"""

from __future__ import annotations

import numpy as np

from glymph.common.gradients import GradientTable
from glymph.common.spaces import apply_affine, coarser, voxel_sizes
from glymph.dwi import align, currents
from glymph.dwi.motion import aligned_mean, at_resolution, register, rms_displacement
from glymph.dwi.predict import predict
from glymph.dwi.slices import filled, lost_slices

ROUGH_MM = 4.0
"""Voxels on which volumes of one contrast are registered: twelve numbers do not need every one."""
LINK_MM = 1.5
"""Voxels on which contrasts are linked: what is finer is averaged."""
MARGIN_MM = 12.0
"""Around the brain, of what is looked at."""
ROUNDS = 4
SETTLED_MM = 0.2
"""A round in which no volume moves farther is the last: one at b = 1000, three or four at 3000."""


def estimate(data, affine, table: GradientTable, mask: np.ndarray) -> np.ndarray:
    """Affine of every volume: array (n, 4, 4) that maps points of the first b = 0 to its points.

    ``data`` is (x, y, z, n). Volumes of one contrast follow one of their own by least squares
    (`align.follow`): b = 0 the first, rigidly; weighted ones their first, their mean, and then each
    what the others foretell of it (`predict`), with twelve degrees of freedom for eddy currents.
    The bend that they share is taken out (`currents.straighten`). Their mean is linked to b = 0 by
    ANTs, as mutual information knows no contrast, and then more exactly by `align.link`. The voxels
    of ``mask`` (x, y, z) count; all, where it is empty. Slices without signal are passed over; a
    volume without any has the matrix of the one before.
    """
    mask = mask if mask.any() else np.ones(data.shape[:3], bool)
    plain, weighted = np.flatnonzero(table.is_b0), np.flatnonzero(~table.is_b0)
    data = _with_slices(data, mask, weighted)
    rough, rough_affine, inside = _around_brain(data, affine, mask, ROUGH_MM)
    places = align.Places.of(_thinned(inside, rough_affine), rough_affine)
    volumes = [align.splines(rough[..., v]) for v in range(len(table))]
    found = np.tile(np.eye(4), (len(table), 1, 1))
    found[plain] = _to_first(rough, volumes, plain, places, align.RIGID)
    if not len(weighted):
        return found
    own = [volumes[v] for v in weighted]
    matrices = _to_first(rough, volumes, weighted, places, align.AFFINE)
    mean = _seen(own, rough_affine, matrices).mean(axis=-1)
    matrices = align.follow(mean, places, own, matrices, align.AFFINE)
    directions = table.select(weighted)
    matrices = _follow_predictions(own, rough_affine, inside, places, matrices, directions)
    print(f"motion: {len(table)} volumes to their own contrast", flush=True)
    found[weighted] = currents.straighten(matrices, directions)
    found[weighted] = found[weighted] @ _link(data, affine, mask, found, plain[0], weighted)
    print("motion: the weighted mean to b = 0", flush=True)
    return found


def _follow_predictions(volumes, affine, mask, places, matrices, table) -> np.ndarray:
    """``matrices`` after each of the ``volumes`` has followed what the others foretell of it."""
    for _ in range(ROUNDS):
        targets = predict(_seen(volumes, affine, matrices), table, mask)
        found = np.concatenate(
            [
                align.follow(targets[..., k], places, [volume], matrices[k : k + 1], align.AFFINE)
                for k, volume in enumerate(volumes)
            ]
        )
        pairs = zip(found, matrices, strict=True)
        farthest = max(rms_displacement(new, old, places.centre) for new, old in pairs)
        matrices = found
        if farthest < SETTLED_MM:
            break
    return matrices


def _with_slices(data, mask, weighted) -> np.ndarray:
    """``data`` with those slices of the ``weighted`` volumes filled that lost their signal."""
    lost = lost_slices(data, mask, weighted)
    for (axis, volume), places in lost.items():
        numbers = ", ".join(str(place + 1) for place in places)
        print(
            f"motion: volume {volume + 1} is dark in slices {numbers} along {'ijk'[axis]}; these "
            "are passed over",
            flush=True,
        )
    return filled(data, lost)


def _seen(volumes, affine, matrices) -> np.ndarray:
    """The volumes, given as splines, on their own grid after their ``matrices``: (x, y, z, n)."""
    pairs = zip(volumes, matrices, strict=True)
    return np.stack([align.seen(volume, affine, matrix) for volume, matrix in pairs], axis=-1)


def _coarser_mask(mask: np.ndarray, affine: np.ndarray, finest: float) -> np.ndarray:
    """Voxels of the coarser grid that lie half in ``mask``; where none does, those that do most."""
    share, *_ = coarser(mask.astype(np.float32), affine, finest)
    return share >= min(0.5, share.max())


def _thinned(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Every so many voxels of ``mask`` that a cube of `ROUGH_MM` holds one: a grid that is too
    coarse to be halved has more than are needed."""
    every = max(1, int(ROUGH_MM**3 / abs(np.linalg.det(affine[:3, :3]))))
    taken = np.zeros_like(mask)
    taken.flat[np.flatnonzero(mask)[::every]] = True
    return taken


def _to_first(data, volumes, chosen, places: align.Places, freedom) -> np.ndarray:
    """Matrices of the ``chosen`` volumes to the first of them, each from the one before."""
    target, rest = data[..., chosen[0]], [volumes[v] for v in chosen[1:]]
    found = align.follow(target, places, rest, None, freedom)
    return np.concatenate([np.eye(4)[None], found])


def _link(data, affine, mask, found, first, weighted) -> np.ndarray:
    """Rigid matrix from the b = 0 volume ``first`` to the mean of the ``weighted`` ones."""
    data, affine, mask = _around_brain(data, affine, mask, LINK_MM)
    fixed, mean = data[..., first], aligned_mean(data, affine, found, weighted)
    pair = (at_resolution(one, affine, ROUGH_MM) for one in (fixed, mean))
    near = register(*pair, "start", np.eye(4))
    return align.link(fixed, mean, mask, affine, near)


def _around_brain(data, affine, mask, finest: float):
    """``data`` on voxels of up to ``finest`` mm in the brain's box and a margin around it, with its
    affine and the mask there."""
    mask = _coarser_mask(mask, affine, finest)
    data, affine, _ = coarser(data, affine, finest)
    margin = np.ceil(MARGIN_MM / voxel_sizes(affine)).astype(int)
    voxels = np.argwhere(mask)
    low = np.maximum(voxels.min(axis=0) - margin, 0)
    box = tuple(map(slice, low, voxels.max(axis=0) + margin + 1))
    moved = affine.copy()
    moved[:3, 3] = apply_affine(affine, low)
    return data[box], moved, mask[box]
