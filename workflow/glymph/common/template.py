"""The template: a brain-only T1w with tissue probabilities, all stages' common space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput
from glymph.common.given import volume
from glymph.common.images import array

BUNDLED = {
    "t1w": "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
    "gm": "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz",
    "wm": "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz",
}
"""MNI ICBM152 2009a symmetric, 1 mm, brain only, as nilearn's package carries it."""


@dataclass(frozen=True)
class Template:
    """Brain-only T1w template with tissue probabilities (0 to 1) on one grid."""

    t1w: nib.Nifti1Image
    gm: nib.Nifti1Image
    wm: nib.Nifti1Image

    @property
    def brain(self) -> np.ndarray:
        return array(self.t1w) > 0

    @property
    def csf(self) -> np.ndarray:
        """What is brain in the template and neither grey nor white matter, as probability."""
        return np.clip(self.brain - array(self.gm) - array(self.wm), 0, 1)


def load_template(paths: dict[str, str] | None) -> Template:
    """The template at ``paths`` (t1w, gm, wm; a file each), or nilearn's bundled one for None.

    Raises `BadInput`.
    """
    if paths is None:
        from importlib.util import find_spec

        folder = Path(find_spec("nilearn").origin).parent / "datasets" / "data"
        paths = {name: folder / file for name, file in BUNDLED.items()}
    images = {name: volume(path) for name, path in paths.items()}
    for name, image in images.items():
        if not np.isfinite(array(image)).all() or not array(image).max() > 0:
            raise BadInput(
                "an image of the template is empty or not finite", paths[name], "see template"
            )
    grids = {(image.shape, image.affine.tobytes()) for image in images.values()}
    if len(grids) > 1:
        raise BadInput("t1w, gm and wm are not on one grid", paths["t1w"], "resample the template")
    return Template(images["t1w"], _probability(images["gm"]), _probability(images["wm"]))


def _probability(image: nib.Nifti1Image) -> nib.Nifti1Image:
    data = array(image)
    return nib.Nifti1Image(data / max(float(data.max()), 1.0), image.affine)
