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
RIM_VOXELS = 6
"""The brain without its rim: what a mask cuts is no edge between tissues."""
EQUALLY_SHARP = 0.8
"""The ratio of `_sharpness`, T1w to T2w, of images with equal blur: 0.8 to 0.9 on synthetic heads,
0.8 in one real head, T1w and T2w of which were acquired alike."""
ALLOWANCE = 3
"""A thin tube loses contrast with about the square of what an edge loses; one more, since it is
better to count a lesion than to lose a space."""


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
    objects: list[Object],
    t1w: np.ndarray,
    t2w: np.ndarray,
    brain: np.ndarray,
    labels: np.ndarray,
    least: float,
) -> list[bool]:
    """For each of ``objects`` whether it is brighter on T2w than it is dark on T1w.

    A perivascular space holds CSF, whole or in part, and so moves from white matter's signal to
    CSF's by the same share on both images; a white-matter lesion is bright on T2w and less dark on
    T1w (STRIVE: Duering 2023, 10.1016/S1474-4422(23)00131-X). An object is unlike CSF where its
    share on T1w is below ``least`` times that on T2w; less where the T1w is the blurrier of the
    two, which takes contrast from small objects. ``t1w`` and ``t2w`` (x, y, z): in [-1, 1] on the
    grid of ``brain`` (bool) and of the region ``labels``; the T2w is -1 where it shows nothing, and
    an object is judged by the voxels that both show. Without any, without white matter of the
    centrum semiovale to compare with, and with ``least`` 0, it is not judged.
    """
    seen = brain & (t2w > -1)
    white = np.isin(labels, atlas.label_values("cso")) & seen
    if not white.any() or not least:
        return [False] * len(objects)
    fall = way_to_csf(t1w, white, brain)
    rise = way_to_csf(t2w, white, seen, brightest=True)
    inner = ndimage.binary_erosion(brain, iterations=RIM_VOXELS) & seen
    sharpness = _sharpness(fall, inner) / max(_sharpness(rise, inner), 1e-6)
    least *= min(1.0, sharpness / EQUALLY_SHARP) ** ALLOWANCE
    shown = [tuple(item.voxels[seen[tuple(item.voxels.T)]].T) for item in objects]
    return [
        bool(place[0].size and fall[place].mean() < least * rise[place].mean()) for place in shown
    ]


def way_to_csf(
    image: np.ndarray, white: np.ndarray, brain: np.ndarray, *, brightest: bool = False
) -> np.ndarray:
    """``image`` as the share of the way from white matter (0) to CSF (1), which is the darkest of
    the ``brain`` (bool, as ``white``), or the brightest as on T2w."""
    csf = float(np.percentile(image[brain], CSF_PERCENTILES[brightest]))
    middle = float(np.median(image[white]))
    return (image - middle) / (csf - middle if csf != middle else np.inf)


def _sharpness(share: np.ndarray, inside: np.ndarray) -> float:
    """Steepness (1/voxel) of the steepest edges, those of the ventricles; 0 where there is none."""
    steps = np.gradient(np.clip(share, 0, 1))
    steepness = np.sqrt(sum(step**2 for step in steps))[inside]
    return float(np.percentile(steepness, 99)) if steepness.size else 0.0
