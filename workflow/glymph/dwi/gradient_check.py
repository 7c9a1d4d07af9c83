"""Does the gradient table fit the image? Fibres run on along their own direction only if it does.

A table with swapped or flipped axes turns every tensor in the same wrong way, so that the principal
direction of a voxel no longer points to neighbours of the same direction. As permuting or flipping
the table's axes permutes or flips the fitted tensor alike, one fit serves all 24 candidates.

Source: Schilling 2019 (10.1016/j.mri.2019.01.018).
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from glymph.common.gradients import GradientTable
from glymph.common.spaces import image_axes, voxel_sizes

FA_MIN = 0.25
ANGLE_COS = np.cos(np.radians(30))


def orientations() -> dict[str, np.ndarray]:
    """The 24 axis orders and flips that differ by more than sign, as 3x3 image-axis matrices.

    Names say what stands at x, y and z, for instance ``+x+z-y``; ``+x+y+z`` is the table as given.
    """
    found = {}
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=2):
            matrix = np.zeros((3, 3))
            matrix[range(3), list(order)] = (1, *signs)
            name = "".join(
                f"{'+' if s > 0 else '-'}{'xyz'[k]}"
                for s, k in zip((1, *signs), order, strict=True)
            )
            found[name] = matrix
    return found


def quick_tensors(data: np.ndarray, table: GradientTable, mask: np.ndarray) -> np.ndarray:
    """Log-linear tensors (n, 3, 3) in world axes of the ``mask`` voxels of a 4D array."""
    signal = np.maximum(data[mask].astype(np.float64), 1e-3)
    x, y, z = table.vectors.T
    b = table.bvals
    design = np.stack(
        [-b * x * x, -b * y * y, -b * z * z, -2 * b * x * y, -2 * b * x * z, -2 * b * y * z,
         np.ones_like(b)], axis=1,
    )  # fmt: skip
    xx, yy, zz, xy, xz, yz, _ = np.linalg.lstsq(design, np.log(signal).T, rcond=None)[0]
    rows = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return np.moveaxis(rows, -1, 0)


def score_orientations(tensors: np.ndarray, mask: np.ndarray, affine: np.ndarray):
    """Fibre coherence of every orientation: dict name -> score.

    ``tensors`` (n, 3, 3) in world axes belong to the True voxels of ``mask``. The score of a voxel
    and a neighbour that lies within 30 degrees along both principal directions is their mean FA;
    the sum is over all such pairs of the 26-neighbourhood, on a grid of nearly cubic voxels.
    """
    axes = image_axes(affine)
    values, vectors = np.linalg.eigh(np.swapaxes(axes, 0, 1) @ tensors @ axes)
    fa = _anisotropy(np.maximum(values, 0))
    strong = (fa > FA_MIN) & (values[:, 0] > 0)
    fa_map = np.zeros(mask.shape)
    direction = np.zeros((*mask.shape, 3))
    fa_map[mask] = np.where(strong, fa, 0)
    direction[mask] = np.where(strong[:, None], vectors[:, :, 2], 0)
    sizes = voxel_sizes(affine)
    steps = _strides(sizes)
    every = _every(steps)
    pairs = _neighbour_pairs(fa_map[every], direction[every], sizes * steps)
    return {name: _coherence(matrix, pairs) for name, matrix in orientations().items()}


def scored(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The voxels of ``mask`` that `score_orientations` looks at."""
    taken, every = np.zeros_like(mask), _every(_strides(voxel_sizes(affine)))
    taken[every] = mask[every]
    return taken


def _every(steps: np.ndarray) -> tuple[slice, ...]:
    return tuple(slice(None, None, step) for step in steps)


def _strides(sizes: np.ndarray) -> np.ndarray:
    """Every how many voxels to take along each image axis, for nearly cubic ones.

    Of the neighbours of a flat voxel more lie near its long axis than near the others, and those of
    a zero-filled image are alike whatever the fibres do: both would favour a wrong table.
    """
    return np.maximum(1, np.floor(sizes.max() / sizes + 0.4).astype(int))


def _anisotropy(values: np.ndarray) -> np.ndarray:
    spread = values - values.mean(axis=1, keepdims=True)
    norm = np.sqrt((values**2).sum(axis=1)) + 1e-12
    return np.sqrt(1.5) * np.sqrt((spread**2).sum(axis=1)) / norm


def _neighbour_pairs(fa, direction, sizes):
    """Per neighbour offset (half of the 26): unit step, both directions and the weights."""
    pairs = []
    for step in product((-1, 0, 1), repeat=3):
        if step <= (0, 0, 0):
            continue
        here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, fa.shape, strict=True))
        there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(step, fa.shape, strict=True))
        both = (fa[here] > 0) & (fa[there] > 0)
        weight = (fa[here][both] + fa[there][both]) / 2
        offset = np.array(step) * sizes
        unit = offset / np.linalg.norm(offset)
        pairs.append((unit, direction[here][both], direction[there][both], weight))
    return pairs


def _coherence(matrix: np.ndarray, pairs) -> float:
    total = 0.0
    for unit, first, second, weight in pairs:
        along = matrix.T @ unit  # (matrix v) . unit = v . (matrix' unit)
        aligned = (abs(first @ along) > ANGLE_COS) & (abs(second @ along) > ANGLE_COS)
        total += float(weight[aligned].sum())
    return total


def judge(scores: dict[str, float]) -> dict:
    """Compare the table as given with the best other orientation.

    Returns ``ratio`` = score as given / best other score (above 1: the table as given is best) and
    ``best``, the name of the best orientation of all.
    """
    given = scores["+x+y+z"]
    other = max(score for name, score in scores.items() if name != "+x+y+z")
    return {
        "ratio": given / other if other > 0 else float("nan"),
        "best": max(scores, key=scores.get),
        "scores": scores,
    }
