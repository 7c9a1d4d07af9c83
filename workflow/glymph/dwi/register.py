"""From the DWI to the anatomy: b = 0 to the T1w, or b = 0 and FA to the template without one."""

from __future__ import annotations

import os
import shutil
import tempfile

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to
from scipy import ndimage

from glymph.common.errors import BadInput
from glymph.common.images import array
from glymph.common.registry import checked
from glymph.common.spaces import (
    apply_affine,
    coarser,
    head_angles,
    image_to_ants,
    read_itk_affine,
    rotation_part,
    to_ants,
    voxel_sizes,
    write_itk_affine,
)
from glymph.common.template import Template
from glymph.dwi import linear

SLAB_SHARE = 0.8
"""A DWI that shows less of the T1w's brain is a slab."""
SHIFTS_MM = (-40.0, 40.0)
NEAR_MM = 80.0
EDGE_MM = 4.0
LEAST_FIT = (0.65, 0.4)
"""Least shares of b = 0 and of FA that the template explains."""
LARGEST_TURN_DEG = 60.0
STRETCH = (0.7, 1.3)
"""Of the template onto the head, along any direction; heads lie between 0.8 and 1.05."""


def b0_to_t1w(
    b0: np.ndarray, mask: np.ndarray, affine: np.ndarray, t1w_brain: nib.Nifti1Image, engine: str
) -> tuple[np.ndarray, float]:
    """Rigid registration of the masked b = 0 image and the T1w brain by ``engine``, ants or flirt.

    Returns the 4x4 world map of DWI points to T1w points, and the mutual information of the two.
    FLIRT searches over angles itself; ANTs has several starts where the DWI shows only a slab of
    the brain, whose centre is not the brain's, and the one of most mutual information is taken.
    """
    inside = coarser(mask.astype(np.float32), affine)[0] > 0.5
    brain, affine, _ = coarser(b0 * mask, affine)
    if engine == "flirt":
        found = [_flirt(brain, affine, t1w_brain)]
    else:
        starts = _starts(inside, affine, t1w_brain)
        found = [_ants(brain, affine, t1w_brain, start) for start in starts]
    scored = [(matrix, mutual_information(brain[inside], seen[inside])) for matrix, seen in found]
    return max(scored, key=lambda one: one[1])


def _starts(inside: np.ndarray, affine: np.ndarray, t1w_brain: nib.Nifti1Image) -> list:
    """World maps (4x4) of DWI to T1w points to start from; None lays centre of mass on centre.

    Of a slab also the scanner's own coordinates, where they bring the two together at all, and
    centres shifted along z.
    """
    whole = array(t1w_brain) > 0
    volumes = [m.sum() * np.prod(voxel_sizes(a)) for m, a in
               ((inside, affine), (whole, t1w_brain.affine))]  # fmt: skip
    if volumes[0] > SLAB_SHARE * volumes[1]:
        return [None]
    centres = [apply_affine(a, np.argwhere(m).mean(axis=0)) for m, a in
               ((inside, affine), (whole, t1w_brain.affine))]  # fmt: skip
    apart = centres[1] - centres[0]
    shifts = [apart + [0, 0, z] for z in SHIFTS_MM]
    if np.linalg.norm(apart) < NEAR_MM:
        shifts.append(np.zeros(3))
    return [None, *(nib.affines.from_matvec(np.eye(3), shift) for shift in shifts)]


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


def _ants(brain: np.ndarray, affine: np.ndarray, t1w_brain: nib.Nifti1Image, start):
    """World matrix and the T1w on the DWI's grid, by ANTs on Mattes mutual information.

    From ``start`` of `_starts`; the T1w is smoothed to the resolution of the DWI.
    """
    import ants

    fixed = to_ants(brain, affine)
    moving = image_to_ants(t1w_brain)
    size = float(min(voxel_sizes(affine)))
    if size > 1.5 * min(voxel_sizes(t1w_brain.affine)):
        moving = ants.resample_image(moving, (size / 1.5,) * 3, False, 0)
    with tempfile.TemporaryDirectory() as folder:
        initial = None
        if start is not None:
            initial = os.path.join(folder, "start.mat")
            write_itk_affine(initial, start)
        result = ants.registration(
            fixed,
            moving,
            type_of_transform="Rigid",
            initial_transform=initial,
            outprefix=os.path.join(folder, "rigid_"),
            aff_metric="mattes",
            aff_random_sampling_rate=0.3,
            aff_iterations=(200, 100, 30),
            aff_shrink_factors=(4, 2, 1),
            aff_smoothing_sigmas=(2, 1, 0),
        )
        matrix = read_itk_affine(result["fwdtransforms"][0])
    return matrix, result["warpedmovout"].numpy()


def to_template(
    b0: np.ndarray,
    fa: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
    template: Template,
    out: dict[str, str],
) -> dict[str, float]:
    """Registration of a DWI without T1w to the template: affine by b = 0 and FA, SyN by b = 0.

    Writes ``out["affine"]``, ``out["warp"]``, ``out["inverse_warp"]`` like the T1w's registration,
    on a 2 mm grid of the template, and returns metrics. Raises `BadInput` where the affine explains
    too little of the images, or turns or stretches the head as no scan does.

    FA has no part in SyN: where fibres cross, beside the very regions that ALPS measures, it falls
    as if it were grey matter, and pulls them aside (by up to 1 mm more in two simulated heads). SyN
    ends at 8 mm: finer levels did not bring the regions nearer in those heads.
    """
    import ants

    matrix, explained = linear.register(b0, fa, mask, affine, template)
    refuse(matrix, explained)
    write_itk_affine(out["affine"], matrix)
    fixed = ants.resample_image(image_to_ants(template.t1w), (2.0,) * 3, False, 0)
    # The mask is a voxel wider than the brain; scalp and eyes in its rim would attract the cortex.
    moving = to_ants(b0 * ndimage.binary_erosion(mask), affine)
    seen = ants.apply_transforms(
        fixed, to_ants(_within(mask.shape, affine), affine), [out["affine"]], "nearestNeighbor"
    )
    with tempfile.TemporaryDirectory() as folder:
        result = ants.registration(
            fixed,
            moving,
            type_of_transform="SyNOnly",
            initial_transform=out["affine"],
            outprefix=os.path.join(folder, "syn_"),
            mask=seen,
            syn_metric="mattes",
            reg_iterations=(60, 0, 0),
            singleprecision=False,
        )
        shutil.move(result["fwdtransforms"][0], out["warp"])
        shutil.move(result["invtransforms"][1], out["inverse_warp"])
    inside = (fixed.numpy() > 0) & (seen.numpy() > 0)
    warped = result["warpedmovout"].numpy()
    return checked(
        {
            "dwi_anat_similarity": mutual_information(fixed.numpy()[inside], warped[inside]),
            "dwi_template_fit_b0": float(explained[0]),
            "dwi_template_fit_fa": float(explained[1]),
        }
    )


def _within(shape, affine: np.ndarray) -> np.ndarray:
    """1 in the field of view but for its outermost `EDGE_MM`, where a warp brings in nothing."""
    margin = np.ceil(EDGE_MM / voxel_sizes(affine)).astype(int)
    inside = np.zeros(shape, np.float32)
    inside[tuple(slice(m, n - m) for m, n in zip(margin, shape, strict=True))] = 1
    return inside


def refuse(matrix: np.ndarray, explained: np.ndarray) -> None:
    """`BadInput` for a template-to-DWI affine (4x4) that no head gives, or explains too little."""
    turn = head_angles(rotation_part(matrix[:3, :3]))["angle"]
    stretch = np.linalg.svd(matrix[:3, :3])[1]
    faults = []
    for name, share, least in zip(("b = 0", "FA"), explained, LEAST_FIT, strict=True):
        if share < least:
            faults.append(
                f"the template explains {share:.0%} of {name}, at least {least:.0%} is needed"
            )
    if turn > LARGEST_TURN_DEG:
        faults.append(f"the head would be turned by {turn:.0f} degrees")
    if stretch.min() < STRETCH[0] or stretch.max() > STRETCH[1]:
        low, high = stretch.min(), stretch.max()
        faults.append(f"the template would be scaled by {low:.2f} to {high:.2f}")
    if faults:
        raise BadInput(
            f"the DWI does not fit the template: {'; '.join(faults)}",
            cure="look at b = 0 and FA in a viewer: is it a brain, upright by its header, with the "
            "right voxel size? Convert it again, or add a T1w",
        )


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
