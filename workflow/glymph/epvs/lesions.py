"""White-matter lesions are no perivascular spaces: those that FLAIR or a lab's own mask shows, and
objects whose signal is not that of CSF."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

from glymph.common.images import load, load_mask, spatial
from glymph.common.spaces import read_itk_affine
from glymph.epvs import atlas
from glymph.epvs.census import Object
from glymph.epvs.prepare import Grid, resample

WHITE = 0.5
SMALLEST_VOXELS = 3
CSF_PERCENTILES = (2.0, 98.0)
"""Where CSF lies among the brain's voxels: darkest on T1w, brightest on T2w."""


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


def unlike_csf(
    objects: list[Object], t1w: np.ndarray, t2w: np.ndarray, labels: np.ndarray, least: float
) -> list[bool]:
    """For each of ``objects`` whether it is brighter on T2w than it is dark on T1w.

    A perivascular space holds CSF, whole or in part, and so moves from white matter's signal to
    CSF's by the same share on both images; a white-matter lesion is bright on T2w and less dark on
    T1w (STRIVE: Duering 2023, 10.1016/S1474-4422(23)00131-X). An object is unlike CSF where its
    share on T1w is below ``least`` times that on T2w. ``t1w`` and ``t2w`` (x, y, z): in [-1, 1] on
    the grid of ``labels``, -1 where they show nothing. White matter's signal is the median of the
    centrum semiovale, CSF's a far percentile of the brain; without them no object is judged.
    """
    white = np.isin(labels, atlas.label_values("cso")) & (t2w > -1)
    if not white.any():
        return [False] * len(objects)
    dark, _ = np.percentile(t1w[t1w > -1], CSF_PERCENTILES)
    _, bright = np.percentile(t2w[t2w > -1], CSF_PERCENTILES)
    middle_t1w, middle_t2w = np.median(t1w[white]), np.median(t2w[white])
    depth, height = middle_t1w - dark, bright - middle_t2w
    judged = []
    for item in objects:
        voxels = tuple(item.voxels.T)
        fall, rise = middle_t1w - t1w[voxels].mean(), t2w[voxels].mean() - middle_t2w
        judged.append(bool(fall * height < least * rise * depth))
    return judged
