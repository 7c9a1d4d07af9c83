"""Probability of perivascular space on the 1 mm grid: by the 2D VB-Net, by Frangi's filter, or from
a lab's own map. A lab's own program: `command`."""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np
from scipy import ndimage

from glymph.common.errors import BadInput
from glymph.common.given import volume
from glymph.common.images import array, bounding_box
from glymph.epvs.census import CONNECTED, PROBABILITY, Reading, marked_by
from glymph.epvs.maps import on_grid
from glymph.epvs.quality import way_to_csf, white_matter
from glymph.epvs.ridge import lines
from glymph.networks.run import Bundle, open_bundle

REACH = 3
"""Voxels (of 1 mm) around the regions: the networks and filters see this much more."""
NO_IMAGE = -1.0
"""Value of the T2w channel where there is no T2w."""
SCALES_MM = (0.6, 1.0, 1.4)
SEEN = 0.5
"""Part of an object's volume that a network must show for its word to stand."""
CORE, DARKEST = 0.65, 95
"""How far an object that only a second network sees must fall to CSF on T1w, in this percentile of
its voxels. Simulated lesions that it took for spaces reach 0.62 at most; tubes of 2.5 mm and more
in a real head, blurred and of four fifths of CSF's contrast, at least 0.66."""
SHARES = Reading(seed=0.45, grow=0.2, shares=True)
"""How the shares of a network are read: see the card of the shipped one for what others give."""


def by_network(
    t1w: np.ndarray, t2w: np.ndarray | None, labels: np.ndarray, bundle: Bundle
) -> np.ndarray:
    """Share or probability (float32, x, y, z) by the 2D VB-Net, 0 away from the regions.

    ``t1w`` and ``t2w``: [-1, 1] on one 1 mm grid in RAS order; the network sees slices of both, in
    every plane that its bundle names. Without T2w (None) its channel is empty, which the network
    was trained on too. What it hardly sees is `supplemented` by the bundle's other networks,
    where there is white matter to measure CSF against.
    """
    box = bounding_box(labels > 0, REACH)
    channels = channels_of(t1w[box], None if t2w is None else t2w[box], bundle.settings["channels"])
    found = np.zeros(t1w.shape, np.float32)
    first, *others = (one.probabilities(channels)[1] for one in bundle.alone())
    if others:
        brain = ndimage.binary_fill_holes(ndimage.binary_closing(t1w > NO_IMAGE, iterations=2))
        white = white_matter(labels, brain)
        fall = way_to_csf(t1w, white, brain)[box] if white.any() else None
    for other in others:
        if fall is not None:
            first = supplemented(first, other, fall)
    found[box] = first
    return found


def supplemented(first: np.ndarray, second: np.ndarray, fall: np.ndarray) -> np.ndarray:
    """The shares ``first`` and, in each object of ``second`` of which the first shows less than
    `SEEN` and which holds CSF, the larger of the two (x, y, z).

    ``fall``: how far the T1w goes from white matter's signal to that of CSF; an object holds CSF
    where it reaches `CORE`. The larger one throughout would make spaces that both see larger than
    they are, and lesions, which the second network takes for wide spaces, go less far.
    """
    everywhere = np.ones(second.shape, np.uint8)
    parts, _ = ndimage.label(marked_by(second, everywhere, SHARES), CONNECTED)
    found = first.copy()
    for number, place in enumerate(ndimage.find_objects(parts), start=1):
        box = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in place)
        marked = parts[box] == number
        own = ndimage.binary_dilation(marked, CONNECTED)
        hardly_seen = first[box][own].sum() < SEEN * second[box][own].sum()
        if hardly_seen and np.percentile(fall[box][marked], DARKEST) >= CORE:
            found[box] = np.where(own, np.maximum(first[box], second[box]), found[box])
    return found


def reading_of(bundle: Bundle) -> Reading:
    """How the result of ``bundle`` is to be read."""
    return SHARES if bundle.settings["shares"] else PROBABILITY


def channels_of(t1w: np.ndarray, t2w: np.ndarray | None, names: Sequence[str]) -> np.ndarray:
    """What a network sees (channels, x, y, z): T1w, T2w (empty where there is none) and, where it
    is among ``names``, their `lines`."""
    made = [t1w, np.full_like(t1w, NO_IMAGE) if t2w is None else t2w]
    if "lines" in names:
        made.append(lines(t1w, t2w))
    return np.stack(made)


def by_frangi(
    t1w: np.ndarray, t2w: np.ndarray | None, labels: np.ndarray, threshold: float
) -> np.ndarray:
    """Vesselness (Frangi 1998, 10.1007/BFb0056195) of what is dark on T1w and bright on T2w.

    The filter runs on half the difference T2w - T1w (the T1w alone where there is no T2w), at
    scales of 0.6 to 1.4 mm. Returned as v / (v + ``threshold``): a probability above 0.5 means a
    vesselness above the threshold. The classical baseline, as in Ballerini 2018
    (10.1038/s41598-018-19781-5).
    """
    from skimage.filters import frangi

    box = bounding_box(labels > 0, REACH)
    contrast = -t1w[box] if t2w is None else (t2w[box] - t1w[box]) / 2
    vesselness = frangi(
        contrast.astype(np.float64), sigmas=SCALES_MM, alpha=0.5, beta=0.5, gamma=0.2,
        black_ridges=False,
    )  # fmt: skip
    found = np.zeros(t1w.shape, np.float32)
    found[box] = vesselness / (vesselness + threshold)
    return found


def segment(
    t1w: nib.Nifti1Image,
    t2w: np.ndarray | None,
    labels: np.ndarray,
    engine: str,
    model: str | None,
    frangi_threshold: float,
    provided: str | None,
    threshold: float | None,
    threads: int,
) -> tuple[np.ndarray, str, Reading]:
    """Map (float32) on the grid of ``t1w`` by ``engine``, the name of what made it, and how it is
    to be read.

    ``t1w`` and ``t2w`` (None where there is none) are in [-1, 1]. ``threshold`` cuts a ``provided``
    probability (`maps.on_grid`). Raises `BadInput` where engine "provided" finds no map, or none
    that can be used.
    """
    if engine == "provided":
        if not provided:
            raise BadInput(
                "no provided mask of perivascular spaces", t1w.get_filename() or "T1w",
                "add it where epvs.epvs_mask points",
            )  # fmt: skip
        regions = nib.Nifti1Image(labels, t1w.affine)
        share, kind = on_grid(volume(provided), provided, regions, threshold)
        return share, f"provided {kind}", PROBABILITY
    if engine == "frangi":
        return by_frangi(array(t1w), t2w, labels, frangi_threshold), "frangi", PROBABILITY
    bundle = open_bundle("epvs", model, threads)
    return by_network(array(t1w), t2w, labels, bundle), bundle.title, reading_of(bundle)
