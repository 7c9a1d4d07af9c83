"""White-matter lesions that FLAIR or a lab's own mask shows: they are no perivascular spaces."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

from glymph.common.images import load, load_mask, spatial
from glymph.common.spaces import read_itk_affine
from glymph.epvs.prepare import Grid, resample

WHITE = 0.5
SMALLEST_VOXELS = 3


def find_lesions(files: dict[str, str], labels: np.ndarray, affine: np.ndarray, deviations: float):
    """Lesions on the 1 mm grid of ``labels``: (bool array or None, what made it).

    ``files``: ``lesion_mask`` (in the T1w's world coordinates) wins; otherwise ``flair`` with its
    ``matrix`` and the white matter ``wm``; without either there are none to exclude.
    """
    grid = Grid(labels.shape, affine)
    if "lesion_mask" in files:
        share, _ = resample(load_mask(files["lesion_mask"]), grid, order=1)
        return share > 0.5, "provided mask"
    if "flair" not in files:
        return None, "none"
    flair = load(files["flair"])
    flair = nib.Nifti1Image(spatial(flair), flair.affine)
    values, seen = resample(flair, grid, read_itk_affine(files["matrix"]))
    white, _ = resample(load(files["wm"]), grid, order=1)
    return bright_on_flair(values, (white > WHITE) & seen, seen, deviations), "FLAIR"


def bright_on_flair(flair: np.ndarray, white: np.ndarray, seen: np.ndarray, deviations: float):
    """What is brighter on ``flair`` than white matter, by ``deviations`` robust standard
    deviations above its median, and the voxels next to it.

    Spots of fewer than 3 voxels are noise. Perivascular spaces follow CSF and are dark; lesions are
    searched in all that is ``seen``, since a tissue segmentation takes many for grey matter.
    """
    values = flair[white]
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))
    bright = seen & (flair > middle + deviations * max(spread, 1e-6))
    parts, count = ndimage.label(bright, np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    kept = np.isin(parts, np.flatnonzero(sizes >= SMALLEST_VOXELS))
    return ndimage.binary_dilation(kept) & seen
