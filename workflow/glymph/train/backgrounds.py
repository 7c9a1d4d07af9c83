"""Real brains as backgrounds: perivascular spaces planted into images that a run has prepared.

What the run itself found there (or a rater drew, with engine "provided") counts as perivascular
space too, so that a network does not learn to pass over what is real.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from glymph.common.errors import BadInput
from glymph.common.images import array, load
from glymph.common.spaces import apply_affine, read_itk_affine
from glymph.epvs.segment import channels_of
from glymph.networks.bundle import CHANNELS
from glymph.train.anatomy import Tissues
from glymph.train.images import RANGES
from glymph.train.objects import VARIED, plant_tubes
from glymph.train.samples import crop, draw_window, flipped

ON_GRID = "_space-T1w_res-1mm_"
FILES = {
    "t1w": f"{ON_GRID}desc-norm_T1w.nii.gz",
    "t2w": f"{ON_GRID}desc-norm_T2w.nii.gz",
    "labels": f"{ON_GRID}desc-region_dseg.nii.gz",
    "known": f"{ON_GRID}desc-EPVS_dseg.nii.gz",
    "affine": "_from-T1w_to-template_desc-affine_mode-image_xfm.mat",
}
"""Files of one subject-session in an output folder of the workflow, by their endings."""
MOST_TUBES = 60
PER_PLANTING = 12


@dataclass(frozen=True)
class Background:
    """A real brain at 1 mm: ``images`` (2, x, y, z) in [-1, 1], ``known`` perivascular spaces
    (bool), ``tissues`` to plant in, ``linear`` the directions of its grid in MNI space."""

    images: np.ndarray
    known: np.ndarray
    tissues: Tissues
    linear: np.ndarray


def load_backgrounds(folder: str | Path) -> list[Background]:
    """All subject-sessions of an output folder. Raises `BadInput` where there is none."""
    found = sorted(Path(folder).glob(f"sub-*/**/anat/*{FILES['known']}"))
    if not found:
        raise BadInput(
            "no prepared images and perivascular spaces in this folder", str(folder),
            "give the output folder of a run of this workflow, or set backgrounds to null",
        )  # fmt: skip
    stems = [str(path).removesuffix(FILES["known"]) for path in found]
    return [load_background({name: stem + end for name, end in FILES.items()}) for stem in stems]


def load_background(files: dict[str, str]) -> Background:
    """One subject-session from its ``files`` (keys of `FILES`); an empty T2w file means none."""
    t1w = load(files["t1w"])
    first = array(t1w)
    has_t2w = Path(files["t2w"]).stat().st_size > 0
    second = array(load(files["t2w"])) if has_t2w else np.full_like(first, -1)
    inside = ndimage.binary_erosion(array(load(files["labels"])) > 0).astype(np.float32)
    to_mni = np.linalg.inv(read_itk_affine(files["affine"])) @ t1w.affine
    grid = np.stack(np.meshgrid(*map(np.arange, first.shape), indexing="ij"), -1)
    empty = np.zeros_like(inside)
    hull = (first > -1).astype(np.float32)
    tissues = Tissues(1 - inside, empty, inside, hull, apply_affine(to_mni, grid), 1.0)
    known = array(load(files["known"])) > 0
    return Background(np.stack([first, second]), known, tissues, to_mni[:3, :3])


def planted(rng, background: Background) -> tuple[np.ndarray, np.ndarray]:
    """The images with new perivascular spaces, blurred as a scanner would and noisier, and the
    share of each voxel that is one; what is known already counts whole."""
    count = int(rng.integers(0, MOST_TUBES))
    share, contrast, _ = plant_tubes(rng, background.linear, background.tissues, count, VARIED)
    contrast *= rng.uniform(*RANGES["contrast"])
    first, second = (
        ndimage.gaussian_filter(contrast, rng.uniform(*RANGES["blur_mm"])) for _ in range(2)
    )
    t1w, t2w = background.images
    t1w = t1w + first * (rng.uniform(-1, -0.7) - t1w)
    if t2w.max() > -1:
        t2w = t2w + second * (rng.uniform(0.6, 1) - t2w)
    images = np.stack([t1w, t2w])
    noise = rng.uniform(0, 0.1) * rng.standard_normal(images.shape, dtype=np.float32)
    images = np.where(images > -1, np.clip(images + noise, -1, 1), -1).astype(np.float32)
    return images, np.maximum(share, background.known)


def background_slices(backgrounds: list[Background], seed: int) -> Iterator[tuple]:
    """Slices (3, 96, 96) and labels (96, 96) of real brains, about their regions, in all planes."""
    rng = np.random.default_rng([seed, 9])
    while True:
        background = backgrounds[int(rng.integers(len(backgrounds)))]
        images, label = planted(rng, background)
        t2w = images[1] if images[1].max() > -1 else None
        images = channels_of(images[0], t2w, CHANNELS)
        marked, inside = np.argwhere(label), np.argwhere(background.tissues.wm > 0)
        for _ in range(PER_PLANTING):
            places = marked if len(marked) and rng.random() < 2 / 3 else inside
            window = draw_window(rng, places)
            image = np.stack([crop(volume, *window, -1.0) for volume in images])
            yield flipped(rng, image, crop(label, *window, 0.0))
