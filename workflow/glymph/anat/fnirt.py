"""Registration of the T1w brain to the template by FSL: FLIRT, then FNIRT.

The files are those of `glymph.anat.register`, so that nothing downstream knows which engine ran.
"""

from __future__ import annotations

import os
import tempfile

import nibabel as nib
import numpy as np

from glymph.anat.register import describe, template_at, to_template
from glymph.common.fsl import call, flirt_to_world, fnirt_to_world, put, upright, world_to_fnirt
from glymph.common.spaces import ants_affine, apply_affine, write_itk_affine, write_itk_field
from glymph.common.template import Template

SCHEDULE = {
    "imprefm": 1,
    "impinm": 1,
    "imprefval": 0,
    "impinval": 0,
    "applyrefmask": (1, 1, 1, 1, 1, 1),
    "applyinmask": 1,
    "subsamp": (4, 4, 2, 2, 1, 1),
    "miter": (5, 5, 5, 5, 5, 10),
    "infwhm": (8, 6, 5, 4.5, 3, 2),
    "reffwhm": (8, 6, 5, 4, 2, 0),
    "lambda": (300, 150, 100, 50, 40, 30),
    "estint": (1, 1, 1, 1, 1, 0),
    "warpres": (10, 10, 10),
    "ssqlambda": 1,
    "regmod": "bending_energy",
    "intmod": "global_non_linear_with_bias",
    "intorder": 5,
    "biasres": (50, 50, 50),
    "biaslambda": 10000,
    "refderiv": 0,
}
"""FSL's own for a T1w and the 2 mm MNI152, T1_2_MNI152_2mm.cnf, without its files, which are of
heads on another grid: in their place what is 0 in either image is left out, at every level."""


def register_to_template(brain: nib.Nifti1Image, template: Template, settings: dict, out: dict):
    """FLIRT (12 degrees of freedom) and FNIRT of a T1w brain (background 0) to the template.

    Runs at ``settings["resolution_mm"]``, on FNIRT's own schedule, and writes and returns what
    `glymph.anat.register.register_to_template` does.

    Sources: Jenkinson 2002 (10.1006/nimg.2002.1132); Andersson, Jenkinson and Smith, Non-linear
    registration, FMRIB technical report TR07JA2, 2010.
    """
    size = float(settings["resolution_mm"])
    fixed = template_at(template, size)
    reference = upright(nib.Nifti1Image(fixed.numpy(), ants_affine(fixed)))
    with tempfile.TemporaryDirectory(prefix="fnirt_") as folder:
        matrix, warp, inverse_warp = _register(upright(brain), reference, folder)
    write_itk_affine(out["affine"], np.linalg.inv(matrix))
    write_itk_field(out["warp"], warp, reference.affine)
    write_itk_field(out["inverse_warp"], inverse_warp, reference.affine)
    warped, _ = to_template(brain, template, out["affine"], out["warp"], size)
    return describe(out["affine"], warped, fixed.numpy())


def _register(source: nib.Nifti1Image, reference: nib.Nifti1Image, folder: str):
    """World matrix of source to reference points; fields (x, y, z, 3) between it and the rest.

    FNIRT's field leads from a template point to the T1w with the affine in it. Ours leads to where
    the affine alone would see that point, so that both fields lie on the template's grid.
    """
    from fsl.transform.flirt import readFlirt
    from fsl.wrappers import flirt, fnirt, invwarp

    def file(name):
        return os.path.join(folder, name)

    t1w, template = put(source, file("t1w.nii.gz")), put(reference, file("template.nii.gz"))
    call(flirt, t1w, template, dof=12, omat=file("affine.mat"))
    call(
        fnirt, t1w, ref=template, aff=file("affine.mat"), cout=file("coefficients.nii.gz"),
        fout=file("field.nii.gz"), **SCHEDULE,
    )  # fmt: skip
    matrix = flirt_to_world(readFlirt(file("affine.mat")), source, reference)
    points = apply_affine(reference.affine, np.moveaxis(np.indices(reference.shape), 0, -1))
    there = points + fnirt_to_world(file("field.nii.gz"), source, reference)
    warp = apply_affine(matrix, there) - points
    world_to_fnirt(warp, reference, file("warp.nii.gz"))
    call(invwarp, file("warp.nii.gz"), template, file("inverse.nii.gz"), rel=True)
    return matrix, warp, fnirt_to_world(file("inverse.nii.gz"), reference, reference)
