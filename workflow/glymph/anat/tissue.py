"""Tissue segmentation of the T1w brain and its volumes."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to, resample_to_output
from scipy.ndimage import distance_transform_edt

from glymph.anat.register import to_subject
from glymph.common.errors import BadInput
from glymph.common.images import array, bounding_box
from glymph.common.registry import checked
from glymph.common.spaces import to_ants, voxel_sizes
from glymph.common.template import Template

TISSUES = ("csf", "gm", "wm")
MARGIN = 3
"""Voxels about the brain that segmentation sees."""
HULL_MARGIN_MM = 4.0
"""Beyond the template's brain, carried to the subject: what a brain mask keeps of muscle and skull
base further out does not count as tissue."""


def segment(
    t1w: nib.Nifti1Image,
    mask: np.ndarray,
    template: Template,
    affine: str,
    inverse_warp: str,
    settings: dict,
) -> dict[str, np.ndarray]:
    """Probabilities of CSF, grey and white matter on the T1w's grid, each float32 in 0 to 1.

    ANTs Atropos with the template's tissue maps, carried to the subject, as priors of weight
    ``settings["prior_weight"]``. It runs on an isotropic grid of ``settings["resolution_mm"]``
    where the T1w is finer; the probabilities are brought back by linear interpolation.
    Source: Avants 2011 (10.1007/s12021-011-9109-y).
    """
    box = bounding_box(mask, MARGIN)  # two thirds of a head image are not brain
    brain = t1w.slicer[box]
    inside = nib.Nifti1Image(mask[box].astype(np.float32), brain.affine)
    size = float(settings["resolution_mm"])
    if min(voxel_sizes(t1w.affine)) < size:
        brain = resample_to_output(brain, (size,) * 3, order=1)
        inside = resample_from_to(inside, brain, order=1)
    maps = {"csf": template.csf, "gm": array(template.gm), "wm": array(template.wm)}
    priors = _priors([to_subject(maps[t], template, brain, affine, inverse_warp) for t in TISSUES])
    hull = to_subject(template.brain.astype(np.float32), template, brain, affine, inverse_warp)
    inside = (array(inside) > 0.5) & _wider(hull > 0.5, brain.affine)
    found = _atropos(brain, inside, priors, settings["prior_weight"])
    _check_order(array(brain), found, t1w.get_filename() or "T1w")
    images = {t: nib.Nifti1Image(p, brain.affine) for t, p in found.items()}
    return {t: array(resample_from_to(image, t1w, order=1)) for t, image in images.items()}


def _atropos(brain, mask, priors, prior_weight: float) -> dict[str, np.ndarray]:
    import ants

    # Voxelwise work: on a plain grid, since Atropos rejects oblique ones that differ by rounding.
    grid = np.diag([*voxel_sizes(brain.affine), 1.0])
    result = ants.atropos(
        a=to_ants(array(brain), grid),
        x=to_ants(mask.astype(np.float32), grid),
        i=[to_ants(prior, grid) for prior in priors],
        m="[0.1,1x1x1]",
        c="[3,0.001]",
        priorweight=prior_weight,
        r=0,  # a fixed seed; by default Atropos draws another one in every run
    )
    return {t: p.numpy() for t, p in zip(TISSUES, result["probabilityimages"], strict=True)}


def _wider(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """``mask`` and what lies within `HULL_MARGIN_MM` of it."""
    return distance_transform_edt(~mask, sampling=voxel_sizes(affine)) <= HULL_MARGIN_MM


def _priors(maps: list[np.ndarray]) -> list[np.ndarray]:
    """Priors that sum to 1, none 0: the mask may hold what the template calls background."""
    maps = [np.clip(m, 0, 1) + 0.02 for m in maps]
    total = np.sum(maps, axis=0)
    return [m / total for m in maps]


def _check_order(data: np.ndarray, tissue: dict[str, np.ndarray], source: str) -> None:
    """On a T1w, CSF is darker than grey matter and that darker than white matter."""
    means = [float(np.average(data, weights=tissue[t] + 1e-9)) for t in TISSUES]
    if not means[0] < means[1] < means[2]:
        levels = ", ".join(f"{t} {m:.0f}" for t, m in zip(TISSUES, means, strict=True))
        raise BadInput(
            f"mean intensities ({levels}) are not those of a T1w",
            source,
            "check that the file is a T1w and not a T2w, and look at the brain mask",
        )


def volumes(tissue: dict[str, np.ndarray], affine: np.ndarray) -> dict[str, float]:
    """Tissue, brain and intracranial volumes in mm3 (metrics of stage anat)."""
    voxel = float(np.prod(voxel_sizes(affine)))
    amount = {t: float(tissue[t].sum(dtype=np.float64) * voxel) for t in TISSUES}
    return checked(
        {
            "brain_volume_mm3": amount["gm"] + amount["wm"],
            "gm_volume_mm3": amount["gm"],
            "wm_volume_mm3": amount["wm"],
            "csf_volume_mm3": amount["csf"],
            "icv_volume_mm3": sum(amount.values()),
        }
    )
