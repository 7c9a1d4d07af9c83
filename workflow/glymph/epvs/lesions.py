"""White-matter lesions are no perivascular spaces: those that FLAIR, a lab's own mask or a program
of its own shows, and objects whose signal, or whose surroundings, are a lesion's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from scipy import ndimage

from glymph.common import legend
from glymph.common.given import load_mask
from glymph.common.images import array, load, spatial
from glymph.common.registry import checked
from glymph.common.spaces import read_itk_affine, voxel_sizes
from glymph.epvs.census import CONNECTED, Object
from glymph.epvs.prepare import Grid, resample
from glymph.epvs.quality import steepness, way_to_csf, white_matter

WHITE = 0.5
SMALLEST_VOXELS = 3
NUCLEI = ("bg", "midbrain")
"""Regions that have a level of their own on FLAIR: grey matter is brighter than white."""
CLOSING_MM = 3
"""A lesion that a tissue segmentation takes for grey matter is a hole in the white matter, or a bay
of it at the ventricle, no wider than twice this."""
EQUALLY_SHARP = 0.8
"""The ratio of `steepness`, T1w to T2w, of images with equal blur: 0.8 to 0.9 on synthetic heads,
0.8 in one real head, T1w and T2w of which were acquired alike."""
ALLOWANCE = 3
"""A thin tube loses contrast with about the square of what an edge loses; one more, since it is
better to count a lesion than to lose a space."""
SHELL_VOXELS = (2, 4)
"""Surroundings of an object: from beyond its blurred border to twice as far."""
LESION_RISE = 0.2
"""Surroundings are lesion-like that rise by this share of the way from their region's level to CSF
on T2w."""
DARK_IN_LESION = 0.5
"""What an object in such surroundings must fall of the way to CSF on T1w: lesions fall less."""
FLUID = 0.7
"""Share of the way to CSF on T1w beyond which a voxel is ventricle or sulcus, no surroundings."""


@dataclass(frozen=True)
class Lesions:
    """Lesions on a grid of 1 mm (bool, x, y, z), and what made them ("none" where nothing shows
    any: then ``mask`` is None)."""

    mask: np.ndarray | None
    made_by: str

    @property
    def with_border(self) -> np.ndarray | None:
        """The lesions and, of those that a threshold found, the voxels next to them."""
        if self.made_by != "FLAIR":
            return self.mask
        return ndimage.binary_dilation(self.mask)


def find_lesions(files: dict[str, str], labels: np.ndarray, affine: np.ndarray, deviations: float):
    """`Lesions` on the 1 mm grid of ``labels``.

    ``files``: ``lesion_mask`` (in the T1w's world coordinates), or ``lesion_map`` (a program's, on
    this grid, above 0.5 a lesion), or ``flair`` with its ``matrix`` and the tissues ``wm`` and
    ``gm``; without any of them there are none to exclude.
    """
    grid = Grid(labels.shape, affine)
    if "lesion_mask" in files:
        share, _ = resample(load_mask(files["lesion_mask"]), grid, order=1)
        return Lesions(share > 0.5, "provided mask")
    if "lesion_map" in files:
        return Lesions(array(load(files["lesion_map"])) > 0.5, "command")
    if "flair" not in files:
        return Lesions(None, "none")
    flair = load(files["flair"])
    flair = nib.Nifti1Image(spatial(flair), flair.affine)
    values, seen = resample(flair, grid, read_itk_affine(files["matrix"]))
    white, grey = (resample(load(files[name]), grid, order=1)[0] for name in ("wm", "gm"))
    bright = bright_on_flair(values, white * seen, grey, labels * seen, deviations)
    return Lesions(bright & seen, "FLAIR")  # beyond its field of view the FLAIR's edge is repeated


def bright_on_flair(
    flair: np.ndarray, white: np.ndarray, grey: np.ndarray, labels: np.ndarray, deviations: float
) -> np.ndarray:
    """What is brighter on ``flair`` than its tissue is, by ``deviations`` robust standard
    deviations above the tissue's median (bool).

    White matter, shares ``white`` beside ``grey``, is closed first: a segmentation takes many
    lesions for grey matter; what is bright there must lie `in_white_matter`. Basal ganglia and
    midbrain of the region ``labels`` are measured against themselves, for healthy grey matter is
    brighter than white. Cortex is not searched. Spots of fewer than 3 voxels are noise.
    """
    sure = white > WHITE
    nuclei = [np.isin(labels, legend.label_values(name)) & (flair > 0) for name in NUCLEI]
    rest = closed(sure, CLOSING_MM) & ~np.any(nuclei, axis=0)
    bright = rest & (flair > _limit(flair[sure & rest], deviations))
    bright = in_white_matter(bright, white, grey)
    for inside in nuclei:
        bright |= inside & (flair > _limit(flair[inside], deviations))
    parts, count = ndimage.label(bright, CONNECTED)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    return np.isin(parts, np.flatnonzero(sizes >= SMALLEST_VOXELS))


def in_white_matter(mask: np.ndarray, white: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """The parts of ``mask`` (bool, x, y, z) about which there is more white matter than grey.

    A lesion itself is often taken for grey matter, by its signal on T1w; what surrounds it is not.
    Plexus, septum and cortex, which are bright on FLAIR too, have little white matter about them.
    ``white`` and ``grey``: shares of every voxel.
    """
    parts, _ = ndimage.label(mask, CONNECTED)
    kept = np.zeros(mask.shape, bool)
    for box, own, rim in with_rims(parts):
        if white[box][rim].sum() > grey[box][rim].sum():
            kept[box] |= own
    return kept


def with_rims(parts: np.ndarray) -> Iterator[tuple[tuple[slice, ...], np.ndarray, np.ndarray]]:
    """(Box of slices; voxels in it; their neighbours, of 26, in it) of each number in ``parts``."""
    for number, place in enumerate(ndimage.find_objects(parts), start=1):
        box = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in place)
        own = parts[box] == number
        yield box, own, ndimage.binary_dilation(own, CONNECTED) & ~own


def closed(mask: np.ndarray, reach: float) -> np.ndarray:
    """``mask`` (bool) with its holes, gaps and bays of up to ``reach`` voxels to either side."""
    near = ndimage.distance_transform_edt(~mask) <= reach
    return mask | (ndimage.distance_transform_edt(near) > reach)


def _limit(values: np.ndarray, deviations: float) -> float:
    if not values.size:
        return np.inf
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))
    return float(middle + deviations * max(spread, 1e-6))


MEASURED = ("provided mask", "command")
"""What marks lesions well enough to measure them by it."""


def volumes(lesions: Lesions, labels: np.ndarray, affine: np.ndarray) -> dict[str, float | None]:
    """Volume (mm3) of the ``lesions`` in the brain and in each region; None where neither a mask
    was given nor a program of the lab's own ran: what a threshold on FLAIR finds serves to leave
    objects out, and is no measure of lesions (over three times the raters' volume in the one
    patient with a reference)."""
    names = {"wmh_volume_mm3": None} | {f"wmh_{name}_volume_mm3": name for name in legend.names()}
    if lesions.made_by not in MEASURED:
        return checked(dict.fromkeys(names))
    voxel = float(np.prod(voxel_sizes(affine)))
    sizes = voxel * np.bincount(labels[lesions.mask], minlength=256)
    return checked(
        {
            column: float(
                voxel * lesions.mask.sum()
                if name is None
                else sizes[legend.label_values(name)].sum()
            )
            for column, name in names.items()
        }
    )


@dataclass(frozen=True)
class Shown:
    """What T1w and T2w show of a brain, on one grid of 1 mm: ``fall`` on T1w and ``rise`` on T2w
    on the way from white matter to CSF (float, x, y, z), where both were ``seen``
    (bool), and how much blurrier the T1w is (1: not at all)."""

    fall: np.ndarray
    rise: np.ndarray
    seen: np.ndarray
    sharpness: float


def shown(t1w: np.ndarray, t2w: np.ndarray, brain: np.ndarray, labels: np.ndarray) -> Shown | None:
    """`Shown` of ``t1w`` and ``t2w`` (x, y, z), in [-1, 1] on the grid of ``brain`` (bool) and of
    the region ``labels``; the T2w is -1 where it shows nothing. None without white matter to
    compare with."""
    seen = brain & (t2w > -1)
    white = white_matter(labels, seen)
    if not white.any():
        return None
    fall = way_to_csf(t1w, white, brain)
    rise = way_to_csf(t2w, white, seen, brightest=True)
    ratio = steepness(fall, seen) / max(steepness(rise, seen), 1e-6)
    return Shown(fall, rise, seen, min(1.0, ratio / EQUALLY_SHARP))


def unlike_csf(
    objects: list[Object], pair: Shown | None, around: list[tuple], least: float
) -> list[bool]:
    """For each of ``objects`` whether it stands out on T2w more than on T1w.

    A perivascular space holds CSF, whole or in part, and so moves from the signal of the tissue
    about it to CSF's by the same share on both images; a white-matter lesion is bright on T2w and
    less dark on T1w (STRIVE: Duering 2023, 10.1016/S1474-4422(23)00131-X). An object is unlike CSF
    where its share on T1w is below ``least`` times that on T2w, less where the T1w is the blurrier
    of the two, which takes contrast from small objects; measured both from white matter, which
    wrongs faint spaces in tissue of another level, and from the `surroundings` ``around`` it, which
    wrongs spaces whose neighbours are. An object is judged by the voxels that both images show;
    without any, or with ``least`` 0, it is not judged.
    """
    if pair is None or not least:
        return [False] * len(objects)
    least *= pair.sharpness**ALLOWANCE
    judged = []
    for item, shell in zip(objects, around, strict=True):
        place = tuple(item.voxels[pair.seen[tuple(item.voxels.T)]].T)
        judged.append(
            bool(place[0].size)
            and all(
                pair.fall[place].mean() - fall < least * (pair.rise[place].mean() - rise)
                for fall, rise in ((0.0, 0.0), _level(pair, shell))
            )
        )
    return judged


def _level(pair: Shown, shell: tuple) -> tuple[float, float]:
    """Median of fall and rise in a ``shell``; white matter's where it is empty."""
    if not shell[0].size:
        return 0.0, 0.0
    return float(np.median(pair.fall[shell])), float(np.median(pair.rise[shell]))


def in_lesion_like(
    objects: list[Object], pair: Shown | None, around: list[tuple], labels: np.ndarray
) -> list[bool]:
    """For each of ``objects`` whether T2w is bright ``around`` it, in its `surroundings`, as in a
    lesion or a cap of one, compared with the median of its region in ``labels``."""
    if pair is None:
        return [False] * len(objects)
    levels = {
        name: float(np.median(pair.rise[inside])) if inside.any() else 0.0
        for name in legend.names()
        for inside in [np.isin(labels, legend.label_values(name)) & pair.seen]
    }
    return [
        bool(shell[0].size and pair.rise[shell].mean() - levels[item.region] > LESION_RISE)
        for item, shell in zip(objects, around, strict=True)
    ]


def tissue(fall: np.ndarray, seen: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Voxels (bool) of the regions ``labels``, of those ``seen`` (bool), that are no fluid by their
    ``fall`` to CSF on T1w."""
    return seen & (labels > 0) & (fall < FLUID)


def surroundings(objects: list[Object], free: np.ndarray, labels: np.ndarray) -> list[tuple]:
    """Indices of what lies `SHELL_VOXELS` around each of ``objects`` within its region of
    ``labels``, is ``free`` (bool, x, y, z) and belongs to no other object."""
    free = free.copy()
    for item in objects:
        free[tuple(item.voxels.T)] = False
    return [_shell(item, free, labels) for item in objects]


def _shell(item: Object, free: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, ...]:
    near, far = SHELL_VOXELS
    low = np.maximum(item.voxels.min(axis=0) - far, 0)
    box = tuple(slice(a, b) for a, b in zip(low, item.voxels.max(axis=0) + far + 1, strict=True))
    empty = np.ones(free[box].shape, bool)
    empty[tuple((item.voxels - low).T)] = False
    away = ndimage.distance_transform_edt(empty)
    own = np.isin(labels[box], legend.label_values(item.region))
    inside = np.argwhere((away >= near) & (away <= far) & free[box] & own)
    return tuple((inside + low).T)


def like_lesions(
    objects: list[Object], pair: Shown | None, labels: np.ndarray, least: float
) -> tuple[list[bool], float | None]:
    """(For each of ``objects`` whether T1w and T2w show a lesion and no perivascular space, the
    share of them that lie in lesion-like surroundings or None without objects).

    Those that are `unlike_csf`, and of those `in_lesion_like` surroundings such as are not dark
    enough on T1w. With ``least`` 0 none is.
    """
    if pair is None or not objects:
        return [False] * len(objects), None
    free = tissue(pair.fall, pair.seen, labels)
    around = surroundings(objects, free, labels)
    inside = in_lesion_like(objects, pair, around, labels)
    pale = [pair.fall[tuple(item.voxels.T)].mean() < DARK_IN_LESION for item in objects]
    unlike = unlike_csf(objects, pair, around, least)
    found = [bool(least) and (u or (i and p)) for u, i, p in zip(unlike, inside, pale, strict=True)]
    return found, float(np.mean(inside))
