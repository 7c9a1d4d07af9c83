"""Spaces and orientation. Every function names the frame of what it takes and gives.

world
    NIfTI's scanner frame in mm: +x right, +y anterior, +z superior (RAS).
image axes
    Unit vectors along increasing voxel indices i, j, k, given in world coordinates.
LPS
    ITK's frame: world with x and y negated. Only ANTs sees it, and only through this module.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import ants
    import nibabel as nib

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def voxel_sizes(affine: np.ndarray) -> np.ndarray:
    """Voxel edge lengths in mm, shape (3,), of a 4x4 voxel-to-world ``affine``.

    >>> voxel_sizes(np.diag([-2.0, 2, 3, 1])).tolist()
    [2.0, 2.0, 3.0]
    """
    return np.linalg.norm(affine[:3, :3], axis=0)


def coarser(data: np.ndarray, affine: np.ndarray, finest: float = 1.5):
    """``data`` (x, y, z, ...) averaged over whole voxels, up to ``finest`` mm along each axis.

    Returns (data, its affine, voxels averaged per axis). Voxels that are larger than half of
    ``finest`` are left alone. What does not fill a voxel at the far end of an axis is left out; of
    a thin slab two voxels are left at least.
    """
    factors = np.floor(finest / voxel_sizes(affine) + 1e-3).astype(int)
    factors = np.maximum(1, np.minimum(factors, np.array(data.shape[:3]) // 2))
    if (factors == 1).all():
        return data, affine, factors
    whole = [n // f for n, f in zip(data.shape, factors, strict=False)]
    blocks = data[tuple(slice(n * f) for n, f in zip(whole, factors, strict=True))].reshape(
        *(size for pair in zip(whole, factors, strict=True) for size in pair), *data.shape[3:]
    )
    moved = affine @ np.diag([*factors, 1.0])
    moved[:3, 3] += affine[:3, :3] @ ((factors - 1) / 2)
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32), moved, factors


def image_axes(affine: np.ndarray) -> np.ndarray:
    """Image axes as the columns of a 3x3 matrix in world coordinates, orthonormal.

    Raises ValueError where the axes are sheared by more than rounding: such a grid has no rotation.

    >>> image_axes(np.diag([-2.0, 2, 3, 1])).tolist()  # stored from right to left
    [[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    axes = affine[:3, :3] / voxel_sizes(affine)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=2e-3):
        raise ValueError("the image axes are not perpendicular (a sheared affine)")
    left, _, right = np.linalg.svd(axes)
    return left @ right


def nearest_anatomical_axes(affine: np.ndarray) -> np.ndarray:
    """The image axes nearest to x (left-right), y (anterior-posterior), z (superior-inferior).

    Returns a 3x3 matrix whose columns are unit vectors in world coordinates, in the order x, y, z,
    each pointing towards +x, +y, +z. The best of the six assignments is taken, so that two image
    axes never claim the same anatomical one, however far a slab is tilted.
    """
    axes = image_axes(affine)
    best = max(
        permutations(range(3)), key=lambda order: sum(abs(axes[k, order[k]]) for k in range(3))
    )
    chosen = axes[:, list(best)]
    return chosen * np.where(np.diag(chosen) < 0, -1.0, 1.0)


def rotation_part(linear: np.ndarray) -> np.ndarray:
    """Rotation nearest to a 3x3 ``linear`` map (polar decomposition; Higham 1986).

    Raises ValueError for a map that mirrors, which no registration of heads should give.

    >>> rotation_part(np.diag([1.1, 0.9, 1.2])).round(9).tolist()  # scaled, not turned
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    left, _, right = np.linalg.svd(linear)
    rotation = left @ right
    if np.linalg.det(rotation) < 0:
        raise ValueError("the transform mirrors space")
    return rotation


def head_angles(rotation: np.ndarray) -> dict[str, float]:
    """Pitch (about x), roll (about y) and yaw (about z) in degrees of a 3x3 world ``rotation``.

    ``rotation`` = Rz(yaw) @ Ry(roll) @ Rx(pitch), right-handed: positive pitch lifts the nose,
    positive yaw turns it to the left. ``angle`` is the whole rotation's angle.
    """
    pitch = np.arctan2(rotation[2, 1], rotation[2, 2])
    roll = -np.arcsin(np.clip(rotation[2, 0], -1, 1))
    yaw = np.arctan2(rotation[1, 0], rotation[0, 0])
    angle = np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))
    values = np.degrees([pitch, roll, yaw, angle])
    return dict(zip(("pitch", "roll", "yaw", "angle"), map(float, values), strict=True))


def apply_affine(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """``points`` (..., 3) mapped by a 4x4 ``affine``.

    >>> affine = np.diag([-2.0, 2, 3, 1])
    >>> affine[:3, 3] = 90, -120, -60
    >>> apply_affine(affine, np.array([[0, 0, 0], [10, 10, 10]])).tolist()
    [[90.0, -120.0, -60.0], [70.0, -100.0, -30.0]]
    """
    return points @ affine[:3, :3].T + affine[:3, 3]


def to_ants(data: np.ndarray, affine: np.ndarray) -> ants.ANTsImage:
    """An ANTs image of a 3D array on the grid of a world ``affine``, without file or header."""
    import ants

    origin = RAS_TO_LPS @ affine[:3, 3]
    return ants.from_numpy(
        np.ascontiguousarray(data, dtype=np.float32),
        origin=tuple(origin),
        spacing=tuple(voxel_sizes(affine)),
        direction=RAS_TO_LPS @ image_axes(affine),
    )


def image_to_ants(image: nib.Nifti1Image) -> ants.ANTsImage:
    """`to_ants` of a 3D NIfTI image, values as float32."""
    return to_ants(np.asanyarray(image.dataobj), image.affine)


def ants_affine(image: ants.ANTsImage) -> np.ndarray:
    """The voxel-to-world (RAS) affine, 4x4, of an ANTs image."""
    affine = np.eye(4)
    affine[:3, :3] = RAS_TO_LPS @ image.direction @ np.diag(image.spacing)
    affine[:3, 3] = RAS_TO_LPS @ np.asarray(image.origin)
    return affine


def read_itk_affine(path: str) -> np.ndarray:
    """A linear ITK transform file as a 4x4 matrix on world (RAS) points.

    It maps points of the registration's fixed space to its moving space, ITK's convention.
    """
    import ants

    transform = ants.read_transform(str(path))
    linear = np.asarray(transform.parameters[:9]).reshape(3, 3)
    centre = np.asarray(transform.fixed_parameters[:3])
    matrix = np.eye(4)
    matrix[:3, :3] = RAS_TO_LPS @ linear @ RAS_TO_LPS
    matrix[:3, 3] = RAS_TO_LPS @ (np.asarray(transform.parameters[9:12]) + centre - linear @ centre)
    return matrix


def write_itk_affine(path: str, matrix: np.ndarray) -> None:
    """Write a 4x4 world (RAS) point map as an ITK affine transform file."""
    import ants

    linear = RAS_TO_LPS @ matrix[:3, :3] @ RAS_TO_LPS
    offset = RAS_TO_LPS @ matrix[:3, 3]
    transform = ants.create_ants_transform(
        transform_type="AffineTransform", dimension=3, matrix=linear, translation=offset,
        center=(0.0, 0.0, 0.0),
    )  # fmt: skip
    ants.write_transform(transform, str(path))


def write_itk_field(path: str, displacement: np.ndarray, affine: np.ndarray) -> None:
    """Write world (RAS) ``displacement`` (x, y, z, 3), mm on the grid ``affine``, as ITK field."""
    import ants

    field = ants.from_numpy(
        np.ascontiguousarray(displacement @ RAS_TO_LPS, dtype=np.float32),
        origin=tuple(RAS_TO_LPS @ affine[:3, 3]),
        spacing=tuple(voxel_sizes(affine)),
        direction=RAS_TO_LPS @ image_axes(affine),
        has_components=True,
    )
    ants.image_write(field, str(path))


def map_points(points: np.ndarray, transforms: list[tuple[str, bool]]) -> np.ndarray:
    """World (RAS) ``points`` (n, 3) carried through ITK transform files.

    ``transforms`` is applied first to last, each as ``(file, inverse)``; a linear file may be
    inverted, a displacement field may not (its inverse is a file of its own).
    """
    import ants

    mapped = np.asarray(points, dtype=float)
    for path, inverse in transforms:
        if str(path).endswith((".mat", ".txt", ".tfm")):
            matrix = read_itk_affine(path)
            mapped = apply_affine(np.linalg.inv(matrix) if inverse else matrix, mapped)
        else:
            if inverse:
                raise ValueError(f"{path}: a displacement field is not inverted, give its inverse")
            mapped = mapped + _sample_field(ants.image_read(str(path)), mapped)
    return mapped


def _sample_field(field: ants.ANTsImage, points: np.ndarray) -> np.ndarray:
    """Displacements (n, 3) in world mm of an ITK vector field at world ``points``; 0 outside."""
    from scipy.ndimage import map_coordinates

    voxels = apply_affine(np.linalg.inv(ants_affine(field)), points).T
    vectors = field.numpy()
    sampled = [
        map_coordinates(vectors[..., axis], voxels, order=1, mode="constant", cval=0.0)
        for axis in range(3)
    ]
    return np.stack(sampled, axis=-1) @ RAS_TO_LPS
