"""Rigid poses, sampling grids, storage orders, and smooth maps evaluated on a grid at low cost.

Three frames, all in mm with x to the right, y to the front, z up: the scanner; the head, which the
pose carries into the scanner; and MNI space, which the subject's own deformation reaches from the
head. Images are computed in scanner order (x, y, z) and only reordered when they are stored.
"""

from dataclasses import dataclass

import numpy as np

AXES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
OBLIQUE = "oblique"


@dataclass(frozen=True)
class Grid:
    """Voxel grid: shape (3,) and 4 x 4 affine from voxel indices to scanner mm."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    @property
    def voxel(self) -> np.ndarray:
        """Voxel sizes in mm, shape (3,)."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def volume(self) -> float:
        """Voxel volume in mm3."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """4 x 4 matrix applied to points of shape (..., 3)."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def rotation(pitch: float, roll: float, yaw: float) -> np.ndarray:
    """3 x 3 turn by degrees about x, then y, then z; positive pitch lifts the nose."""
    p, r, y = np.deg2rad([pitch, roll, yaw])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_y = np.array([[np.cos(r), 0, np.sin(r)], [0, 1, 0], [-np.sin(r), 0, np.cos(r)]])
    about_z = np.array([[np.cos(y), -np.sin(y), 0], [np.sin(y), np.cos(y), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def rigid(angles_deg, shift_mm) -> np.ndarray:
    """4 x 4 rigid matrix from (pitch, roll, yaw) in degrees and a shift in mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(*angles_deg)
    matrix[:3, 3] = shift_mm
    return matrix


def covering_grid(points, voxel, extent_mm, margin_mm, tilt=None, offset_mm=(0, 0, 0)) -> Grid:
    """Grid in x, y, z order, turned by the 3 x 3 `tilt`, that covers the points.

    points: (n, 3) scanner mm. voxel, extent_mm: (3,), size of a voxel and least size of the grid.
    margin_mm: room around the points. offset_mm: shift of the grid's centre along its axes; where
    the margin would suffer the grid grows instead.
    """
    axes = np.eye(3) if tilt is None else tilt
    voxel, offset = np.asarray(voxel, float), np.asarray(offset_mm, float)
    local = points @ axes
    low, high = local.min(0), local.max(0)
    centre = (low + high) / 2 + offset
    needed = (high - low) + 2 * margin_mm + 2 * np.abs(offset)
    shape = np.ceil(np.maximum(needed, extent_mm) / voxel - 1e-6).astype(int)
    shape += shape % 2
    affine = np.eye(4)
    affine[:3, :3] = axes * voxel
    affine[:3, 3] = axes @ (centre - voxel * (shape - 1) / 2)
    return Grid(tuple(int(n) for n in shape), affine)


def parse_storage(code: str) -> list[tuple[int, int]]:
    """(axis, sign) of each stored axis for a code such as "PSR"; "oblique" stores as LAS.

    Raises ValueError for anything else.
    """
    letters = "LAS" if code == OBLIQUE else code.upper()
    axes = [AXES[letter] for letter in letters if letter in AXES]
    if len(letters) != 3 or sorted(axis for axis, _ in axes) != [0, 1, 2]:
        raise ValueError(f"storage order {code!r} is neither three of R/L, A/P, S/I nor 'oblique'")
    return axes


def store(data: np.ndarray, affine: np.ndarray, code: str) -> tuple[np.ndarray, np.ndarray]:
    """Data (x, y, z, ...) in x, y, z order turned into a storage order, with its new affine."""
    axes = parse_storage(code)
    order = [axis for axis, _ in axes]
    stored = np.transpose(data, order + list(range(3, data.ndim)))
    new = np.eye(4)
    new[:3, 3] = affine[:3, 3]
    for position, (axis, sign) in enumerate(axes):
        new[:3, position] = sign * affine[:3, axis]
        if sign < 0:
            stored = np.flip(stored, position)
            new[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
    return stored, new


def on_grid(function, grid: Grid, stride_mm: float = 4.0) -> np.ndarray:
    """A smooth function of scanner mm on every voxel, evaluated on a coarse subgrid.

    function maps points (n, 3) to (n, k). Returns (k, *grid.shape), float32. Between the nodes the
    values are interpolated linearly, so the function must be smooth at `stride_mm`.
    """
    strides = np.maximum(1, np.round(stride_mm / grid.voxel).astype(int))
    counts = [-(-(n - 1) // s) + 1 for n, s in zip(grid.shape, strides, strict=True)]
    places = [np.arange(c) * s for c, s in zip(counts, strides, strict=True)]
    index = np.stack(np.meshgrid(*places, indexing="ij"), axis=-1)
    nodes = function(apply(grid.affine, index.reshape(-1, 3).astype(float)))
    nodes = nodes.T.reshape(-1, *counts).astype(np.float32)
    weights = [linear_weights(*args) for args in zip(grid.shape, counts, strides, strict=True)]
    return np.stack([expand(component, weights) for component in nodes])


def linear_weights(n: int, count: int, stride: int) -> np.ndarray:
    """(n, count) weights that interpolate n samples linearly from nodes `stride` samples apart."""
    position = np.arange(n) / stride
    return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(count))).astype(np.float32)


def expand(nodes: np.ndarray, weights) -> np.ndarray:
    """Separable product of a small 3D array with one weight matrix (n, count) per axis."""
    wx, wy, wz = weights
    half = np.tensordot(wx, nodes, (1, 0))
    half = np.einsum("yb,xbc->xyc", wy, half, optimize=True)
    return half @ wz.T
