"""The images that the viewer shows of one unit: results as they lie there, and what is made of them
for looking alone (colour FA, b = 0 and FLAIR in the T1w's space)."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput, read_stop
from glymph.common.images import array, load, spatial
from glymph.common.names import Unit, region_names
from glymph.common.sidecars import read_json
from glymph.common.spaces import image_axes, read_itk_affine
from glymph.common.template import load_template
from glymph.epvs.prepare import Grid, resample
from glymph.review.corrections import BRAIN, place_of, present_epvs
from glymph.review.objects import FILES, SPACE, Objects

T1W, T2W = f"{SPACE}desc-norm_T1w.nii.gz", f"{SPACE}desc-norm_T2w.nii.gz"
RESULTS = {
    "t1w": ("anat", T1W),
    "t2w": ("anat", T2W),
    "regions": ("anat", FILES["regions"]),
    "t1w_own": ("anat", "desc-preproc_T1w.nii.gz"),
    "in_template": ("anat", "space-template_desc-preproc_T1w.nii.gz"),
    "fa": ("dwi", "model-tensor_param-fa_dwimap.nii.gz"),
}
"""Shown as they lie there."""
FIBRE_FA = 0.15
V1 = "model-tensor_param-v1_dwimap.nii.gz"
TO_T1W = "from-dwi_to-T1w_mode-image_xfm.mat"


class Pictures:
    """The images of one ``unit`` in the output folder ``results``, by name.

    ``folder`` is that of the review; its corrections stand before the automatic masks.
    """

    def __init__(self, results: Path, folder: Path, unit: Unit):
        self.results, self.folder, self.unit = results, folder, unit

    def names(self) -> list[str]:
        """Those that exist."""
        made = {name: self.makes(name) for name in MADE}
        found = [name for name, place in RESULTS.items() if self.has(*place)]
        return found + [name for name, needed in made.items() if needed]

    def has(self, datatype: str, name: str) -> bool:
        """Whether a result is there, and not the reason why it is not."""
        return is_result(self.results / self.unit.path(datatype, name))

    def read(self, name: str) -> bytes:
        """The image as .nii.gz. Raises KeyError for a name that is not among `names`."""
        known = self.has(*RESULTS[name]) if name in RESULTS else name in MADE and self.makes(name)
        if not known:
            raise KeyError(name)
        if name in RESULTS:
            return (self.results / self.unit.path(*RESULTS[name])).read_bytes()
        return gzip.compress(MADE[name](self).to_bytes(), 1, mtime=0)

    def objects(self) -> Objects:
        return Objects(self.results, self.unit)

    def load(self, datatype: str, name: str) -> nib.Nifti1Image:
        return load(self.results / self.unit.path(datatype, name))

    def present_brain(self) -> nib.Nifti1Image:
        """The brain mask that would count at the next run, on the T1w's own grid."""
        corrected = self.folder / place_of("brain", self.unit)
        return load(corrected) if corrected.is_file() else self.load("anat", BRAIN)

    def flair(self) -> tuple[Path, Path] | None:
        """The FLAIR that the workflow read, and the matrix that leads to it."""
        matrix = self.results / self.unit.path("anat", "from-T1w_to-FLAIR_mode-points_xfm.mat")
        index = self.results / "inputs" / "index.json"
        if not is_result(matrix) or not index.is_file():
            return None
        own = {"subject": self.unit.subject, "session": self.unit.session}
        for scan in read_json(index)["scans"]:
            if scan["unit"] == own and is_result(Path(scan["files"].get("FLAIR", ""))):
                return Path(scan["files"]["FLAIR"]), matrix
        return None

    def makes(self, name: str) -> bool:
        """Whether there is what an image of `MADE` is made from."""
        has = self.has
        return {
            "numbers": lambda: all(has("anat", file) for file in FILES.values()),
            "mask": lambda: all(has("anat", file) for file in FILES.values()),
            "brain": lambda: has("anat", BRAIN),
            "colour_fa": lambda: has("dwi", V1) and has(*RESULTS["fa"]),
            "directions": lambda: has("dwi", V1) and has(*RESULTS["fa"]),
            "alps": lambda: has("dwi", "desc-alps_probseg.nii.gz"),
            "b0": lambda: has("dwi", TO_T1W) and has("anat", T1W),
            "template": lambda: self._template() is not None,
            "flair": lambda: has("anat", T1W) and self.flair() is not None,
        }[name]()

    def _template(self) -> nib.Nifti1Image | None:
        """The bundled template, where it is the one that the T1w was brought to."""
        if not self.has(*RESULTS["in_template"]):
            return None
        template, warped = _bundled(), self.load(*RESULTS["in_template"])
        same = template.shape == warped.shape and np.allclose(template.affine, warped.affine)
        return template if same else None


@cache
def _bundled() -> nib.Nifti1Image:
    return load_template(None).t1w


def is_result(path: Path) -> bool:
    """Whether ``path`` is a file with content, and not a note that it could not be made."""
    return path.is_file() and path.stat().st_size > 0 and read_stop(path) is None


def _numbers(own: Pictures) -> nib.Nifti1Image:
    found = own.objects()
    return nib.Nifti1Image(found.numbers, found.image.affine)


def _mask(own: Pictures) -> nib.Nifti1Image:
    found = own.objects()
    mask, _ = present_epvs(own.folder, own.unit, found)
    return nib.Nifti1Image(mask.astype(np.uint8), found.image.affine)


def _brain(own: Pictures) -> nib.Nifti1Image:
    image = own.present_brain()
    return nib.Nifti1Image((array(image) > 0.5).astype(np.uint8), image.affine)


def _colour_fa(own: Pictures) -> nib.Nifti1Image:
    """Red, green and blue: how far the fibres run along the world's x, y and z, times FA."""
    fa, v1 = own.load(*RESULTS["fa"]), array(own.load("dwi", V1))
    shade = np.clip(array(fa) * 1.4, 0, 1)[..., None] * np.abs(v1[..., :3])
    colours = np.zeros(shade.shape[:3], np.dtype([(c, "u1") for c in "RGB"]))
    for k, colour in enumerate("RGB"):
        colours[colour] = np.clip(255 * shade[..., k], 0, 255)
    return nib.Nifti1Image(colours, fa.affine)


def _directions(own: Pictures) -> nib.Nifti1Image:
    """Principal directions where FA is above `FIBRE_FA`, else 0, as NiiVue draws them: unit vectors
    (x, y, z, 3) along the image axes that are nearest to left, anterior and superior."""
    fa, v1 = own.load(*RESULTS["fa"]), array(own.load("dwi", V1))
    axes = image_axes(nib.as_closest_canonical(fa).affine) * np.array([-1.0, 1, 1])
    along = np.where((array(fa) > FIBRE_FA)[..., None], v1[..., :3] @ axes, 0)
    return nib.Nifti1Image(along.astype(np.float32), fa.affine)


def _alps(own: Pictures) -> nib.Nifti1Image:
    """Each region's number (from 1, in the order of `region_names`) where it covers a fifth of a
    voxel at least."""
    image = own.load("dwi", "desc-alps_probseg.nii.gz")
    shares = array(image)
    labels = np.where(shares.max(axis=3) >= 0.2, 1 + shares.argmax(axis=3), 0)
    assert shares.shape[3] == len(region_names())
    return nib.Nifti1Image(labels.astype(np.uint8), image.affine)


def _on_t1w(own: Pictures, image: nib.Nifti1Image, matrix: np.ndarray) -> nib.Nifti1Image:
    """``image`` on the T1w's grid of 1 mm; ``matrix`` carries T1w points to it."""
    t1w = own.load(*RESULTS["t1w"])
    values, seen = resample(image, Grid(t1w.shape, t1w.affine), matrix, order=1)
    return nib.Nifti1Image(np.where(seen, values, 0).astype(np.float32), t1w.affine)


def _b0(own: Pictures) -> nib.Nifti1Image:
    b0 = own.load("dwi", "desc-preproc_dwiref.nii.gz")
    to_t1w = read_itk_affine(str(own.results / own.unit.path("dwi", TO_T1W)))
    return _on_t1w(own, nib.Nifti1Image(spatial(b0), b0.affine), np.linalg.inv(to_t1w))


def _flair(own: Pictures) -> nib.Nifti1Image:
    place, matrix = own.flair()
    image = load(place)
    image = nib.Nifti1Image(spatial(image), image.affine)
    return _on_t1w(own, image, read_itk_affine(str(matrix)))


def _template_image(own: Pictures) -> nib.Nifti1Image:
    image = own._template()
    if image is None:
        raise BadInput("another template was used", "", "")
    return nib.Nifti1Image(array(image), image.affine)


MADE: dict[str, Callable[[Pictures], nib.Nifti1Image]] = {
    "numbers": _numbers,
    "mask": _mask,
    "brain": _brain,
    "colour_fa": _colour_fa,
    "directions": _directions,
    "alps": _alps,
    "b0": _b0,
    "template": _template_image,
    "flair": _flair,
}
"""Made for looking."""
