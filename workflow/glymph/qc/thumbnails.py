"""All thumbnails of one unit in one small file, tile beside tile, for the page of the cohort.

One file per unit instead of eight: a cohort of thousands keeps its inodes.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to
from scipy import ndimage

from glymph.common.images import array, bounding_box
from glymph.qc.figures import outline, outlines
from glymph.qc.panels import Pair, crop, in_plane, on_grid, panel, ras

TILES = ("brain", "t2w", "regions", "epvs", "b0", "template", "roi", "motion")
"""Order of the tiles from left to right; one that cannot be drawn stays dark."""
TILE_PX = (160, 128)
DPI = 100
PLACE = (80, 64)
"""Voxels of 1 mm that the tile of perivascular spaces shows: two pixels each."""
LARGEST = 5
"""Perivascular spaces that decide which place it shows."""
EDGE = {"colors": "#ff5a36", "linewidths": 0.5}


def thumbnails(draw: dict[str, Callable]) -> bytes:
    """A JPEG of all `TILES`; ``draw`` maps a tile to a function of a matplotlib axis."""
    width, height = TILE_PX
    figure = plt.figure(figsize=(width * len(TILES) / DPI, height / DPI), dpi=DPI, facecolor="k")
    for number, tile in enumerate(TILES):
        axis = figure.add_axes((number / len(TILES), 0, 1 / len(TILES), 1))
        axis.set_axis_off()
        if tile in draw:
            draw[tile](axis)
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="jpeg", dpi=DPI, facecolor="k", pil_kwargs={"quality": 80, "optimize": True}
    )
    plt.close(figure)
    return buffer.getvalue()


def brain(axis, t1w: nib.Nifti1Image, mask: nib.Nifti1Image) -> None:
    """Sagittal slice beside the midline with the outline of the brain mask: neck shows here."""
    t1w = crop(ras(t1w))
    inside = array(resample_from_to(mask, t1w, order=0)) > 0
    data = array(t1w)
    middle = int(np.argwhere(inside)[:, 0].mean() + 10 / t1w.header.get_zooms()[0])
    middle = min(middle, data.shape[0] - 1)
    _grey(axis, data[middle], in_plane(t1w.header.get_zooms()[:3], 0))
    _contour(axis, inside[middle], [0.5])


def edges(axis, pair: Pair) -> None:
    """Axial slice through the middle of the moving image with the edges of the fixed one."""
    level, other = pair.centre[2], pair.fixed
    _grey(axis, pair.moving[..., level], in_plane(pair.sizes, 2))
    if (other > 0).any():
        _contour(axis, other[..., level], [np.percentile(other[other > 0], 30)])


def regions(axis, t1w: nib.Nifti1Image, labels: nib.Nifti1Image) -> None:
    """Coronal slice through the basal ganglia with the regions' borders (1 mm grid, RAS)."""
    ground, places = array(t1w), array(labels)
    box = bounding_box(places > 0, 12)
    level = int(np.median(np.argwhere(np.isin(places, (3, 4)))[:, 1]))
    panel(axis, ground[box[0], level, box[2]], (1, 1), cmap="gray", vmin=-1, vmax=1)
    outlines(axis, places[box[0], level, box[2]])


def epvs(axis, ground: nib.Nifti1Image, labels: nib.Nifti1Image, objects: nib.Nifti1Image) -> None:
    """The place of the largest perivascular spaces, outlined, or the middle of the regions where
    there are none (1 mm grid of any storage; ``objects``: the numbers of the counted ones)."""
    places, numbers = array(ras(labels)), array(ras(objects), np.int32)
    box = largest_place(numbers)
    if box is None:
        bounds = bounding_box(places > 0, 8)
        box = (*bounds[:2], (bounds[2].start + bounds[2].stop) // 2)
    plane = array(ras(ground))[box]
    low, high = np.percentile(plane[plane > -1], (1, 99)) if (plane > -1).any() else (-1, 1)
    panel(axis, plane, (1, 1), cmap="gray", vmin=low, vmax=max(high, low + 0.1))
    outlines(axis, np.zeros_like(places[box]), numbers[box] > 0)


def largest_place(objects: np.ndarray) -> tuple[slice, slice, int] | None:
    """The window of an axial slice, `PLACE` voxels large, that holds most of the `LARGEST` of the
    numbered ``objects`` (x, y, z); None where there are none.

    The window is moved so that what it holds of them lies in its middle, as far as the image goes.
    """
    sizes = np.bincount(objects.ravel())
    sizes[0] = 0
    large = np.isin(objects, [n for n in np.argsort(-sizes, kind="stable")[:LARGEST] if sizes[n]])
    if not large.any():
        return None
    held = ndimage.uniform_filter(large.astype(np.float32), (*PLACE, 1), mode="constant")
    x, y, level = (int(v) for v in np.unravel_index(np.argmax(held.round(6)), held.shape))
    box = _around((x, y), large.shape)
    middle = np.argwhere(large[(*box, level)]).mean(axis=0) + [span.start for span in box]
    return (*_around(np.rint(middle), large.shape), level)


def _around(middle, shape) -> tuple[slice, slice]:
    """`PLACE` voxels around ``middle`` (x, y), inside an image of this ``shape``."""
    spans = []
    for at, size, edge in zip(middle, PLACE, shape[:2], strict=True):
        start = min(max(int(at) - size // 2, 0), max(edge - size, 0))
        spans.append(slice(start, min(start + size, edge)))
    return tuple(spans)


def roi(axis, fa, v1, weights, names) -> None:
    """Axial colour FA through the ALPS regions, outlined."""
    fa = crop(ras(fa))
    rgb = np.clip(np.abs(array(on_grid(v1, fa))) * array(fa)[..., None] * 1.6, 0, 1)
    weights = array(on_grid(weights, fa))
    total = weights.sum(axis=(0, 1, 3))
    level = int(np.argmax(total)) if total.any() else rgb.shape[2] // 2
    panel(axis, rgb[:, :, level], in_plane(fa.header.get_zooms()[:3], 2))
    outline(axis, weights, names, level, 2)


def motion(axis, rows: list[dict[str, str]]) -> None:
    """Displacement of the head in every volume, up to 4 mm."""
    if rows[0]["displacement"] is None:
        axis.text(0.04, 0.9, "not estimated", color="w", fontsize=8, transform=axis.transAxes)
        return
    values = [float(row["displacement"]) for row in rows]
    axis.plot(values, color="#ffd21f", lw=1)
    axis.set_ylim(0, max(4.0, *values))
    axis.margins(x=0.02)
    axis.text(
        0.04, 0.9, f"max {max(values):.1f} mm", color="w", fontsize=8, transform=axis.transAxes
    )


def _grey(axis, plane: np.ndarray, sizes) -> None:
    top = np.percentile(plane[plane > 0], 99.5) if (plane > 0).any() else 1.0
    panel(axis, plane, sizes, cmap="gray", vmin=0, vmax=top)


def _contour(axis, plane: np.ndarray, levels) -> None:
    plane = np.asarray(plane, float).T
    levels = [level for level in levels if plane.min() < level < plane.max()]
    if levels:
        axis.contour(plane, levels, **EDGE)
