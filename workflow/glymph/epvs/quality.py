"""What T1w and T2w show at all: their contrast, noise and sharpness on the 1 mm grid.

How much of a perivascular space a network sees depends on them, so they stand beside every count.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from glymph.common import legend
from glymph.common.registry import checked

CSF_PERCENTILES = (2.0, 98.0)
"""Where CSF lies among the brain's voxels: darkest on T1w, brightest on T2w."""
RIM_VOXELS = 6
"""The brain without its rim: what a mask cuts is no edge between tissues."""
STEEPEST = 99.0
"""Percentile of the steepness of edges: those of the ventricles."""
FULL_WIDTH = 0.94
"""Full width at half maximum of a Gaussian blur times the steepest slope of an edge it blurred:
2 sqrt(2 ln 2) / sqrt(2 pi)."""
WHITE_REGIONS = ("cso", "dwm")


def white_matter(labels: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Voxels (bool) of hemispheric white matter in the region ``labels``, of those ``seen``."""
    return np.isin(labels, [v for r in WHITE_REGIONS for v in legend.label_values(r)]) & seen


def way_to_csf(
    image: np.ndarray, white: np.ndarray, brain: np.ndarray, *, brightest: bool = False
) -> np.ndarray:
    """``image`` as the share of the way from white matter (0) to CSF (1), which is the darkest of
    the ``brain`` (bool, as ``white``), or the brightest as on T2w."""
    csf = float(np.percentile(image[brain], CSF_PERCENTILES[brightest]))
    middle = float(np.median(image[white]))
    return (image - middle) / (csf - middle if csf != middle else np.inf)


def steepness(share: np.ndarray, brain: np.ndarray) -> float:
    """Slope (1/voxel) of the steepest edges of ``share`` (0 to 1) well inside the ``brain``; 0
    where there is none."""
    inside = ndimage.binary_erosion(brain, iterations=RIM_VOXELS)
    steps = np.gradient(np.clip(share, 0, 1))
    slopes = np.sqrt(sum(step**2 for step in steps))[inside]
    return float(np.percentile(slopes, STEEPEST)) if slopes.size else 0.0


def noise(share: np.ndarray, white: np.ndarray) -> float | None:
    """Standard deviation of ``share`` from voxel to voxel inside ``white`` (bool); None where that
    is too thin to tell.

    Robust, of what is left after the mean of the six neighbours is taken away (Immerkaer 1996,
    10.1006/cviu.1996.0060, in three dimensions). Noise that interpolation has smoothed counts less.
    """
    inside = ndimage.binary_erosion(white)
    if inside.sum() < 100:
        return None
    neighbours = ndimage.generate_binary_structure(3, 1).astype(np.float32)
    neighbours[1, 1, 1] = 0
    rest = (share - ndimage.convolve(share, neighbours / 6))[inside]
    spread = 1.4826 * np.median(np.abs(rest - np.median(rest)))
    return float(spread / np.sqrt(7 / 6))


def measure(
    t1w: np.ndarray, t2w: np.ndarray | None, brain: np.ndarray, labels: np.ndarray
) -> dict[str, float | None]:
    """Noise and sharpness of each image (metrics), in [-1, 1] on a grid of 1 mm with ``brain``
    (bool) and the region ``labels``; None where there is no image or no white matter to compare."""
    values = {}
    for kind, image, brightest in (("t1w", t1w, False), ("t2w", t2w, True)):
        seen = brain if image is None else brain & (image > -1)
        white = white_matter(labels, seen)
        if image is None or not white.any():
            values |= {f"{kind}_noise": None, f"{kind}_edge_mm": None}
            continue
        share = way_to_csf(image, white, brain if kind == "t1w" else seen, brightest=brightest)
        slope = steepness(share, seen)
        values[f"{kind}_noise"] = noise(share, white)
        values[f"{kind}_edge_mm"] = FULL_WIDTH / slope if slope else None
    return checked(values)
