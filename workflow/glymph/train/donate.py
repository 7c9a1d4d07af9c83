"""Make a donor of surroundings (`glymph.train.donors`) from a head that the workflow has processed.

    python -m glymph.train.donate RESULTS/sub-01/anat/sub-01 NAME [--below mean] [--folder FOLDER]

The run needs the rules up to anat_register and anat_segment. The head comes into MNI space by its
affine transform alone, so that it keeps its shape. Where its image ends, at the neck, the donor
``--below`` goes on; beyond that there is air. Writes NAME_T1w, NAME_brain, NAME_gm and NAME_wm.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from glymph.common.images import array, load
from glymph.common.spaces import apply_affine, read_itk_affine
from glymph.train.anatomy import voxels_of
from glymph.train.donors import FOLDER

VOXEL_MM = 1.5
LOW = np.array([-102.0, -144.0, -168.0])
HIGH = np.array([102.0, 111.0, 96.0])
"""Corners of a donor's grid in MNI mm: a head with some of its neck."""
BRIGHTEST = 3.0
"""Signal, white matter 1, that the 8 bits of a T1w reach."""
PARTS = {
    "T1w": ("desc-preproc_T1w", 0.5, BRIGHTEST),
    "brain": ("desc-brain_mask", 0.4, 1.0),
    "gm": ("label-GM_probseg", 0.4, 1.0),
    "wm": ("label-WM_probseg", 0.4, 1.0),
}
"""File of each part, voxels (standard deviation) by which it is smoothed first, and its highest."""
NOT_SEEN = -1.0


def grid() -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine (RAS, MNI mm) of a donor."""
    affine = np.diag([VOXEL_MM] * 3 + [1.0])
    affine[:3, 3] = LOW
    return tuple(int(n) for n in np.round((HIGH - LOW) / VOXEL_MM) + 1), affine


def donated(stem: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """`PARTS` (x, y, z) of the head whose files begin with ``stem``, on `grid`, and where its image
    reaches (bool).

    The signal is divided by its median in white matter.
    """
    shape, affine = grid()
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    mni = apply_affine(affine, points)
    matrix = read_itk_affine(f"{stem}_from-T1w_to-template_desc-affine_mode-image_xfm.mat")
    head = apply_affine(matrix, mni)  # an ITK matrix leads from the target's points to the source's
    parts = {}
    for name, (file, smooth, _) in PARTS.items():
        image = load(f"{stem}_{file}.nii.gz")
        data = ndimage.gaussian_filter(array(image), smooth)
        outside = NOT_SEEN if name == "T1w" else 0.0
        voxels = voxels_of(image.affine, head)
        parts[name] = ndimage.map_coordinates(data, voxels, order=1, mode="constant", cval=outside)
    seen = parts["T1w"] >= 0
    white = parts["T1w"][seen & (parts["wm"] > 0.9)]
    parts["T1w"] = np.where(seen, parts["T1w"] / np.median(white), 0)
    return parts, seen


def continued(parts: dict, seen: np.ndarray, below: np.ndarray) -> dict[str, np.ndarray]:
    """``parts`` of a head with the signal of another, ``below``, where its image does not reach;
    its brain ends with its own image."""
    return parts | {"T1w": np.where(seen, parts["T1w"], below)}


def write(parts: dict[str, np.ndarray], name: str, folder: Path) -> None:
    """Save ``parts`` as 8-bit numbers with a slope, as `glymph.train.donors.load_donor` reads."""
    _, affine = grid()
    for part, data in parts.items():
        high = PARTS[part][2]
        steps = np.round(255 * np.clip(data / high, 0, 1)).astype(np.uint8)
        image = nib.Nifti1Image(steps, affine)
        image.header.set_slope_inter(high / 255, 0)
        image.header.set_xyzt_units("mm")
        image.set_sform(affine, 4)
        image.set_qform(affine, 4)
        nib.save(image, folder / f"{name}_{part}.nii.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stem", help="start of the head's files: RESULTS/sub-01/anat/sub-01")
    parser.add_argument("name")
    parser.add_argument("--below", help="donor that goes on where this head's image ends")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    parts, seen = donated(options.stem)
    if options.below:
        below = load(options.folder / f"{options.below}_T1w.nii.gz")
        parts = continued(parts, seen, array(below))
    options.folder.mkdir(parents=True, exist_ok=True)
    write(parts, options.name, options.folder)


if __name__ == "__main__":
    main()
