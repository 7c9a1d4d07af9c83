"""From the DWI to the anatomy: b = 0 to T1w, or FA to the white-matter template without a T1w."""

from __future__ import annotations

import os
import shutil
import tempfile

import nibabel as nib
import numpy as np

from glymph.common.spaces import (
    image_to_ants,
    read_itk_affine,
    to_ants,
    voxel_sizes,
)


def b0_to_t1w(b0: np.ndarray, mask: np.ndarray, affine: np.ndarray, t1w_brain: nib.Nifti1Image):
    """Rigid registration; returns (4x4 world map of DWI points to T1w points, mutual information).

    Mattes mutual information between the masked b = 0 image and the T1w brain, from matched centres
    of mass; the T1w is smoothed to the resolution of the DWI.
    """
    import ants

    fixed = to_ants(b0 * mask, affine)
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
            random_seed=1,
        )
        matrix = read_itk_affine(result["fwdtransforms"][0])
    return matrix, mutual_information(b0[mask], result["warpedmovout"].numpy()[mask])


def fa_to_template(fa: np.ndarray, affine: np.ndarray, template_wm: nib.Nifti1Image, out: dict):
    """Affine and SyN registration of FA to the template's white-matter map; returns their MI.

    Writes ``out["affine"]``, ``out["warp"]``, ``out["inverse_warp"]`` like the T1w's registration,
    on a 2 mm grid of the template.
    """
    import ants

    fixed = ants.resample_image(image_to_ants(template_wm), (2.0,) * 3, False, 0)
    result = ants.registration(
        fixed,
        to_ants(fa, affine),
        type_of_transform="SyN",
        aff_metric="mattes",
        aff_random_sampling_rate=0.5,
        syn_metric="mattes",
        reg_iterations=(60, 40, 20),
        random_seed=1,
        singleprecision=False,
    )
    warp, linear = result["fwdtransforms"]
    for source, name in ((linear, "affine"), (warp, "warp"), (result["invtransforms"][1],
                                                              "inverse_warp")):  # fmt: skip
        shutil.move(source, out[name])
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
