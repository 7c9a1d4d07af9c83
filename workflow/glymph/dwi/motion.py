"""Head motion and eddy currents: one affine per volume, gradients turned with the head."""

from __future__ import annotations

import os
import tempfile

import numpy as np

from glymph.common.gradients import GradientTable
from glymph.common.spaces import (
    apply_affine,
    coarser,
    read_itk_affine,
    to_ants,
    voxel_sizes,
    write_itk_affine,
)

HEAD_RADIUS_MM = 80.0
SEARCH = {
    "start": {
        "type_of_transform": "Rigid",
        "aff_random_sampling_rate": 0.3,
        "aff_iterations": (100, 50),
        "aff_smoothing_sigmas": (1, 0),
    },
    "eddy": {
        "type_of_transform": "Affine",
        "aff_random_sampling_rate": 0.2,
        "aff_iterations": (60, 10),
        "aff_smoothing_sigmas": (1, 0.5),
    },
    "link": {
        "type_of_transform": "Rigid",
        "aff_random_sampling_rate": 0.9,
        "aff_iterations": (200, 100),
        "aff_smoothing_sigmas": (1, 0),
    },
}
"""Effort of ANTs' three linear registrations, each at half, then at full resolution."""
PARAMETERS = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")


def estimate(
    data: np.ndarray, affine: np.ndarray, table: GradientTable, engine: str, mask: np.ndarray
) -> np.ndarray:
    """Affine of every volume: array (n, 4, 4) that maps reference world points to volume points.

    The reference is the first b = 0 volume. ``engine`` "series": `glymph.dwi.series.estimate`, by
    the voxels of ``mask`` (x, y, z), which alone reads it. "ants": every volume is registered to
    the reference (rigid), then each diffusion-weighted one to the mean of them all, whose contrast
    it shares, with twelve degrees of freedom for eddy currents; their mean is at last linked to the
    reference. "dipy": DIPY's affine pipeline against the reference. "eddy_correct": FSL's,
    likewise. "none": identities. (FSL's eddy gives no affines; it is `glymph.dwi.eddy.eddy`.)
    """
    if engine == "none":
        return np.tile(np.eye(4), (len(table), 1, 1))
    if engine == "dipy":
        return _estimate_dipy(data, affine, table)
    if engine == "eddy_correct":
        from glymph.dwi.eddy import eddy_correct

        return eddy_correct(data, affine, table)
    if engine == "series":
        from glymph.dwi import series

        return series.estimate(data, affine, table, mask)
    if engine == "ants":
        return _estimate_ants(data, affine, table)
    raise ValueError(f"no engine of motion: {engine}")


def _estimate_dipy(data, affine, table: GradientTable) -> np.ndarray:
    from dipy.align import motion_correction
    from dipy.core.gradients import gradient_table

    gtab = gradient_table(table.bvals, bvecs=table.vectors, b0_threshold=50, atol=0.1)
    _, matrices = motion_correction(data, gtab, affine=affine)
    return np.moveaxis(matrices, -1, 0)


def _estimate_ants(data, affine, table: GradientTable) -> np.ndarray:
    data, affine, _ = coarser(data, affine)
    found = np.tile(np.eye(4), (len(table), 1, 1))
    first = int(np.flatnonzero(table.is_b0)[0])
    weighted = np.flatnonzero(~table.is_b0)
    reference = at_resolution(data[..., first], affine, 4.0)
    for volume in (v for v in range(len(table)) if v != first):
        moving = at_resolution(data[..., volume], affine, 4.0)
        found[volume] = register(reference, moving, "start", found[volume])
        print(f"motion: volume {volume + 1} of {len(table)} to b = 0", flush=True)
    target = at_resolution(aligned_mean(data, affine, found, weighted), affine, 3.0)
    for volume in weighted:
        moving = at_resolution(data[..., volume], affine, 3.0)
        found[volume] = register(target, moving, "eddy", found[volume])
        print(f"motion: volume {volume + 1} of {len(table)} to the weighted mean", flush=True)
    # One careful registration across contrasts serves all volumes that now agree.
    mean = aligned_mean(data, affine, found, weighted)
    reference = at_resolution(data[..., first], affine, 3.0)
    link = register(reference, at_resolution(mean, affine, 3.0), "link", np.eye(4))
    found[weighted] = found[weighted] @ link
    return found


def aligned_mean(data, affine, matrices, volumes) -> np.ndarray:
    """Mean over ``volumes``; only a target, so linear interpolation will do."""
    return np.mean([resample(data[..., v], affine, matrices[v], order=1) for v in volumes], axis=0)


def at_resolution(volume: np.ndarray, affine: np.ndarray, millimetres: float):
    """An ANTs image no finer than ``millimetres``: twelve numbers do not need every voxel."""
    import ants

    size = tuple(max(millimetres, float(edge)) for edge in voxel_sizes(affine))
    return ants.resample_image(to_ants(volume, affine), size, False, 0)


def register(fixed, moving, step: str, start: np.ndarray) -> np.ndarray:
    """World (RAS) matrix of fixed points to moving points, from ``start``."""
    import ants

    with tempfile.TemporaryDirectory() as folder:
        initial = os.path.join(folder, "start.mat")
        write_itk_affine(initial, start)
        result = ants.registration(
            fixed,
            moving,
            initial_transform=[initial],
            outprefix=os.path.join(folder, "volume_"),
            aff_metric="mattes",
            aff_sampling=32,
            aff_shrink_factors=(2, 1),
            **SEARCH[step],
        )
        return read_itk_affine(result["fwdtransforms"][0])


def resample(volume, affine, matrix, displacement=None, order: int = 3) -> np.ndarray:
    """One volume on its own grid after ``matrix`` (reference points to volume points).

    ``displacement`` (x, y, z, 3), in world mm, is added to the reference points first: the same
    interpolation undoes distortion and motion. Splines of ``order``, clipped to the range of the
    input, which they overshoot.
    """
    from scipy.ndimage import affine_transform, map_coordinates

    volume = np.asarray(volume, np.float32)
    if displacement is None:
        if np.array_equal(matrix, np.eye(4)):
            return volume
        voxels = np.linalg.inv(affine) @ matrix @ affine
        return _clipped(affine_transform(volume, voxels, order=order), volume)
    grid = np.stack(np.meshgrid(*map(np.arange, volume.shape), indexing="ij"), axis=-1)
    points = apply_affine(affine, grid) + displacement
    voxels = apply_affine(np.linalg.inv(affine) @ matrix, points)
    moved = map_coordinates(volume, np.moveaxis(voxels, -1, 0), order=order, mode="constant")
    return _clipped(moved, volume)


def _clipped(moved: np.ndarray, volume: np.ndarray) -> np.ndarray:
    return np.clip(moved, min(0, float(volume.min())), float(volume.max())).astype(np.float32)


def rotate_gradients(table: GradientTable, matrices: np.ndarray) -> GradientTable:
    """``table`` as the head in the reference pose would see it.

    A head turned by R against the reference sees the scanner's gradient g as R' g; left out, this
    biases the tensor (Leemans and Jones 2009, 10.1002/mrm.21890). ``matrices`` (n, 4, 4): rigid.

    >>> table = GradientTable(np.array([1000.0]), np.array([[1.0, 0, 0]]))
    >>> quarter = np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])  # about z
    >>> rotate_gradients(table, quarter[None]).vectors.tolist()
    [[0.0, -1.0, 0.0]]
    """
    turned = [m[:3, :3].T @ v for m, v in zip(matrices, table.vectors, strict=True)]
    return GradientTable(table.bvals, np.array(turned))


def displacements(matrices: np.ndarray, centre: np.ndarray) -> list[dict[str, float]]:
    """Per volume: six rigid parameters (mm, degrees), displacement and framewise displacement.

    Displacements are root-mean-square over a sphere of 80 mm about ``centre`` (world mm):
    sqrt(r2 tr(A'A) / 5 + |t|2) with A the linear part minus that of the other volume and t the
    centre's shift (Jenkinson 2002, 10.1006/nimg.2002.1132). ``matrices`` (n, 4, 4) are rigid:
    what eddy currents did is told apart before (`currents.separate`).

    >>> shifted = np.eye(4)
    >>> shifted[2, 3] = 0.5
    >>> rows = displacements(np.array([np.eye(4), shifted, shifted]), centre=np.zeros(3))
    >>> [row["framewise_displacement"] for row in rows]
    [0.0, 0.5, 0.0]
    """
    rows = []
    for volume, matrix in enumerate(matrices):
        rows.append(
            dict(zip(PARAMETERS, _six_parameters(matrix, centre), strict=True))
            | {
                "displacement": rms_displacement(matrix, np.eye(4), centre),
                "framewise_displacement": rms_displacement(
                    matrix, matrices[max(volume - 1, 0)], centre
                ),
            }
        )
    return rows


def _six_parameters(matrix, centre):
    r = matrix[:3, :3]
    angles = (np.arctan2(r[2, 1], r[2, 2]), -np.arcsin(r[2, 0]), np.arctan2(r[1, 0], r[0, 0]))
    return [*map(float, apply_affine(matrix, centre) - centre), *map(float, np.degrees(angles))]


def rms_displacement(first, second, centre) -> float:
    """Root-mean-square distance (mm) between two matrices' images of a sphere about ``centre``."""
    linear = first[:3, :3] - second[:3, :3]
    shift = apply_affine(first, centre) - apply_affine(second, centre)
    return float(np.sqrt(HEAD_RADIUS_MM**2 * np.trace(linear.T @ linear) / 5 + shift @ shift))


def summary(rows: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Metrics of stage dwi from the rows of `displacements` and of eddy terms, None where these
    were not estimated; the first volume has no predecessor."""
    framewise = [row["framewise_displacement"] for row in rows[1:]]
    eddy = [row["eddy_displacement"] for row in rows[1:]]
    known = None not in framewise
    return {
        "mean_framewise_displacement": float(np.mean(framewise)) if known else None,
        "max_displacement": max(row["displacement"] for row in rows) if known else None,
        "mean_eddy_displacement": float(np.mean(eddy)) if None not in eddy else None,
    }
