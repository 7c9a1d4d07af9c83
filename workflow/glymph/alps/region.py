"""What one ALPS region holds: its mean tensor, what that is like, and how good the region is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Measured:
    """One region: mean ``tensor`` (3, 3) in world axes, mean FA and MD, and its quality.

    ``voxels`` is the sum of weights of usable voxels, ``coverage`` its share of all weights, ``v1``
    the principal direction of the mean dyadic (world axes); None where nothing is usable.
    ``tensors`` (n, 3, 3) and ``weights`` (n,) are those of the usable voxels.
    """

    tensor: np.ndarray | None
    fa: float | None
    md: float | None
    v1: np.ndarray | None
    voxels: float
    coverage: float
    tensors: np.ndarray
    weights: np.ndarray


def measure(voxels: np.ndarray, weights: np.ndarray, maps: dict[str, np.ndarray]) -> Measured:
    """Coverage-weighted means over the voxels of one region.

    ``maps`` holds tensor (x, y, z, 3, 3), fa, md (x, y, z) and v1 (x, y, z, 3). A voxel outside
    the image, or without a tensor (MD 0 or less), does not count.
    """
    inside = ((voxels >= 0) & (voxels < maps["md"].shape)).all(axis=1)
    place = tuple(voxels[inside].T)
    usable = maps["md"][place] > 0
    place = tuple(axis[usable] for axis in place)
    weight = weights[inside][usable].astype(np.float64)
    total = float(weight.sum())
    share = total / float(weights.sum()) if len(weights) else 0.0
    tensors = maps["tensor"][place].astype(np.float64)
    if total <= 0:
        return Measured(None, None, None, None, 0.0, 0.0, tensors, weight)
    return Measured(
        tensor=np.average(tensors, axis=0, weights=weight),
        fa=float(np.average(maps["fa"][place], weights=weight)),
        md=float(np.average(maps["md"][place], weights=weight)),
        v1=main_direction(maps["v1"][place], weight),
        voxels=total,
        coverage=share,
        tensors=tensors,
        weights=weight,
    )


def main_direction(directions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Principal direction (3,) of the mean dyadic of ``directions`` (n, 3), whose signs mean
    nothing."""
    directions = directions.astype(np.float64)
    return np.linalg.eigh(np.einsum("n,ni,nj->ij", weights, directions, directions))[1][:, 2]


def angle(first: np.ndarray, second: np.ndarray) -> float:
    """Angle in degrees between two axes (sign ignored).

    >>> round(angle(np.array([1.0, 0, 0]), np.array([-1.0, 0, 0])), 6)
    0.0
    """
    return float(np.degrees(np.arccos(np.clip(abs(first @ second), 0, 1))))


def eigenvalue_ratio(tensor: np.ndarray) -> float | None:
    """Middle over smallest eigenvalue of a ``tensor`` (3, 3); None where the smallest is not above
    0. It is 1 where diffusion across the fibre is the same in all directions."""
    sizes = np.linalg.eigvalsh(tensor)
    return float(sizes[1] / sizes[0]) if sizes[0] > 0 else None


def shape(tensor: np.ndarray, along: np.ndarray) -> dict[str, float]:
    """What a mean ``tensor`` (3, 3) is like beside its FA, and what the index makes of it.

    ``l2_l3``: `eigenvalue_ratio`; ``mode``: of anisotropy, from -1 (planar) to 1 (linear; Ennis and
    Kindlmann 2006, 10.1002/mrm.20741); ``l1_share``: share of the diffusivity along the unit vector
    ``along`` (same axes as the tensor), the region's part of the index's denominator, that is
    diffusion along the fibre.

    >>> found = shape(np.diag([0.6e-3, 0.4e-3, 1.2e-3]), along=np.array([0.0, 1, 0]))
    >>> {name: round(value, 3) for name, value in found.items()}
    {'l2_l3': 1.5, 'mode': 0.747, 'l1_share': 0.0}
    """
    sizes, directions = np.linalg.eigh(tensor)
    rest = tensor - np.trace(tensor) / 3 * np.eye(3)
    length = np.linalg.norm(rest)
    along_fibre = sizes[2] * float(directions[:, 2] @ along) ** 2
    return {
        "l2_l3": eigenvalue_ratio(tensor),
        "mode": float(3 * np.sqrt(6) * np.linalg.det(rest / length)) if length > 0 else None,
        "l1_share": float(along_fibre / (along @ tensor @ along)),
    }
