"""The pictures of a subject's page, each returned as the bytes of an image file."""

from __future__ import annotations

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to

from glymph.common.images import array, bounding_box
from glymph.qc.panels import PLANES, Pair, crop, in_plane, letters, on_grid, panel, picture, ras

COLOURS = {"projection": "#ffffff", "association": "#ffd21f"}


def colour_fa(fa, v1, regions, moved, names) -> bytes:
    """The four ALPS regions on direction-coloured FA (red left-right, green front-back, blue up).

    All are NIfTI images on one grid. ``regions`` and ``moved`` (x, y, z, 4) are coverage maps in
    the order of ``names`` (left_projection, ...), as carried and where placement put them (dashed).
    One row per region: sagittal, coronal and axial slice through its centre, zoomed to 60 mm.
    """
    fa, v1, regions, moved = ras(fa), ras(v1), ras(regions), array(ras(moved))
    sizes = fa.header.get_zooms()[:3]
    rgb = np.clip(np.abs(array(v1)) * array(fa)[..., None] * 1.6, 0, 1)
    weights = array(regions)
    figure, axes = plt.subplots(4, 3, figsize=(8.4, 10.6), facecolor="k", layout="constrained")
    for row, name in zip(axes, names, strict=True):
        own = weights[..., names.index(name)]
        if not own.any():
            for axis in row:
                axis.set_axis_off()
            row[1].text(0.5, 0.5, f"{name}: outside the image", color="w", ha="center")
            continue
        centre = np.rint(np.average(np.argwhere(own > 0), axis=0, weights=own[own > 0])).astype(int)
        for k, axis in enumerate(row):
            panel(axis, np.take(rgb, centre[k], axis=k), in_plane(sizes, k))
            outline(axis, weights, names, centre[k], k)
            outline(axis, moved, names, centre[k], k, "dashed")
            _zoom(axis, np.delete(centre, k), in_plane(sizes, k), rgb.shape)
            letters(axis, PLANES[k])
        row[0].set_title(name.replace("_", " "), color="w", fontsize=9, loc="left")
    return picture(figure)


def outline(axis, weights, names, index: int, k: int, dashes: str = "solid") -> None:
    for number, name in enumerate(names):
        plane = np.swapaxes(np.take(weights[..., number], index, axis=k), 0, 1)
        if plane.max() > 0.3:
            colour = COLOURS[name.split("_")[1]]
            axis.contour(plane, [0.3], colors=colour, linewidths=1.4, linestyles=dashes)


def _zoom(axis, centre, sizes, shape, half_mm: float = 30.0) -> None:
    axis.set_xlim(centre[0] - half_mm / sizes[0], centre[0] + half_mm / sizes[0])
    axis.set_ylim(centre[1] - half_mm / sizes[1], centre[1] + half_mm / sizes[1])


def regions_overview(fa: nib.Nifti1Image, v1: nib.Nifti1Image, regions: nib.Nifti1Image, names):
    """Whole-brain slices of colour FA through the middle of all regions, regions outlined."""
    fa = crop(ras(fa))
    v1, regions = (on_grid(image, fa) for image in (v1, regions))
    sizes = fa.header.get_zooms()[:3]
    rgb = np.clip(np.abs(array(v1)) * array(fa)[..., None] * 1.6, 0, 1)
    weights = array(regions)
    total = weights.sum(axis=-1)
    weight = total[total > 0]
    centre = np.average(np.argwhere(total > 0), axis=0, weights=weight) if len(weight) else 0
    centre = np.rint(np.broadcast_to(centre, 3)).astype(int)
    one = weights[..., names.index("left_projection")]
    if one.any():  # a sagittal slice between the hemispheres would show no region
        centre[0] = int(np.rint(np.average(np.nonzero(one)[0], weights=one[one > 0])))
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 3.2), facecolor="k", layout="constrained")
    for k, axis in enumerate(axes):
        panel(axis, np.take(rgb, centre[k], axis=k), in_plane(sizes, k))
        outline(axis, weights, names, centre[k], k)
        letters(axis, PLANES[k])
    return picture(figure)


def alignment(pair: Pair) -> tuple[bytes, bytes]:
    """Three slices of the moving image, and the same slices of the fixed one, to flip to.

    Over both lie the edges of the fixed image.
    """
    inside = pair.fixed[pair.fixed > 0]
    levels = np.unique(np.percentile(inside, (20, 60))) if len(inside) else []
    return tuple(_with_edges(shown, pair, levels) for shown in (pair.moving, pair.fixed))


def _with_edges(shown: np.ndarray, pair: Pair, levels) -> bytes:
    other, centre, sizes = pair.fixed, pair.centre, pair.sizes
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 3.2), facecolor="k", layout="constrained")
    top = np.percentile(shown[shown > 0], 99.5) if (shown > 0).any() else 1.0
    for k, axis in enumerate(axes):
        panel(axis, np.take(shown, centre[k], axis=k), in_plane(sizes, k), cmap="gray", vmin=0,
              vmax=top)  # fmt: skip
        plane = np.swapaxes(np.take(other, centre[k], axis=k), 0, 1)
        if len(levels) and plane.max() > levels[0]:
            axis.contour(plane, levels, colors="#ff5a36", linewidths=0.4)
        letters(axis, PLANES[k])
    return picture(figure)


def brain_outline(t1w: nib.Nifti1Image, mask: nib.Nifti1Image) -> bytes:
    """Six slices of the T1w with the outline of its brain mask."""
    t1w = crop(ras(t1w))
    mask = resample_from_to(mask, t1w, order=0)
    data, inside, sizes = array(t1w), array(mask) > 0, t1w.header.get_zooms()[:3]
    places = np.argwhere(inside)
    low, high = places.min(axis=0), places.max(axis=0)
    top = np.percentile(data[inside], 99.5)
    figure, axes = plt.subplots(2, 3, figsize=(8.4, 5.8), facecolor="k", layout="constrained")
    for row, share in zip(axes, (0.4, 0.65), strict=True):
        for k, axis in enumerate(row):
            index = int(low[k] + share * (high[k] - low[k]))
            panel(axis, np.take(data, index, axis=k), in_plane(sizes, k), cmap="gray", vmin=0,
                   vmax=top)  # fmt: skip
            plane = np.swapaxes(np.take(inside, index, axis=k), 0, 1)
            axis.contour(plane, [0.5], colors="#ff5a36", linewidths=0.8)
            letters(axis, PLANES[k])
    return picture(figure)


def motion_trace(rows: list[dict[str, str]]) -> bytes:
    """Translations, rotations and displacement of every volume of the series, what is known of
    them: motion of the head, and beside it the shift by eddy currents."""
    volumes = range(len(rows))
    figure, axes = plt.subplots(3, 1, figsize=(8.4, 5), sharex=True, layout="constrained")
    groups = (
        ("translation (mm)", ("trans_x", "trans_y", "trans_z")),
        ("rotation (degrees)", ("rot_x", "rot_y", "rot_z")),
        ("displacement (mm)", ("displacement", "framewise_displacement", "eddy_displacement")),
    )
    for axis, (title, names) in zip(axes, groups, strict=True):
        known = [name for name in names if None not in [row[name] for row in rows]]
        for name, dashes in zip(known, ("-", "--", ":"), strict=False):
            label = name.replace("_", " ")
            axis.plot(volumes, [float(row[name]) for row in rows], dashes, label=label, lw=1.2)
        if not known:
            axis.text(0.5, 0.5, "not estimated", transform=axis.transAxes, ha="center")
            continue
        axis.set_ylabel(title, fontsize=8)
        axis.margins(y=0.2)  # room for the legend
        axis.legend(fontsize=7, ncols=3, frameon=False, loc="upper left")
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("volume", fontsize=8)
    return picture(figure)


REGION_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7")
"""Centrum semiovale, basal ganglia, midbrain, deep white matter, as their label values come:
distinct also for the colour-blind."""


def epvs_overview(t1w, t2w, labels, objects, not_counted, columns: int = 6) -> bytes:
    """Axial slices from the midbrain to the vertex: T2w (T1w without one), objects outlined.

    All five on one 1 mm grid in RAS order; ``labels`` are region labels (two per region),
    ``objects`` numbers of objects, ``not_counted`` a mask of what else was found. Two rows without
    and with the regions' borders, the objects, and what was not counted.
    """
    ground = array(t2w if t2w is not None else t1w)
    places, found = array(labels), array(objects) > 0
    others = array(not_counted) > 0
    levels = epvs_levels(places, found | others, 2 * columns)
    box = bounding_box(places > 0, 12)

    def mark(axis, place):
        outlines(axis, *(field[place] for field in (places, found, others)))

    return _plain_and_marked(ground, (-1, 1), levels, box, mark, columns)


def lesions_overview(
    ground: np.ndarray, brain: np.ndarray, lesions: np.ndarray, columns: int = 6
) -> bytes:
    """Axial slices of the brain, plain and with the outlines of the ``lesions``.

    All (x, y, z) on one 1 mm grid in RAS order: ``ground`` is what the slices show, ``brain`` and
    ``lesions`` are bool.
    """
    levels = epvs_levels(brain, lesions, 2 * columns)
    span = np.percentile(ground[brain], (1, 99.8)) if brain.any() else (0, 1)

    def mark(axis, place):
        if lesions[place].any():
            axis.contour(lesions[place].T, [0.5], colors="#ff2f5e", linewidths=0.8)

    shown = np.where(brain, ground, span[0])
    return _plain_and_marked(shown, span, levels, bounding_box(brain, 3), mark, columns)


def _plain_and_marked(ground: np.ndarray, span, levels: list[int], box, mark, columns: int):
    """Axial slices of ``ground`` within ``box``, black and white at ``span``, and below each one
    the same, drawn on by ``mark`` (axis, place)."""
    figure, axes = plt.subplots(
        4, columns, figsize=(1.9 * columns, 9.2), facecolor="k", layout="constrained"
    )
    for number, level in enumerate(levels):
        row, column = 2 * (number // columns), number % columns
        plane = ground[(*box[:2], level)]
        for axis in axes[row : row + 2, column]:
            panel(axis, plane, (1, 1), cmap="gray", vmin=span[0], vmax=span[1])
        mark(axes[row + 1, column], (*box[:2], level))
    for axis in axes.ravel():
        axis.set_axis_off()
    letters(axes[0, 0], "axial")
    return picture(figure)


def outlines(axis, places, found=None, others=None) -> None:
    for region, colour in enumerate(REGION_COLOURS):
        inside = np.isin(places, (2 * region + 1, 2 * region + 2))
        if inside.any():
            axis.contour(inside.T, [0.5], colors=colour, linewidths=0.5)
    for marked, colour in ((others, "#f0e442"), (found, "#ff2f5e")):
        if marked is not None and marked.any():
            axis.contour(marked.T, [0.5], colors=colour, linewidths=0.8)


def epvs_levels(places: np.ndarray, found: np.ndarray, count: int) -> list[int]:
    """Slices spread over the regions, each moved to its neighbourhood's fullest slice."""
    inside = np.flatnonzero((places > 0).any(axis=(0, 1)))
    edges = np.linspace(inside.min(), inside.max() + 1, count + 1).astype(int)
    per_slice = found.sum(axis=(0, 1))
    levels = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        part = per_slice[low : max(high, low + 1)]
        levels.append(int(low + (np.argmax(part) if part.any() else len(part) // 2)))
    return levels
