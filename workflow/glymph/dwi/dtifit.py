"""The diffusion tensor by FSL's dtifit."""

from __future__ import annotations

import tempfile

import nibabel as nib
import numpy as np

from glymph.common.fsl import call, put, tensors_to_world, vectors_to_world
from glymph.common.gradients import GradientTable, write_fsl
from glymph.common.images import array, load
from glymph.common.tensors import as_matrices
from glymph.dwi.tensor import deviation, on_grid

LEAST_SIGNAL = 1e-3
"""Share of the median b = 0 signal."""
OUTPUTS = ("FA", "MD", "L1", "L2", "L3", "V1", "S0", "tensor")


def fit(
    data: np.ndarray, affine: np.ndarray, table: GradientTable, mask: np.ndarray
) -> dict[str, np.ndarray]:
    """Weighted least-squares tensor fit inside ``mask`` of ``data`` (x, y, z, volume).

    Returns the maps of `glymph.dwi.tensor.fit`: same names, axes and units. dtifit keeps negative
    eigenvalues, which DIPY raises to zero, so that the two differ where noise made such.

    Source: FSL's dtifit; Basser 1994 (10.1006/jmrb.1994.1037).
    """
    found = _run(data, affine, table, mask)
    tensor = tensors_to_world(found["tensor"], affine)
    signal = np.maximum(data[mask], 0)
    voxelwise = {
        "tensor": tensor,
        "fa": found["FA"],
        "md": found["MD"],
        "ad": found["L1"],
        "rd": (found["L2"] + found["L3"]) / 2,
        "v1": vectors_to_world(found["V1"], affine),
        "residual": _residual(signal, tensor, found["S0"], table),
    }
    ok = np.isfinite(tensor).all(axis=1) & (signal[:, table.is_b0].mean(axis=1) > 0)
    return {name: on_grid(values, ok, mask) for name, values in voxelwise.items()}


def _run(data, affine, table: GradientTable, mask: np.ndarray) -> dict[str, np.ndarray]:
    """dtifit's maps at the voxels of ``mask``, in FSL axes."""
    from fsl.wrappers import dtifit

    with tempfile.TemporaryDirectory(prefix="dtifit_") as folder:
        bvals, bvecs, out = f"{folder}/bvals", f"{folder}/bvecs", f"{folder}/out"
        write_fsl(table, bvals, bvecs, affine)
        above = np.maximum(data, _floor(data, table, mask))
        series = put(nib.Nifti1Image(above, affine), f"{folder}/series.nii.gz")
        inside = put(nib.Nifti1Image(mask.astype(np.float32), affine), f"{folder}/mask.nii.gz")
        call(dtifit, series, out, inside, bvecs, bvals, wls=True, save_tensor=True)
        return {name: array(load(f"{out}_{name}.nii.gz"))[mask] for name in OUTPUTS}


def _floor(data, table: GradientTable, mask: np.ndarray) -> float:
    """The least signal that dtifit gets: its weighted fit of logarithms is singular at zeros, which
    interpolation leaves at the edge of a mask."""
    return LEAST_SIGNAL * float(np.median(data[mask][:, table.is_b0]))


def _residual(signal, tensor, s0, table: GradientTable) -> np.ndarray:
    """`deviation` of the signal from the model, per voxel: dtifit's own sum is of logarithms."""
    g = table.vectors
    rates = np.einsum("ni,vij,nj->vn", g, as_matrices(tensor), g)
    model = s0[:, None] * np.exp(-table.bvals * rates)
    return deviation(signal - model)
