"""How six tensor components stand in files and arrays."""

from __future__ import annotations

import numpy as np

COMPONENTS = ("Dxx", "Dxy", "Dxz", "Dyy", "Dyz", "Dzz")
"""Order of the six tensor components in every file and array, mm2/s, world (RAS) axes."""


def as_components(matrices: np.ndarray) -> np.ndarray:
    """(..., 6) components of symmetric (..., 3, 3) tensors."""
    return matrices[..., [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]


def as_matrices(components: np.ndarray) -> np.ndarray:
    """Symmetric (..., 3, 3) tensors of (..., 6) `COMPONENTS`."""
    return components[..., [[0, 1, 2], [1, 3, 4], [2, 4, 5]]]
