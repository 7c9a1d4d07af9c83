"""Brain extraction by the library deepbet, whose weights come with its package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

import nibabel as nib
import numpy as np

from glymph.common.errors import BadInput, Fault, brief
from glymph.common.images import array
from glymph.common.provenance import file_hash

PACKAGE = "deepbet"


def fingerprint() -> list[str]:
    """Version of the package and short fingerprints of its weights: another one reruns the masks.

    ["absent"] where this environment lacks it: the job's own may be another (`--sdm conda`).
    """
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        return ["absent"]
    weights = sorted(str(file.locate()) for file in package.files if file.suffix == ".pt")
    return [package.version, *map(file_hash, weights)]


def second_to(engine: str) -> str:
    """The engine whose mask that of ``engine`` is compared with: both networks are quick, and no
    two share what they learned from (real heads here, synthetic ones there)."""
    return "vbnet" if engine == "deepbet" else "deepbet"


def find(head: nib.Nifti1Image, source: str, threads: int) -> np.ndarray:
    """Brain mask (bool) on the grid of a T1w ``head`` with its skull, in any orientation.

    The library is called as it is. It turns the head to the nearest RAS order, finds the brain on
    128 voxels a side, then once more within that box on 256, and keeps the largest part without
    holes. ``head`` is the image as it was scanned: that is what its networks learned from, and bias
    of a factor of three across the head moves the mask less than correcting it does.

    Source: Fisch 2024 (10.1016/j.compbiomed.2024.108845). Raises `BadInput`, naming ``source``,
    where it finds nothing; `Fault` where the package is missing.
    """
    extraction = _library()(no_gpu=True)
    import torch

    torch.set_num_threads(threads)
    try:
        _, mask, _ = extraction.run(head)
    except (AssertionError, ValueError) as error:
        # It asserts that there is something to crop to, and takes the largest of no parts.
        raise BadInput(
            f"deepbet finds no brain ({brief(error)})", source,
            "look at the image; choose another engine (anat.brain), or provide a mask "
            "(anat.brain_mask)",
        ) from None  # fmt: skip
    return array(mask) > 0.5


def _library():
    try:
        from deepbet.bet import BrainExtraction
    except ImportError as error:
        raise Fault(
            f"the library deepbet cannot be loaded ({brief(error)})",
            cure="install requirements.txt anew (make env), or set anat.brain: vbnet and "
            "anat.compare_brain: false",
        ) from None
    return BrainExtraction
