"""Five answers to "which way is x?" for Dxx, Dyy and Dzz.

Three give axes to a region's mean tensor: per tract a 3x3 matrix whose columns are the unit vectors
x (left-right), y (anterior-posterior) and z (superior-inferior) in the DWI's world coordinates. Two
give axes to every voxel, and the mean of what is read along them.
"""

from __future__ import annotations

import numpy as np

from glymph.alps.region import Measured, main_direction
from glymph.common.names import TRACTS
from glymph.common.spaces import nearest_anatomical_axes

FIBRE = {"projection": 2, "association": 1}
"""The axis along which the fibres of a tract run."""
ACROSS = {"projection": 1, "association": 2}
"""The axis, across the fibres, that the index divides by."""
FARTHEST_Z = 3.5
LEAST_SINE = 0.05


def diffusivities(
    pair: dict[str, Measured], affine: np.ndarray, rotation: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """version -> tract -> (Dxx, Dyy, Dzz) in mm2/s of the two regions of a hemisphere.

    ``affine`` is the DWI's, ``rotation`` (3x3) that of the DWI-to-template transform.
    """
    grid, head = native(affine), template(rotation)
    own = principal(pair["projection"].v1, pair["association"].v1, rotation)
    frames = {
        "native": dict.fromkeys(TRACTS, grid),
        "template": dict.fromkeys(TRACTS, head),
        "principal": dict(zip(TRACTS, own, strict=True)),
    }
    found = {
        version: {t: np.diag(axes[t].T @ pair[t].tensor @ axes[t]) for t in TRACTS}
        for version, axes in frames.items()
    }
    found["pas"] = {tract: pas(pair[tract], tract, head[:, 0]) for tract in TRACTS}
    found["ld"] = {t: ld(pair[t], t, pair[_other(t)]) for t in TRACTS}
    return found


def native(affine: np.ndarray) -> np.ndarray:
    """The image axes nearest to the anatomical ones, as FSL's dtifit leaves them.

    >>> stored_from_right_to_left = np.diag([-2.0, 2, 3, 1])
    >>> bool((native(stored_from_right_to_left) == np.eye(3)).all())  # x still is x
    True
    """
    return nearest_anatomical_axes(affine)


def template(rotation: np.ndarray) -> np.ndarray:
    """The template's axes. ``rotation`` (3x3) is that of the DWI-to-template transform.

    A direction v of the DWI's world is R v in the template, so the template's axes are the columns
    of R' in the DWI's world.
    """
    return rotation.T


def principal(projection: np.ndarray, association: np.ndarray, rotation: np.ndarray):
    """Axes from the fibres' own directions: (axes for projection, axes for association).

    ``projection`` and ``association`` (3,) are the mean principal directions of the two ROIs in the
    DWI's world. x is perpendicular to both fibres. In projection z is the fibre and y perpendicular
    to both; in association y is the fibre and z perpendicular to both. ``rotation`` only fixes the
    signs.
    """
    towards = rotation.T
    z = _unit(projection, towards[:, 2])
    y = _unit(association, towards[:, 1])
    x = _unit(np.cross(y, z), towards[:, 0])
    in_projection = np.stack([x, _unit(np.cross(z, x), towards[:, 1]), z], axis=1)
    in_association = np.stack([x, y, _unit(np.cross(x, y), towards[:, 2])], axis=1)
    return in_projection, in_association


def pas(region: Measured, tract: str, x: np.ndarray) -> np.ndarray:
    """(Dxx, Dyy, Dzz) along every voxel's own principal axes: means of eigenvalues.

    The fibre's is the largest; of the two others x is the one whose eigenvector is nearer to the
    unit vector ``x`` (3,) of the template, in the DWI's world. No fibre's tilt reaches the index.
    """
    sizes, directions = np.linalg.eigh(region.tensors)
    nearness = np.abs(np.einsum("nik,i->nk", directions[:, :, :2], x))
    first = np.argmax(nearness, axis=1)
    rows = np.arange(len(sizes))
    found = np.empty((len(sizes), 3))
    found[:, 0] = sizes[rows, first]
    found[:, ACROSS[tract]] = sizes[rows, 1 - first]
    found[:, FIBRE[tract]] = sizes[:, 2]
    return np.average(found, axis=0, weights=region.weights)


def ld(region: Measured, tract: str, other: Measured) -> np.ndarray:
    """(Dxx, Dyy, Dzz) along axes from every voxel's fibre and the other region's main direction.

    x is perpendicular to both, the third axis to the voxel's fibre and x. Voxels whose direction
    lies further than 3.5 standard deviations from the region's main direction, or along the
    other's, are left out; NaN where none remains.
    Source: LD-ALPS (Burles 2025, 10.3390/neurosci6040101), which finds the main direction by
    clustering (DBSCAN, at least five voxels); a 5 mm sphere holds two to eight voxels of 3 to 2 mm,
    so that here it is that of the mean dyadic.
    """
    fibres = np.linalg.eigh(region.tensors)[1][:, :, 2]
    crossed = np.cross(fibres, other.v1)
    length = np.linalg.norm(crossed, axis=1)
    keep = _near(fibres, region.weights) & (length > LEAST_SINE)
    if not keep.any():
        return np.full(3, np.nan)
    tensors, weights, fibres = region.tensors[keep], region.weights[keep], fibres[keep]
    x = crossed[keep] / length[keep, None]
    found = np.empty((len(tensors), 3))
    for axis, direction in (
        (0, x), (FIBRE[tract], fibres), (ACROSS[tract], np.cross(fibres, x)),
    ):  # fmt: skip
        found[:, axis] = np.einsum("ni,nij,nj->n", direction, tensors, direction)
    return np.average(found, axis=0, weights=weights)


def _near(directions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    away = np.arccos(np.clip(np.abs(directions @ main_direction(directions, weights)), 0, 1))
    return away <= away.mean() + FARTHEST_Z * away.std()


def _other(tract: str) -> str:
    return TRACTS[1 - TRACTS.index(tract)]


def _unit(vector: np.ndarray, towards: np.ndarray) -> np.ndarray:
    unit = vector / np.linalg.norm(vector)
    return unit if unit @ towards >= 0 else -unit
