"""Three answers to "which way is x?" for Dxx, Dyy and Dzz.

Each function gives, per tract, a 3x3 matrix whose columns are the unit vectors x (left-right),
y (anterior-posterior) and z (superior-inferior) in the DWI's world coordinates.
"""

from __future__ import annotations

import numpy as np

from glymph.common.spaces import nearest_anatomical_axes

AXES = ("native", "template", "principal")


def native(affine: np.ndarray) -> np.ndarray:
    """The image axes nearest to the anatomical ones, as FSL's dtifit leaves them."""
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


def _unit(vector: np.ndarray, towards: np.ndarray) -> np.ndarray:
    unit = vector / np.linalg.norm(vector)
    return unit if unit @ towards >= 0 else -unit
