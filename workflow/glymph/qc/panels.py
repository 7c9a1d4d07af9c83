"""What all pictures share: RAS order, cropping, one slice drawn in its true proportions.

All panels are drawn in radiological-neutral world order: image arrays are first brought to the
closest RAS storage, so that left is left in every picture whatever the file's storage.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
from matplotlib.patheffects import withStroke
from nibabel.processing import resample_from_to

from glymph.common.images import array

PLANES = ("sagittal", "coronal", "axial")
DPI = 110
RIM = [withStroke(linewidth=2.5, foreground="k")]
"""Of what is white: it shows on bright ground too."""


def picture(figure) -> bytes:
    """The figure as WebP, a tenth of a PNG's size; closes it."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="webp", dpi=DPI, facecolor=figure.get_facecolor(),
        pil_kwargs={"quality": 88},
    )  # fmt: skip
    plt.close(figure)
    return buffer.getvalue()


def ras(image: nib.Nifti1Image) -> nib.Nifti1Image:
    return nib.as_closest_canonical(image)


def crop(image: nib.Nifti1Image, margin: int = 4) -> nib.Nifti1Image:
    """The part of ``image`` that is not background, so that the head fills the panel."""
    data = np.abs(array(image))
    places = np.argwhere(data > 0.1 * np.percentile(data[data > 0], 98))
    low = np.maximum(places.min(axis=0) - margin, 0)
    high = np.minimum(places.max(axis=0) + margin + 1, image.shape)
    return image.slicer[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]


@dataclass(frozen=True)
class Pair:
    """Two images (x, y, z) on one cropped RAS grid, its voxel ``sizes`` in mm, and the voxel in the
    ``centre`` of what is bright in the moving one.
    """

    moving: np.ndarray
    fixed: np.ndarray
    sizes: tuple[float, float, float]
    centre: tuple[int, int, int]


def matched(moving: nib.Nifti1Image, fixed: nib.Nifti1Image) -> Pair:
    """``fixed``, whose world is that of ``moving``, resampled to the grid of ``moving``."""
    moving = crop(ras(moving))
    data, other = array(moving), array(resample_from_to(fixed, moving, order=1))
    centre = np.argwhere(data > np.percentile(data, 60)).mean(axis=0)
    return Pair(data, other, moving.header.get_zooms()[:3], tuple(int(v) for v in centre))


def panel(axis, plane: np.ndarray, sizes, **style) -> None:
    """One slice, first axis to the right, second up, with the voxels' true proportions."""
    axis.imshow(
        np.swapaxes(plane, 0, 1), origin="lower", aspect=sizes[1] / sizes[0],
        interpolation="nearest", **style,
    )  # fmt: skip
    axis.set_axis_off()


def in_plane(sizes, axis: int):
    return [size for k, size in enumerate(sizes) if k != axis]


def letters(axis, plane: str) -> None:
    left, right = {"sagittal": ("P", "A"), "coronal": ("L", "R"), "axial": ("L", "R")}[plane]
    style = {"transform": axis.transAxes, "color": "w", "fontsize": 8, "va": "center"}
    style["path_effects"] = RIM
    axis.text(0.02, 0.5, left, ha="left", **style)
    axis.text(0.98, 0.5, right, ha="right", **style)


def on_grid(image: nib.Nifti1Image, grid: nib.Nifti1Image) -> nib.Nifti1Image:
    """The part of a 4D ``image`` of the same storage that the cropped ``grid`` covers."""
    image = ras(image)
    start = nib.affines.apply_affine(np.linalg.inv(image.affine), grid.affine[:3, 3])
    box = [slice(round(a), round(a) + n) for a, n in zip(start, grid.shape, strict=True)]
    return image.slicer[tuple(box)]
