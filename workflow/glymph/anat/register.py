"""Registration of the T1w brain to the template, and carrying maps between the two."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

from glymph.common.registry import checked
from glymph.common.spaces import (
    ants_affine,
    head_angles,
    image_to_ants,
    read_itk_affine,
    rotation_part,
    to_ants,
    voxel_sizes,
)
from glymph.common.template import Template

if TYPE_CHECKING:
    import ants


def register_to_template(brain: nib.Nifti1Image, template: Template, settings: dict, out: dict):
    """Affine and SyN registration of a T1w brain (background 0) to the template.

    Runs at ``settings["resolution_mm"]`` (isotropic) with ``settings["iterations"]`` per level,
    the last one at that resolution. Writes ``out["affine"]`` (ITK; maps template points to T1w
    points), ``out["warp"]`` and ``out["inverse_warp"]`` (displacement fields on the template's
    grid at that resolution), and returns the facts for quality control. The result depends neither
    on the number of threads beyond rounding nor on the run: sampling is seeded.

    Source: Avants 2008 (10.1016/j.media.2007.06.004).
    """
    import ants

    size = float(settings["resolution_mm"])
    fixed = template_at(template, size)
    moving = image_to_ants(brain)
    if size > 1.5 * min(voxel_sizes(brain.affine)):
        moving = ants.resample_image(moving, (size / 1.5,) * 3, False, 0)
    result = ants.registration(
        fixed,
        moving,
        type_of_transform="SyN",
        syn_metric="mattes",
        reg_iterations=tuple(settings["iterations"]),
        singleprecision=False,
    )
    warp, affine = result["fwdtransforms"]
    for source, name in zip(
        (affine, warp, result["invtransforms"][1]),
        ("affine", "warp", "inverse_warp"),
        strict=True,
    ):
        shutil.move(source, out[name])
    return describe(out["affine"], result["warpedmovout"].numpy(), fixed.numpy())


def template_at(template: Template, size: float) -> ants.ANTsImage:
    """The template's T1w at ``size`` mm, isotropic."""
    import ants

    return ants.resample_image(image_to_ants(template.t1w), (size,) * 3, False, 0)


def describe(affine: str, warped: np.ndarray, fixed: np.ndarray) -> dict:
    """Facts for quality control: of the file ``affine``, and of a brain ``warped`` to ``fixed``."""
    matrix = read_itk_affine(affine)
    rotation = rotation_part(np.linalg.inv(matrix)[:3, :3])
    inside = fixed > 0
    similarity = float(np.corrcoef(warped[inside], fixed[inside])[0, 1])
    return {
        "metrics": checked({"template_similarity": similarity}),
        "affine_determinant": float(np.linalg.det(matrix[:3, :3])),
        "head_angles_deg": head_angles(rotation.T),
    }


def to_subject(
    template_map: np.ndarray,
    template: Template,
    target: nib.Nifti1Image,
    affine: str,
    inverse_warp: str,
    interpolator: str = "linear",
) -> np.ndarray:
    """A template map carried to the grid of the NIfTI image ``target``."""
    import ants

    moved = ants.apply_transforms(
        image_to_ants(target),
        to_ants(template_map, template.t1w.affine),
        [affine, inverse_warp],
        interpolator=interpolator,
        whichtoinvert=[True, False],
    )
    return moved.numpy()


def to_template(image: nib.Nifti1Image, template: Template, affine: str, warp: str, size: float):
    """A T1w-space image resampled on the template's grid at ``size`` mm; data and affine."""
    import ants

    grid = template_at(template, size)
    moved = ants.apply_transforms(grid, image_to_ants(image), [warp, affine], "linear")
    return moved.numpy(), ants_affine(grid)
