"""N4 bias-field correction and brain extraction of the T1w."""

from __future__ import annotations

import tempfile

import nibabel as nib
import numpy as np
from nibabel.processing import resample_to_output
from scipy import ndimage

from glymph.anat import deepbet
from glymph.anat.vbnet import largest_filled, probability
from glymph.common.errors import BadInput, Fault, brief
from glymph.common.given import mask_on, volume
from glymph.common.images import array
from glymph.common.spaces import image_to_ants, voxel_sizes

HEAD_HEIGHT_MM = 170.0
"""From the top of the head to below the brain stem (the height FSL's robustfov keeps)."""
BRAIN_ML = (600.0, 2200.0)
"""A brain mask outside this is no brain: smaller than any adult's, larger than any cranium."""


BY_USER = ("provided", "already stripped")
"""What made a mask that people answer for: it is flagged like any other, and not refused."""


def correct_bias(image: nib.Nifti1Image) -> np.ndarray:
    """N4 bias-field correction of a 3D image; float32 on its grid, negatives set to 0.

    Source: Tustison 2010 (10.1109/TMI.2010.2046908).
    """
    import ants

    raw = image_to_ants(image).clone()
    raw[raw < 0] = 0
    shrink = max(1, round(4.0 / float(np.mean(voxel_sizes(image.affine)))))
    corrected = ants.n4_bias_field_correction(
        raw,
        mask=ants.threshold_image(raw, "Otsu", 1),
        shrink_factor=min(shrink, min(image.shape) // 8 or 1),
        convergence={"iters": [30, 30, 20], "tol": 1e-5},
    )
    return np.clip(corrected.numpy(), 0, None)


def is_stripped(image: nib.Nifti1Image) -> bool:
    """Whether the image holds a brain only: over a third exact zeros, the rest brain-sized."""
    data = array(image)
    millilitres = float((data != 0).sum() * np.prod(voxel_sizes(image.affine)) / 1000)
    return bool((data == 0).mean() > 1 / 3 and BRAIN_ML[0] < millilitres < BRAIN_ML[1])


def brain_mask(
    image: nib.Nifti1Image,
    settings: dict,
    provided: str | None,
    source: str,
    threads: int,
    raw: nib.Nifti1Image | None = None,
) -> tuple[np.ndarray, str]:
    """Brain mask of a bias-corrected T1w: (bool array on its grid, name of what made it).

    A ``provided`` mask file always wins; an image without a skull keeps what it has; otherwise
    `extract` finds it by the engine ``settings["brain"]``. ``raw`` is the T1w as it was scanned, on
    the same grid. Raises `BadInput`, naming the file ``source``, for a mask that cannot be a brain.
    """
    engine = settings["brain"]
    if provided:
        mask, made_by = mask_on(provided, image, "the mask"), "provided"
    elif engine == "provided":
        raise BadInput("no provided brain mask", source, "add it where anat.brain_mask points")
    elif is_stripped(image):
        mask, made_by = ndimage.binary_fill_holes(array(image) > 0), "already stripped"
    else:
        mask, made_by = extract(engine, image, raw or image, settings, source, threads), engine
    check_volume(mask, image.affine, made_by, source)
    return mask, made_by


def check_volume(mask: np.ndarray, affine: np.ndarray, made_by: str, source: str) -> None:
    """`BadInput`, naming the file ``source``, for a mask of a volume that no brain has."""
    millilitres = float(mask.sum() * np.prod(voxel_sizes(affine)) / 1000)
    if not BRAIN_ML[0] < millilitres < BRAIN_ML[1]:
        raise BadInput(
            f"the brain mask ({made_by}) has {millilitres:.0f} ml, which is no brain", source,
            "look at the image; choose another engine (anat.brain), or provide a mask "
            "(anat.brain_mask)",
        )  # fmt: skip


def extract(
    engine: str,
    image: nib.Nifti1Image,
    raw: nib.Nifti1Image,
    settings: dict,
    source: str,
    threads: int,
) -> np.ndarray:
    """Brain mask (bool) of a head on the grid of ``image``, whatever its size.

    ``engine``: "deepbet" of ``raw``, the T1w as it was scanned; or of ``image``, the bias-corrected
    one: "vbnet", the network of ``settings["brain_model"]``, or the Brain Extraction Tool at
    ``settings["bet_intensity"]``, "bet" in Python or "fsl_bet" of FSL.
    """
    if engine == "deepbet":
        return deepbet.find(raw, source, threads)
    if engine == "vbnet":
        return _vbnet(image, settings["brain_model"], threads)
    call = {"bet": _bet, "fsl_bet": _fsl_bet}[engine]
    return call(image, settings["bet_intensity"])


def second_mask(
    engine: str | None,
    image: nib.Nifti1Image,
    raw: nib.Nifti1Image,
    settings: dict,
    source: str,
    threads: int,
) -> np.ndarray | None:
    """Mask of another ``engine`` to compare with, as `extract`; None without an engine and where
    there is no skull to find the brain in. One that finds nothing gives an empty mask."""
    if engine is None or is_stripped(image):
        return None
    try:
        return extract(engine, image, raw, settings, source, threads)
    except BadInput:
        return np.zeros(image.shape, bool)


def _vbnet(image: nib.Nifti1Image, model: str | None, threads: int) -> np.ndarray:
    from glymph.networks.run import open_bundle

    return largest_filled(probability(image, open_bundle("brain", model, threads)) > 0.5)


def _bet(image: nib.Nifti1Image, intensity: float) -> np.ndarray:
    """BET (Smith 2002, 10.1002/hbm.10062) at 2 mm without the neck, back on the image's grid."""
    from nibabel.processing import resample_from_to

    coarse = resample_to_output(image, (2.0, 2.0, 2.0), order=1)
    data = array(coarse)
    first = _lowest_slice(data)
    head = coarse.slicer[:, :, first:]
    extractor = bet_library()(img=nib.Nifti1Image(data[:, :, first:], head.affine), bt=intensity)
    extractor.run()
    found = np.zeros(data.shape, np.float32)
    found[:, :, first:] = extractor.compute_mask()
    found = largest_filled(found > 0.5).astype(np.float32)
    back = resample_from_to(nib.Nifti1Image(found, coarse.affine), image, order=1)
    return array(back) > 0.5


def bet_library():
    """The class of the library that engine "bet" runs; `Fault` where it cannot be loaded."""
    try:
        from brainextractor import BrainExtractor
    except ImportError as error:
        raise Fault(
            f"anat.brain: bet needs a library that cannot be loaded ({brief(error)})",
            cure="pip install brainextractor (`make dev` has it), or choose another engine",
        ) from None
    return BrainExtractor


def _fsl_bet(image: nib.Nifti1Image, intensity: float) -> np.ndarray:
    """FSL's BET (Smith 2002, 10.1002/hbm.10062), its centre sought anew until it stays (-R)."""
    from fsl.wrappers import bet

    from glymph.common.fsl import call, put

    with tempfile.TemporaryDirectory(prefix="bet_") as folder:
        head = put(image, f"{folder}/head.nii.gz")
        call(bet, head, f"{folder}/out", mask=True, seg=False, robust=True, fracintensity=intensity)
        return array(volume(f"{folder}/out_mask.nii.gz")) > 0.5


def _lowest_slice(data: np.ndarray) -> int:
    """Index of the lowest slice to keep of a head at 2 mm in RAS order."""
    level = 0.1 * np.percentile(data, 98)
    occupied = (data > level).mean(axis=(0, 1)) > 0.02
    top = int(np.flatnonzero(occupied).max()) if occupied.any() else data.shape[2] - 1
    return max(0, top - int(HEAD_HEIGHT_MM / 2))
