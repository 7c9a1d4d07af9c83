"""Gradient directions and their tables in the FSL convention."""

from functools import lru_cache

import numpy as np

from .spec import ScanSpec


@lru_cache(maxsize=16)
def spread_directions(n: int) -> np.ndarray:
    """(n, 3) unit vectors spread by electrostatic repulsion of axes; the same for every call.

    The vectors point into both half spheres, for eddy currents depend on the sign.
    """
    rng = np.random.default_rng(n)
    vectors = rng.standard_normal((n, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    step = 0.1
    for _ in range(500):
        force = np.zeros_like(vectors)
        for sign in (1, -1):
            apart = vectors[:, None] - sign * vectors[None]
            distance = np.linalg.norm(apart, axis=2)
            if sign == 1:
                np.fill_diagonal(distance, np.inf)
            force += (apart / np.maximum(distance, 1e-3)[..., None] ** 3).sum(1)
        force -= (force * vectors).sum(1, keepdims=True) * vectors
        vectors += step * force / max(np.linalg.norm(force, axis=1).max(), 1e-9)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        step *= 0.99
    vectors *= rng.choice([-1, 1], n)[:, None]
    vectors.setflags(write=False)
    return vectors


def scheme(scan: ScanSpec) -> tuple[np.ndarray, np.ndarray]:
    """b-values (n,) in s/mm2 and unit directions (n, 3) in scanner axes, zero for b = 0."""
    bvals = [np.zeros(scan.n_b0)] + [np.full(n, float(b)) for b, n in scan.shells]
    vectors = [np.zeros((scan.n_b0, 3))] + [spread_directions(n) for _, n in scan.shells]
    return np.concatenate(bvals), np.concatenate(vectors)


def fsl_bvecs(vectors: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Scanner-axis vectors (n, 3) as an FSL table (3, n) for a stored image.

    FSL reads vectors along the image's axes, with the first mirrored where the affine's
    determinant is positive.
    """
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    table = (vectors @ axes).T
    if np.linalg.det(affine[:3, :3]) > 0:
        table[0] *= -1
    return table + 0.0
