"""Masks and probabilities of perivascular spaces, and of lesions, that others made, as the census
reads ours.

They lie on any grid in the T1w's world coordinates. A mask stays what it is; a probability is
stretched about the threshold that its makers cut it at, so that 0.5 means the same in every map.
"""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput
from glymph.common.given import as_share
from glymph.common.images import array
from glymph.epvs.census import on_image
from glymph.epvs.prepare import Grid, resample

LEAST_SHOWN = 0.5
"""Share of the regions that a map must show: one in other world coordinates shows less."""


@dataclass(frozen=True)
class Kind:
    """What a map marks: its ``name``, and the ``most`` of the regions (share) that it can fill; an
    inverted map, or one of intensities, fills nearly all."""

    name: str
    most: float


SPACES = Kind("perivascular spaces", 0.5)
LESIONS = Kind("lesions", 0.8)


def on_grid(
    image: nib.Nifti1Image,
    path: str,
    labels: nib.Nifti1Image,
    threshold: float,
    kind: Kind = SPACES,
) -> tuple[np.ndarray, str]:
    """A map of what ``kind`` says on the grid of ``labels``: (float32 from 0 to 1, what it was).

    Above 0.5 means that it is there: what is above ``threshold`` in a probability, and the nearer
    part of a mask. ``labels`` are the regions at 1 mm, ``path`` names the map in messages. Raises
    `BadInput` for values that are neither, and for a map that shows less than half of the regions
    or marks more of them than the kind can fill.
    """
    share, form = as_share(image, path)
    regions = np.asanyarray(labels.dataobj) > 0
    found, seen = resample(share, Grid(labels.shape, labels.affine), order=1)
    found = np.where(seen, found, np.float32(0))
    if form == "probability":
        found = stretched(found, threshold)
    _check(seen[regions], found[regions] > 0.5, path, kind)
    return found, f"{form} cut at {threshold:g}" if form == "probability" else form


def stretched(probability: np.ndarray, threshold: float) -> np.ndarray:
    """``probability`` (0 to 1) with ``threshold`` at 0.5; 0 and 1 stay, and so does the order."""
    values = probability.astype(np.float64)
    below = 0.5 * values / threshold
    above = 0.5 + 0.5 * (values - threshold) / (1 - threshold)
    return np.where(probability > threshold, above, below).astype(np.float32)


def corrected_on(
    image: nib.Nifti1Image, path: str, numbers: np.ndarray, labels: nib.Nifti1Image
) -> np.ndarray:
    """A rater's corrected mask ``image`` (any grid) on the grid of ``labels``, the regions: bool.

    The rater began with the counted objects (`census.mask_of` ``numbers``) as a grid shows them
    (`census.on_image`), that of ``image``. Only the differences to these are taken over, so that
    what was left alone stays voxel by voxel, also where that grid is another. An object of which
    nothing is left goes whole. Raises `BadInput` as `on_grid` does.
    """
    drawn = array(as_share(image, path)[0]) > 0.5
    affine, shape = labels.affine, labels.shape

    def here(mask: np.ndarray) -> np.ndarray:
        return on_image(mask.astype(np.uint8), image.affine, shape, affine) > 0

    regions, shown = array(labels) > 0, here(drawn)
    _check(here(np.ones(drawn.shape))[regions], shown[regions], path, SPACES)
    before = on_image(numbers, affine, drawn.shape, image.affine)
    gone = np.setdiff1d(before[before > 0], before[drawn])
    mask = np.where(here(drawn != (before > 0)), shown, numbers > 0)
    return mask & ~np.isin(numbers, gone)


def _check(seen: np.ndarray, marked: np.ndarray, path: str, kind: Kind) -> None:
    """`BadInput` for a map of which too little is ``seen`` in the regions, or too much ``marked``:
    both are bool, over the regions' voxels."""
    if seen.size and seen.mean() < LEAST_SHOWN:
        raise BadInput(
            f"it shows {seen.mean():.0%} of the regions: it does not lie where the T1w lies", path,
            "give it whole, in the T1w's world coordinates (the affine of its header)",
        )  # fmt: skip
    if marked.size and marked.mean() > kind.most:
        raise BadInput(
            f"it marks {marked.mean():.0%} of the regions, which {kind.name} never fill", path,
            "see whether it is inverted, or a probability that goes beyond 1",
        )  # fmt: skip
