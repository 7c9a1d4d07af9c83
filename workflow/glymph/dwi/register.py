"""From the DWI to the anatomy: b = 0 to the T1w, or to the template where there is no T1w."""

from __future__ import annotations

import os
import shutil
import tempfile

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to
from scipy import ndimage

from glymph.common.images import array
from glymph.common.spaces import (
    coarser,
    image_to_ants,
    read_itk_affine,
    to_ants,
    voxel_sizes,
)


def b0_to_t1w(
    b0: np.ndarray, mask: np.ndarray, affine: np.ndarray, t1w_brain: nib.Nifti1Image, engine: str
) -> tuple[np.ndarray, float]:
    """Rigid registration of the masked b = 0 image and the T1w brain by ``engine``, ants or flirt.

    Returns the 4x4 world map of DWI points to T1w points, and the mutual information of the two.
    """
    align = _flirt if engine == "flirt" else _ants
    inside = coarser(mask.astype(np.float32), affine)[0] > 0.5
    brain, affine, _ = coarser(b0 * mask, affine)
    matrix, warped = align(brain, affine, t1w_brain)
    return matrix, mutual_information(brain[inside], warped[inside])


def _flirt(brain: np.ndarray, affine: np.ndarray, t1w_brain: nib.Nifti1Image):
    """World matrix and the T1w on the DWI's grid, by FLIRT on normalised mutual information.

    Source: Jenkinson 2002 (10.1006/nimg.2002.1132).
    """
    from fsl.transform.flirt import readFlirt
    from fsl.wrappers import flirt

    from glymph.common.fsl import call, flirt_to_world, put, upright

    target = nib.Nifti1Image(brain, affine)
    source, reference = upright(target), upright(t1w_brain)
    with tempfile.TemporaryDirectory(prefix="flirt_") as folder:
        files = [put(source, f"{folder}/b0.nii.gz"), put(reference, f"{folder}/t1w.nii.gz")]
        omat = f"{folder}/rigid.mat"
        call(flirt, *files, dof=6, cost="normmi", searchcost="normmi", omat=omat)
        matrix = flirt_to_world(readFlirt(omat), source, reference)
    seen = nib.Nifti1Image(array(t1w_brain), np.linalg.inv(matrix) @ t1w_brain.affine)
    return matrix, array(resample_from_to(seen, target, order=1))


def _ants(brain: np.ndarray, affine: np.ndarray, t1w_brain: nib.Nifti1Image):
    """World matrix and the T1w on the DWI's grid, by ANTs on Mattes mutual information.

    From matched centres of mass; the T1w is smoothed to the resolution of the DWI.
    """
    import ants

    fixed = to_ants(brain, affine)
    moving = image_to_ants(t1w_brain)
    size = float(min(voxel_sizes(affine)))
    if size > 1.5 * min(voxel_sizes(t1w_brain.affine)):
        moving = ants.resample_image(moving, (size / 1.5,) * 3, False, 0)
    with tempfile.TemporaryDirectory() as folder:
        result = ants.registration(
            fixed,
            moving,
            type_of_transform="Rigid",
            outprefix=os.path.join(folder, "rigid_"),
            aff_metric="mattes",
            aff_random_sampling_rate=0.3,
            aff_iterations=(200, 100, 30),
            aff_shrink_factors=(4, 2, 1),
            aff_smoothing_sigmas=(2, 1, 0),
        )
        matrix = read_itk_affine(result["fwdtransforms"][0])
    return matrix, result["warpedmovout"].numpy()


def b0_to_template(b0, mask, affine, template_t1w: nib.Nifti1Image, out: dict) -> float:
    """Affine and SyN registration of b = 0 to the template's T1w brain; their mutual information.

    Writes ``out["affine"]``, ``out["warp"]``, ``out["inverse_warp"]`` like the T1w's registration,
    on a 2 mm grid of the template. Not FA to white matter: where fibres cross, beside the very
    regions that ALPS measures, FA falls as if it were grey matter, and pulls them aside.
    """
    import ants

    fixed = ants.resample_image(image_to_ants(template_t1w), (2.0,) * 3, False, 0)
    # The mask is a voxel wider than the brain; scalp and eyes in its rim would attract the cortex.
    moving = to_ants(b0 * ndimage.binary_erosion(mask), affine)
    result = ants.registration(
        fixed,
        moving,
        type_of_transform="SyN",
        aff_metric="mattes",
        aff_random_sampling_rate=0.5,
        aff_iterations=(1000, 500, 200, 0),
        syn_metric="mattes",
        reg_iterations=(60, 30, 0),
        singleprecision=False,
    )
    warp, linear = result["fwdtransforms"]
    shutil.move(linear, out["affine"])
    shutil.move(warp, out["warp"])
    shutil.move(result["invtransforms"][1], out["inverse_warp"])
    inside = fixed.numpy() > 0
    return mutual_information(fixed.numpy()[inside], result["warpedmovout"].numpy()[inside])


def mutual_information(first: np.ndarray, second: np.ndarray, bins: int = 32) -> float:
    """Mutual information in bits of two lists of intensities, from a histogram of ``bins`` each."""
    joint, _, _ = np.histogram2d(_ranks(first), _ranks(second), bins=bins)
    joint /= joint.sum()
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log2(joint[seen] / expected[seen])))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Values clipped to their 1st to 99th percentile, which outliers would stretch."""
    return np.clip(values, *np.percentile(values, (1, 99)))
