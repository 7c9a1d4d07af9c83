"""A small head-like diffusion phantom with fibre bundles, in any storage order."""

import numpy as np

from glymph.common.gradients import GradientTable
from glymph.common.spaces import apply_affine
from tests.conftest import grid


def directions(n, seed=0):
    """n unit vectors spread by repulsion."""
    v = np.random.default_rng(seed).normal(size=(n, 3))
    for _ in range(200):
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        both = np.vstack([v, -v])
        gap = v[:, None] - both[None]
        distance = np.linalg.norm(gap, axis=2, keepdims=True) + 1e-9
        v = v + 0.02 * np.sum(np.where(distance > 1e-6, gap / distance**3, 0), axis=1)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def table(n=25, b=1000.0, b0=1):
    vectors = np.vstack([np.zeros((b0, 3)), directions(n)])
    return GradientTable(np.array([0.0] * b0 + [b] * n), vectors)


def bundle_tensors(points, radius=4.5, bundles=60):
    """Tensors (..., 3, 3) in world axes at world ``points``: straight bundles in all directions.

    Thin bundles are what tells a right table from a wrong one: any smooth field of directions goes
    on along itself, but only the right one goes on along the bundle.
    """
    rng = np.random.default_rng(11)
    along = np.zeros(points.shape)
    nearest = np.full(points.shape[:-1], np.inf)
    for direction in directions(bundles, seed=7):
        start = rng.uniform(-28, 28, 3)
        offset = points - start
        across = np.linalg.norm(offset - (offset @ direction)[..., None] * direction, axis=-1)
        closer = across < nearest
        nearest = np.where(closer, across, nearest)
        along = np.where(closer[..., None], direction, along)
    fibre = np.where(nearest < radius, 1.1e-3, 0.0)[..., None, None]
    return 0.45e-3 * np.eye(3) + fibre * along[..., :, None] * along[..., None, :]


def signal(tensors, gradients, s0=1000.0):
    """Noise-free signal (…, n) of the tensor model."""
    g = gradients.vectors
    d = np.einsum("ni,...ij,nj->...n", g, tensors, g)
    return (s0 * np.exp(-gradients.bvals * d)).astype(np.float32)


def head(axes, sizes=(3.0, 3.0, 3.0), shape=(30, 32, 26), gradients=None):
    """(data, affine, mask, tensors) of a ball of fibre bundles on a grid with these axes."""
    gradients = gradients or table()
    affine = grid(axes, sizes, shape, centre=(1.0, -2.0, 3.0))
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    points = apply_affine(affine, voxels) - [1.0, -2.0, 3.0]
    mask = np.linalg.norm(points, axis=-1) < 33
    tensors = bundle_tensors(points)
    data = np.where(mask[..., None], signal(tensors, gradients), 5.0).astype(np.float32)
    return data, affine, mask, tensors
