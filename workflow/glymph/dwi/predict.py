"""What a diffusion-weighted volume should look like, by all the others of its series."""

from __future__ import annotations

import numpy as np

from glymph.common.gradients import GradientTable

RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Tried; the one that predicts best is taken."""
FLOOR = 0.02
"""Of the mean signal: what is darker has no logarithm worth a name."""
OUTLYING = 8.0
"""Times the median error up to which an error counts."""


def predict(signals: np.ndarray, table: GradientTable, mask: np.ndarray) -> np.ndarray:
    """``signals`` (x, y, z, n) of n weighted volumes as each is foretold by the other n - 1.

    A tensor is fitted to the logarithms, with a ridge towards the mean over directions, as a dozen
    directions hardly hold six numbers; the ridge is the one of `RIDGES` that foretells the voxels
    of ``mask`` (x, y, z) best. FSL's eddy aligns to predictions too (Andersson 2015,
    10.1016/j.neuroimage.2015.07.067), by Gaussian processes. One volume alone foretells itself.

    >>> along = np.random.default_rng(0).normal(size=(30, 3))
    >>> along /= np.linalg.norm(along, axis=1, keepdims=True)
    >>> table = GradientTable(np.full(30, 1000.0), along)
    >>> signals = 500 * np.exp(-(along**2) @ [0.3, 0.5, 1.3])  # one tensor
    >>> foretold = predict(signals.reshape(1, 1, 1, 30), table, np.ones((1, 1, 1), bool))
    >>> bool(abs(foretold - signals).max() < 10)
    True
    """
    count = len(table)
    if count < 2:
        return signals
    floor = max(FLOOR * float(signals[mask].mean()), np.finfo(np.float32).tiny)
    logs = np.log(np.maximum(signals, floor)).reshape(-1, count)
    errors = [_errors(logs[mask.ravel()], table, ridge) for ridge in RIDGES]
    ridge = RIDGES[int(np.argmin([_size(error) for error in errors]))]
    return np.exp(logs - _errors(logs, table, ridge)).reshape(signals.shape).astype(np.float32)


def _errors(logs: np.ndarray, table: GradientTable, ridge: float) -> np.ndarray:
    """What is left of ``logs`` (voxels, n) by a fit to the others: of a linear smoother, exactly
    the fit's own residual over one minus the leverage."""
    design = _quadratics(table)
    design = design - design.mean(axis=0)
    inner = design.T @ design + ridge * np.eye(design.shape[1])
    smoother = design @ np.linalg.solve(inner, design.T) + 1 / len(table)
    smoother = smoother.astype(np.float32)
    return (logs - logs @ smoother.T) / (1 - np.diag(smoother))


def _quadratics(table: GradientTable) -> np.ndarray:
    """The six products of the gradients' components (n, 6), weighted as in a tensor's norm."""
    x, y, z = table.vectors.T
    mixed = np.sqrt(2) * np.stack([x * y, x * z, y * z])
    return (np.vstack([[x * x, y * y, z * z], mixed]) * table.bvals / table.bvals.max()).T


def _size(errors: np.ndarray) -> float:
    size = np.abs(errors)
    return float(np.minimum(size, OUTLYING * np.median(size)).mean())
