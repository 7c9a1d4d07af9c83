"""Perivascular spaces region by region, near enough to judge: the slices that hold most of them."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from glymph.common import legend
from glymph.common.images import array, bounding_box
from glymph.qc.page import Closeup, Slice
from glymph.qc.panels import DPI, RIM, letters, picture, ras

SLICES = 4
"""Of each region, where there are as many."""
APART_MM = 5
"""Slices nearer to each other show the same spaces."""
MARGIN_MM = 8
LEAST_MM = 40
"""Edge of the smallest crop: less shows no landmark."""
ZOOM = (3.0, 10.0)
"""Pixels per mm, at least and at most."""
PANEL_PX = (470, 560)
"""Two panels stand side by side on the page; a wider crop is drawn larger and scaled by it."""
BORDER = {"colors": "#3aa0ff", "linewidths": 0.7, "linestyles": "dotted"}
COUNTED = {"colors": "#ff2f5e", "linewidths": 1.3, "linestyles": "solid"}
NOT_COUNTED = {"colors": "#f0e442", "linewidths": 1.3, "linestyles": [(0, (2.2, 1.6))]}
WORDS = (
    "Solid red line: counted. Dashed yellow line with a cross: found and not counted (too short, "
    "in a lesion, unlike CSF, or part of a larger CSF space). Dotted blue line: the region. What "
    "is red should be bright on T2w and dark on T1w, round or a thin line, no sulcus, no ventricle."
)


@dataclass(frozen=True)
class Found:
    """What is looked at, on one grid of 1 mm in RAS order: ``grounds`` (T1w, T2w) in [-1, 1] by
    name, region labels, numbers of the counted objects, and what was not counted (bool)."""

    grounds: dict[str, np.ndarray]
    labels: np.ndarray
    objects: np.ndarray
    others: np.ndarray
    affine: np.ndarray


def closeups(t1w, t2w, labels, objects, not_counted) -> list[Closeup]:
    """What the lines mean, then one `Closeup` per region of `resources/regions.yaml`.

    All are NIfTI images on one grid of 1 mm in any storage; ``t2w`` None where there is none.
    """
    grounds = {name: array(ras(i)) for name, i in (("T1w", t1w), ("T2w", t2w)) if i is not None}
    places, numbers = (array(ras(image), np.int32) for image in (labels, objects))
    others = array(ras(not_counted)) > 0
    found = Found(grounds, places, numbers, others, ras(labels).affine)
    homes = _homes(places, numbers)
    lead = Closeup("Perivascular spaces, region by region", WORDS, [])
    return [lead, *(_closeup(name, found, homes) for name in legend.names())]


def _homes(labels: np.ndarray, objects: np.ndarray) -> dict[int, str]:
    """The region of every object inside the regions, as the census has it."""
    where = (objects > 0) & (labels > 0)
    numbers, values = objects[where], labels[where]
    return {int(n): legend.home(values[numbers == n])[0] for n in np.unique(numbers)}


def _closeup(name: str, found: Found, homes: dict[int, str]) -> Closeup:
    title = legend.definitions()["regions"][name]["label"]
    inside = np.isin(found.labels, legend.label_values(name))
    own = [number for number, region in homes.items() if region == name]
    counted = np.isin(found.objects, own) & (found.objects > 0)
    shown = counted if counted.any() else found.others & inside
    if not inside.any():
        return Closeup(title, "This region is not in the image.", [])
    if not shown.any():
        return Closeup(title, "No perivascular space was found in this region.", [])
    contrast = {key: _contrast(ground[inside]) for key, ground in found.grounds.items()}
    slices = [_slice(k, counted, inside, found, contrast) for k in fullest(shown)]
    n = len(own)
    words = f"{n} perivascular space{'' if n == 1 else 's'} counted; the slices that hold most."
    if not own:
        words = "None was counted; the slices that hold most of what was found and not counted."
    return Closeup(title, words, slices)


def _contrast(values: np.ndarray) -> tuple[float, float]:
    """Black and white for a region of these values: all of [-1, 1] would hide what is faint."""
    low, high = np.percentile(values, (1, 99))
    more = max(0.8 * (high - low), 0.05)
    return float(low - more), float(high + more)


def fullest(found: np.ndarray, count: int = SLICES, apart: int = APART_MM) -> list[int]:
    """Up to ``count`` axial slices (third axis) with most of ``found`` (x, y, z; bool), from top to
    bottom, each at least ``apart`` voxels from the others.

    >>> column = np.zeros((1, 2, 12), bool)
    >>> column[0, :, 2], column[0, 0, 3:12] = True, True
    >>> fullest(column)
    [11, 7, 2]
    """
    per_slice = found.sum(axis=(0, 1))
    levels: list[int] = []
    while len(levels) < count and per_slice.any():
        levels.append(int(np.argmax(per_slice)))
        per_slice[max(levels[-1] - apart + 1, 0) : levels[-1] + apart] = 0
    return sorted(levels, reverse=True)


def window(shown: np.ndarray) -> tuple[slice, slice]:
    """The part of a slice (x, y; bool, not empty) that holds ``shown`` with a margin."""
    box = bounding_box(shown, MARGIN_MM)
    return tuple(_widened(s, size) for s, size in zip(box, shown.shape, strict=True))


def _widened(span: slice, size: int) -> slice:
    """``span`` grown on both sides to `LEAST_MM`, and moved where it would leave the image."""
    width = min(max(span.stop - span.start, LEAST_MM), size)
    start = min(max((span.start + span.stop - width) // 2, 0), size - width)
    return slice(start, start + width)


def _slice(level: int, counted: np.ndarray, inside: np.ndarray, found: Found, contrast) -> Slice:
    looked_at = (counted | (found.others & inside))[..., level]
    box = window(looked_at)
    planes = {name: ground[..., level][box] for name, ground in found.grounds.items()}
    borders = [f[..., level][box] for f in (inside, found.others, found.objects > 0)]
    here = len(np.unique(found.objects[..., level][counted[..., level]]))
    middle = [(span.start + span.stop - 1) / 2 for span in box]
    z = round((found.affine @ [*middle, level, 1])[2])
    title = f"{_sides(found.labels[..., level][looked_at])}, z = {z} mm"
    title = f"{here} counted in this slice, {title}" if here else title
    return Slice(
        title,
        {name: _drawn(plane, contrast[name], []) for name, plane in planes.items()},
        {name: _drawn(plane, contrast[name], borders) for name, plane in planes.items()},
    )


def _sides(labels: np.ndarray) -> str:
    """The sides of these label values: a crop of one side does not tell by itself."""
    known = legend.definitions()["labels"]
    return " and ".join(sorted({known[int(v)]["side"] for v in np.unique(labels) if v}))


def _drawn(plane: np.ndarray, contrast: tuple[float, float], borders: list[np.ndarray]) -> bytes:
    """A plane (x, y) enlarged by cubic interpolation, with the outlines of region, not counted and
    counted where ``borders`` are given."""
    low, high = contrast
    width, height = plane.shape
    zoom = np.clip(min(PANEL_PX[0] / width, PANEL_PX[1] / height), *ZOOM)
    size = (width * zoom / DPI, height * zoom / DPI)
    figure, axis = plt.subplots(figsize=size, facecolor="k")
    figure.subplots_adjust(0, 0, 1, 1)
    axis.imshow(plane.T, origin="lower", cmap="gray", vmin=low, vmax=high,
                interpolation="bicubic", aspect="auto")  # fmt: skip
    axis.set_axis_off()
    letters(axis, "axial")
    axis.plot([2, 12], [2, 2], color="w", lw=2, path_effects=RIM)
    axis.text(13, 2, "10 mm", color="w", fontsize=8, va="center", path_effects=RIM)
    for border, style in zip(borders, (BORDER, NOT_COUNTED, COUNTED), strict=False):
        if border.any() and not border.all():
            axis.contour(border.T, [0.5], **style)
    if borders:
        _crosses(axis, borders[1])
    axis.set_xlim(-0.5, width - 0.5)
    axis.set_ylim(-0.5, height - 0.5)
    return picture(figure)


def _crosses(axis, others: np.ndarray) -> None:
    """A cross beside everything that was not counted, which is so told by more than colour."""
    parts, _ = ndimage.label(others, np.ones((3, 3)))
    for x, y in ndimage.find_objects(parts):
        axis.plot(x.stop + 1, (y.start + y.stop - 1) / 2, "x", color=NOT_COUNTED["colors"], ms=5)
