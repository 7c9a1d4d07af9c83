"""Brain extraction by the 3D VB-Net."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to, resample_to_output
from scipy import ndimage

from glymph.common.images import array
from glymph.networks.run import Bundle

HEAD_HEIGHT_MM = 186.0
"""From the top of the head: what the network sees of it."""


def probability(image: nib.Nifti1Image, bundle: Bundle) -> np.ndarray:
    """Probability (float32) of brain on the grid of a T1w head ``image`` in any orientation.

    The network sees the head at its own resolution, in RAS order, `scaled`. Its probability
    stands for the share of brain in a voxel, so that 0.5 after interpolation is the brain's border
    to a fraction of a voxel.
    """
    size = bundle.settings["voxel_mm"]
    smooth = [
        0.35 * size / float(v) if v < size else 0 for v in nib.affines.voxel_sizes(image.affine)
    ]
    soft = nib.Nifti1Image(ndimage.gaussian_filter(array(image), smooth), image.affine)
    coarse = resample_to_output(soft, (size,) * 3, order=1)
    data = np.clip(array(coarse), 0, None)
    box = _head_box(data, size)
    found = _share(data, box, bundle)
    # Once more with the brain in the middle, as in training; a long neck or nose had moved it.
    found = _share(data, _centred(found > 0.5, bundle.settings["size"]), bundle)
    return array(resample_from_to(nib.Nifti1Image(found, coarse.affine), image, order=1))


def _share(data: np.ndarray, box: tuple[slice, ...], bundle: Bundle) -> np.ndarray:
    found = np.zeros(data.shape, np.float32)
    found[box] = bundle.probabilities(scaled(data[box])[None])[1]
    return found


def _centred(mask: np.ndarray, size: list[int]) -> tuple[slice, ...]:
    """The box of ``size`` about the middle of the largest part of ``mask``, cut by the image."""
    if not mask.any():
        return tuple(slice(0, n) for n in mask.shape)
    (places,) = ndimage.find_objects(largest_filled(mask).astype(np.uint8))
    middle = [(s.start + s.stop) // 2 for s in places]
    return tuple(
        slice(max(0, m - n // 2), min(length, m + n // 2))
        for m, n, length in zip(middle, size, mask.shape, strict=True)
    )


def scaled(head: np.ndarray) -> np.ndarray:
    """``head`` (x, y, z) in [-1, 1] between 0 and the 99th percentile of its middle.

    The middle half along each axis is brain, so fat and skin, however bright, do not squeeze it.
    """
    middle = head[tuple(slice(n // 4, n - n // 4) for n in head.shape)]
    filled = middle[middle > 0.02 * head.max()]
    high = float(np.percentile(filled, 99)) if len(filled) else 1.0
    return (np.clip(head / high, 0, 1) * 2 - 1).astype(np.float32)


def _head_box(data: np.ndarray, size: float) -> tuple[slice, slice, slice]:
    """The head without its surroundings and without what lies far below the top (RAS order)."""
    level = 0.1 * np.percentile(data[data > 0], 98)
    occupied = data > level
    top = int(np.flatnonzero(occupied.mean(axis=(0, 1)) > 0.02).max())
    bottom = max(0, top + 3 - int(HEAD_HEIGHT_MM / size))
    occupied[:, :, :bottom] = False
    spans = [slice(0, 0)] * 3
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        inside = np.flatnonzero(occupied.mean(axis=others) > 0.005)
        low, high = max(0, inside.min() - 2), min(data.shape[axis], inside.max() + 3)
        spans[axis] = slice(int(low), int(high))
    return tuple(spans)


def largest_filled(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of ``mask``, its holes filled."""
    labels, count = ndimage.label(mask)
    if count > 1:
        mask = labels == 1 + int(np.argmax(ndimage.sum(mask, labels, range(1, count + 1))))
    return ndimage.binary_fill_holes(mask)
