"""Endless random training samples of each network, drawn on the fly from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from glymph.anat.vbnet import scaled
from glymph.common import legend
from glymph.epvs import atlas
from glymph.epvs.segment import channels_of
from glymph.networks.bundle import CHANNELS, PLANES
from glymph.train import donors
from glymph.train.anatomy import (
    Head,
    Tissues,
    draw_head,
    load_maps,
    render_tissues,
    smooth_noise,
)
from glymph.train.images import (
    Acquisition,
    Contents,
    acquire,
    any_levels,
    draw_acquisition,
    levels_t1w,
    render_pair,
    thick,
)
from glymph.train.objects import (
    PLAIN,
    VARIED,
    draw_lacunes,
    draw_lesions,
    iron,
    plant_tubes,
    thin_lines,
)
from glymph.train.scalp import surround

LABEL_SHARE = 0.4
"""What counts as a voxel of a perivascular space where one speaks of whole voxels. At 0.4 those
voxels fill the volume of the spaces themselves (to 3 %, widths of 0.5 to 3 mm)."""
TOUCHED = 0.02
"""Share from which a voxel belongs to a perivascular space at all."""
VISIBLE = 2.5
"""Clearness (deviations of the noise) from which a space can be seen: one whose clearest voxel has
less is neither space nor background to the training."""
NO_WEIGHT = -1.0
"""Label of voxels that the training shall not judge."""
BLOCK = (96, 96, 24)
"""Voxels of a block: two sides of a slice, and how many slices."""
RENDERINGS = 4
PER_BLOCK = 9
POOL = 120
MARGIN = 5
"""Slices at both ends of a block that only feed blur and thick slices."""


def draw_contents(rng, head: Head, tissues: Tissues, scale: float, tubes: int, population=PLAIN):
    """Objects for a block that holds ``scale`` of a brain: (`Contents`, share of each voxel)."""
    share, contrast, numbers = plant_tubes(rng, head.linear, tissues, tubes, population)
    burden = rng.choice([0.0, 1.0], p=[0.4, 0.6]) * rng.exponential(25) * scale
    lesions = draw_lesions(rng, tissues, int(rng.poisson(burden)))
    holes, rims = draw_lacunes(rng, tissues, int(rng.poisson(rng.exponential(3.0) * scale)))
    free = share <= TOUCHED
    dark = thin_lines(rng, share.shape, int(rng.poisson(30 * scale)))
    found = Contents(contrast, numbers, lesions, holes * free, rims * free, dark, iron(tissues))
    return found, share


def epvs_blocks(seed: int, wide: float = 0.0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs (image (3, *`BLOCK`) in [-1, 1], label `BLOCK`) of 1 mm blocks about random places.

    Channels are T1w, T2w and their `lines`; labels the share of perivascular space, `NO_WEIGHT`
    where one cannot be seen. The last axis runs across slices of a random plane. Every block is
    taken `RENDERINGS` times, with other contrasts and noise: anatomy costs more. ``wide``: share of
    the spaces that are wide.
    """
    rng, population = np.random.default_rng(seed), replace(VARIED, wide=wide)
    while True:
        head = draw_head(rng)
        for _ in range(2):
            order = PLANES[str(rng.choice(list(PLANES)))]
            tissues, contents, share = epvs_block(rng, head, order, population)
            for _ in range(RENDERINGS):
                taken = draw_acquisition(rng)
                image, clear = render_pair(rng, tissues, contents, taken)
                label = np.where(unseen(contents.numbers, clear), NO_WEIGHT, share)
                image = channels_of(*image_pair(image, taken), CHANNELS)
                yield image.transpose(0, *(1 + axis for axis in order)), label.transpose(order)


def image_pair(images: np.ndarray, taken: Acquisition) -> tuple[np.ndarray, np.ndarray | None]:
    """T1w and T2w of ``images`` (2, x, y, z); None for a T2w that was not taken."""
    return images[0], images[1] if taken.t2w else None


def unseen(numbers: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Voxels (bool) of perivascular spaces, ``numbers``, of which no voxel is `VISIBLE`, and those
    next to them; ``clear`` is the clearness of every voxel."""
    count = int(numbers.max())
    if not count:
        return np.zeros(numbers.shape, bool)
    best = np.asarray(ndimage.maximum(clear, numbers, range(1, count + 1)))
    hidden = np.concatenate([[False], best < VISIBLE])[numbers]
    seen = (numbers > 0) & ~hidden
    return ndimage.binary_dilation(hidden) & ~seen


def epvs_block(
    rng, head: Head, order=PLANES["axial"], population=VARIED
) -> tuple[Tissues, Contents, np.ndarray]:
    """One block: tissue, perivascular spaces with their look-alikes about a random place, and the
    share of each voxel that is perivascular space.

    Axes run along x, y, z; the block is thin across the slices of ``order`` (one of `PLANES`).
    """
    centre = head.from_mni(_draw_centre(rng)[None])[0]
    shape = tuple(int(n) for n in np.array(BLOCK)[np.argsort(order)])
    low = centre - np.array(shape) / 2 + rng.uniform(-0.5, 0.5, 3)
    tissues = render_tissues(head, rng, low, shape, 1.0)
    scale = float(tissues.tissue.sum()) / 1.2e6
    tubes = int(rng.choice([0, rng.integers(0, 8), rng.integers(4, 40)], p=[0.2, 0.3, 0.5]))
    return tissues, *draw_contents(rng, head, tissues, 3 * scale, tubes, population)


def _draw_centre(rng) -> np.ndarray:
    side = rng.choice([-1, 1])
    kind = rng.choice(["cso", "bg", "midbrain", "any"], p=[0.35, 0.35, 0.1, 0.2])
    if kind == "cso":
        return np.array([side * rng.uniform(10, 35), rng.uniform(-60, 35), rng.uniform(15, 55)])
    if kind == "bg":
        return np.array([side * rng.uniform(10, 32), rng.uniform(-25, 25), rng.uniform(-12, 18)])
    if kind == "midbrain":
        return np.array([rng.uniform(-15, 15), rng.uniform(-35, -10), rng.uniform(-20, -6)])
    return np.array([rng.uniform(-55, 55), rng.uniform(-85, 55), rng.uniform(-40, 60)])


def epvs_slices(seed: int, wide: float = 0.0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Slices (3, 96, 96) of all planes, with labels (96, 96); most are chosen where there is a
    label.

    They pass through a pool, so that a batch holds slices of many heads. ``wide``: as in
    `epvs_blocks`.
    """
    rng = np.random.default_rng([seed, 1])
    pool = []
    for image, label in epvs_blocks(seed, wide):
        inner = np.arange(MARGIN, BLOCK[2] - MARGIN)
        held = np.clip(label[..., inner], 0, 1).sum((0, 1)).astype(float)
        likely = held + max(held.mean(), 1e-6)
        for k in rng.choice(inner, PER_BLOCK, replace=False, p=likely / likely.sum()):
            pool.append(flipped(rng, image[..., k], label[..., k]))
        while len(pool) > POOL:
            yield pool.pop(int(rng.integers(len(pool))))


def draw_window(rng, places: np.ndarray) -> tuple[str, np.ndarray]:
    """A plane, and a voxel near one of ``places`` (n, 3): moved at random within the plane."""
    plane = str(rng.choice(list(PLANES)))
    place = places[rng.integers(len(places))].copy()
    place[list(PLANES[plane][:2])] += rng.integers(-30, 31, 2)
    return plane, place


def crop(volume: np.ndarray, plane: str, place, empty: float) -> np.ndarray:
    """The square of ``volume`` (x, y, z) in ``plane`` about voxel ``place``, ``empty`` beyond."""
    order, side = list(PLANES[plane]), BLOCK[0]
    volume, place = volume.transpose(order), np.asarray(place)[order]
    whole = np.pad(volume[:, :, place[2]], side, constant_values=empty)
    x, y = np.clip(place[:2], 0, np.array(volume.shape[:2]) - 1) + side - side // 2
    return whole[x : x + side, y : y + side]


def flipped(rng, image: np.ndarray, label: np.ndarray):
    """Mirror images along the first axis and, less often, along the second."""
    if rng.random() < 0.5:
        image, label = image[:, ::-1], label[::-1]
    if rng.random() < 0.2:
        image, label = image[:, :, ::-1], label[:, ::-1]
    return np.ascontiguousarray(image), np.ascontiguousarray(label)


@dataclass(frozen=True)
class WholeHead:
    """A held-out head at 1 mm about the regions: ``label`` and ``share`` of its perivascular
    spaces, ``domain`` the region labels; `take` makes images of it."""

    tissues: Tissues
    contents: Contents
    label: np.ndarray
    share: np.ndarray
    domain: np.ndarray
    seed: int

    def take(self, taken: Acquisition) -> np.ndarray:
        """T1w and T2w (2, x, y, z); the same anatomy and the same draws for every acquisition."""
        images, _ = render_pair(
            np.random.default_rng([self.seed, 6]), self.tissues, self.contents, taken
        )
        return images


def whole_head(seed: int, tubes: int) -> WholeHead:
    """Head number ``seed`` with ``tubes`` perivascular spaces, the part about the regions."""
    rng = np.random.default_rng([seed, 2])
    head = draw_head(rng)
    corners = np.array([[-68, -100, -24], [68, 68, 66]], float)
    grid = np.stack(np.meshgrid(*corners.T, indexing="ij"), -1).reshape(-1, 3)
    placed = head.from_mni(grid)
    low = placed.min(0)
    shape = tuple(int(n) for n in np.ceil(placed.max(0) - low))
    tissues = render_tissues(head, rng, low, shape, 1.0)
    share, contrast, numbers = plant_tubes(rng, head.linear, tissues, tubes)
    others, _ = draw_contents(rng, head, tissues, 1.0, 0)
    free = share <= TOUCHED
    contents = replace(
        others, tubes=contrast, numbers=numbers,
        lacunes=others.lacunes * free, rims=others.rims * free,
    )  # fmt: skip
    places = load_maps().at("places", tissues.mni, order=0).astype(np.uint8)
    x, _, z = np.moveaxis(tissues.mni, -1, 0)
    below = z < legend.definitions()["roof_mm"]
    domain = atlas.limited(places, tissues.gm, tissues.wm, x, below)
    return WholeHead(tissues, contents, share > LABEL_SHARE, share, domain, seed)


REGION_SHAPE = (80, 96, 80)
REGION_MM = 2.0
TO_2MM_BLUR_MM = 0.7
"""Standard deviation of the smoothing that brings a T1w of 1 mm to `REGION_MM`."""
TO_2MM_NOISE = 0.26
"""What that smoothing leaves of the noise: (2 sqrt(pi) 0.7)^(-3/2) for white noise."""


def region_volumes(seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """T1w brains (1, x, y, z) at 2 mm, and the regions' outlines in them: 1 CSO, 2 BG, 3 midbrain.

    Outlines and not the tissue in them: how much of a voxel is white matter is told at 1 mm, by the
    tissue segmentation.
    """
    rng = np.random.default_rng([seed, 3])
    while True:
        head = draw_head(rng, turn_deg=18.0)
        middle = head.from_mni(np.array([[0.0, -18.0, 8.0]]))[0] + rng.uniform(-5, 5, 3)
        low = middle - np.array(REGION_SHAPE) * REGION_MM / 2
        tissues = render_tissues(head, rng, low, REGION_SHAPE, REGION_MM)
        contents, _ = draw_contents(rng, head, tissues, 1.0, 0)
        places = load_maps().at("places", tissues.mni, order=0).astype(np.uint8)
        places[tissues.hull <= 0.5] = 0
        for _ in range(RENDERINGS):
            taken = at_2mm(draw_acquisition(rng, t1w_only=1.0))
            image = uneven(rng, render_pair(rng, tissues, contents, taken)[0][:1])
            yield flipped(rng, image, places)


def at_2mm(taken: Acquisition) -> Acquisition:
    """What is left of a T1w's noise, and its blur, where it has been brought to `REGION_MM`."""
    return replace(
        taken,
        blur_mm=float(np.hypot(taken.blur_mm, TO_2MM_BLUR_MM)),
        noise_t1w=TO_2MM_NOISE * taken.noise_t1w,
    )


def uneven(rng, image: np.ndarray) -> np.ndarray:
    """``image`` (1, x, y, z) in [-1, 1] with what N4 may leave of the coil's profile."""
    field = np.exp(rng.uniform(0, 0.2) * smooth_noise(rng, image.shape[1:], 60.0 / REGION_MM))
    return np.clip((image + 1) * field - 1, -1, 1).astype(np.float32)


HEAD_SHAPE = (96, 112, 96)
HEAD_MM = 2.0
HEAD_RENDERINGS = 3
DRAWN = 0.1
"""Share of heads whose surroundings are drawn and not a donor's."""
OWN_BRAIN = 0.4
"""Share of a donor's images that show its own brain as it is, and not its tissues redrawn."""
STEEPEST_BIAS = 0.45
"""Logarithm of the coil's profile, one deviation of its smooth part."""


def head_volumes(seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """T1w heads (1, x, y, z) at 2 mm in [-1, 1], and the share of brain in each voxel.

    Whole, defaced, cut by their field of view, or stripped of their skull already.
    """
    rng = np.random.default_rng([seed, 4])
    while True:
        head = draw_head(rng, turn_deg=20.0)
        middle = head.from_mni(np.array([[0.0, -18.0, -12.0]]))[0] + rng.uniform(-12, 12, 3)
        low = middle - np.array(HEAD_SHAPE) * HEAD_MM / 2
        donor = None if rng.random() < DRAWN else donors.load_donor(str(rng.choice(donors.NAMES)))
        maps = donor.maps if donor else None
        tissues = render_tissues(head, rng, low, HEAD_SHAPE, HEAD_MM, maps)
        placed = donors.place(donor, tissues.mni) if donor else None
        for _ in range(HEAD_RENDERINGS):
            own = bool(placed) and rng.random() < OWN_BRAIN
            if placed:
                around = donors.surround(rng, placed, HEAD_MM, own)
            else:
                around = surround(rng, head, tissues.mni, HEAD_MM)
            image, label = head_volume(rng, tissues, around, own)
            if rng.random() < 0.5:
                image, label = image[:, ::-1], label[::-1]
            yield image, label


def head_volume(
    rng, tissues: Tissues, around: np.ndarray, own_brain: bool
) -> tuple[np.ndarray, np.ndarray]:
    """One image of a head of ``tissues`` with the signal ``around`` its brain, and its label;
    with ``own_brain`` the brain is in ``around`` already."""
    image = around
    if not own_brain:
        around = around * np.exp(abs(0.4 * rng.standard_normal()))
        level = levels_t1w(rng) if rng.random() < 0.8 else any_levels(rng)
        fine = 1 + rng.uniform(0, 0.06) * smooth_noise(rng, HEAD_SHAPE, 1.5)
        brain = (level["wm"] * tissues.wm + level["gm"] * tissues.gm) * fine
        image = brain + level["csf"] * tissues.csf + (1 - tissues.hull) * around
    image = image ** np.exp(0.2 * rng.standard_normal())
    kind = rng.choice(["head", "defaced", "stripped"], p=[0.8, 0.1, 0.1])
    if kind == "stripped":
        image = image * (tissues.hull > rng.uniform(0.2, 0.8))
    if kind == "defaced":
        x, y, z = np.moveaxis(tissues.mni, -1, 0)
        image = image * ~((y > rng.uniform(35, 60)) & (z < rng.uniform(-50, -20)))
    bias = rng.uniform(0, STEEPEST_BIAS) * smooth_noise(rng, HEAD_SHAPE, 60.0 / HEAD_MM)
    image = (image * np.exp(bias)).astype(np.float32)
    if rng.random() < 0.25:
        axis = int(rng.choice(3, p=[0.2, 0.2, 0.6]))
        image = thick(image, rng.uniform(2, 6) / HEAD_MM, axis, rng)
    image = acquire(rng, image, rng.uniform(0.1, 0.7),
                    np.exp(rng.uniform(np.log(0.003), np.log(0.12))))  # fmt: skip
    image, label = cut_field(rng, image, tissues.hull)
    return scaled(image)[None], label


def cut_field(rng, image: np.ndarray, label: np.ndarray):
    """What a smaller field of view leaves: slabs at the edges are empty."""
    image, label = image.copy(), label.copy()
    for axis, side in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)):
        if rng.random() < 0.2:
            depth = int(rng.uniform(3, 30 if axis < 2 else 48) / HEAD_MM)
            slab = [slice(None)] * 3
            slab[axis] = slice(0, depth) if side == 0 else slice(-depth, None)
            image[tuple(slab)] = 0
            label[tuple(slab)] = 0
    return image, label
