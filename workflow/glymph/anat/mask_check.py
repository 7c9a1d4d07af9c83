"""Whether a brain mask is one: against a second engine, the template, and the image's edges.

The template is laid on the whole head, not on what the mask leaves of it: a registration of the
masked brain stretches to fit any mask, and a nonlinear one hides even a missing lobe. Here the
mask only helps to find a place to start from, beside another start that does without it.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
import yaml
from scipy.ndimage import distance_transform_edt, map_coordinates

from glymph.anat.register import template_at
from glymph.common.errors import BadInput
from glymph.common.images import array
from glymph.common.registry import checked
from glymph.common.spaces import (
    ants_affine,
    apply_affine,
    coarser,
    image_to_ants,
    read_itk_affine,
    to_ants,
    voxel_sizes,
    write_itk_affine,
)
from glymph.common.template import Template

PARTS = Path(__file__).parents[3] / "resources" / "brain_parts.yaml"
LAY_MM, JUDGE_MM = 4.0, 2.0
"""Grid on which the template is laid on the head (an affine has twelve numbers to find, not more),
and grid on which the mask is judged."""
RIM_MM = 6.0
"""Beyond the template's brain that laying it sees: fluid and skull, dark as the template's
background. The scalp is further out and has nothing to match there."""
TOLERANCE_MM = 5.0
"""Within this of the template's surface nothing is judged: heads differ by so much after an affine
registration, and engines in how much of the fluid around the brain they keep."""
PITCHES = (0.0, -20.0, 20.0)
"""Degrees from which heads are tried: from further off the registration may not find its way."""
HEAD_MM = 160.0
"""From the top of the head: what stands for the brain's place where the mask is not asked."""
LEAST_SIMILARITY = 0.65
"""Correlation of template and head (sound T1w have 0.7 to 0.9) below which another start is tried;
where none reaches it the template does not lie on the head, and nothing can be said of the mask."""
LEAST_IN_VIEW = 0.5
"""Share of the template's brain that must lie in the image for a judgement of the whole."""
REFUSED_OVERLAP = 0.5
"""Dice of two engines below which less than half is common to them: two sound masks of one brain
that differ by 4 mm all around have 0.8, so one of them is no brain, and nobody tells which."""
REFUSED_MISSED = 0.25
"""A quarter of the brain is more than both temporal lobes, or the cerebellum and a lobe: no volume,
registration or count of what is left means what it says."""
REFUSED_BEYOND = 0.25
"""Where a quarter of the mask lies outside the brain it holds the face or the neck, which tissue
segmentation then calls brain."""
CURE = (
    "look at the mask; choose another engine (anat.brain), or provide a mask (anat.brain_mask, or "
    "corrected/ of the review folder)"
)


METRICS = (
    "brain_missed_share",
    "cerebellum_missed_share",
    "brainstem_missed_share",
    "brain_beyond_share",
    "brain_border_share",
)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Dice of two masks (bool) on one grid; 1 for two empty ones."""
    total = int(first.sum()) + int(second.sum())
    return float(2 * (first & second).sum() / total) if total else 1.0


def compare(mask: np.ndarray, other: np.ndarray | None) -> dict[str, float | None]:
    """Metric of how far two masks agree; None without a second one."""
    return checked({"brain_masks_overlap": None if other is None else dice(mask, other)})


def border(
    mask: np.ndarray, affine: np.ndarray, expected: np.ndarray | None = None
) -> dict[str, float]:
    """Metric: share of the surface of ``mask`` (bool, x, y, z) on the edge of the image.

    Surfaces are the faces of voxels, weighted by their area in mm2, so that slices of any thickness
    count alike. On the edge only those count that are not in ``expected`` (bool): where a field of
    view cuts the brain its mask must end there, a neck or face that is cut is none.
    """
    sizes = voxel_sizes(affine)
    odd = mask if expected is None else mask & ~expected
    edge = whole = 0.0
    for axis in range(3):
        area = float(np.prod(np.delete(sizes, axis)))
        at_ends, odd_ends = (
            sum(int(np.take(one, end, axis).sum()) for end in (0, -1)) for one in (mask, odd)
        )
        inner = int(np.diff(mask.view(np.int8), axis=axis).astype(bool).sum())
        edge, whole = edge + area * odd_ends, whole + area * (at_ends + inner)
    return checked({"brain_border_share": edge / whole if whole else 0.0})


def against_template(
    mask: np.ndarray, head: nib.Nifti1Image, template: Template
) -> dict[str, float | None]:
    """Metrics of what of the template's brain ``mask`` misses, and of what it holds beyond.

    ``head``: the T1w with its skull, where it has one, in any storage; ``mask`` (bool) on its grid.
    All are None where the template cannot be laid on the head, single ones where a structure lies
    outside the field of view: what was not scanned no mask can hold.
    """
    matrix, similarity = lay(head, mask, template)
    if similarity < LEAST_SIMILARITY:
        return checked(dict.fromkeys(METRICS))
    given = (mask, head.affine, matrix, template)
    return checked(missed(*given) | beyond(*given))


def lay(head: nib.Nifti1Image, mask: np.ndarray, template: Template) -> tuple[np.ndarray, float]:
    """The affine (4 x 4, template points to points of the head, mm) and its correlation.

    ANTs, mutual information over the template's brain and `RIM_MM` around it; the head is not
    masked. Rotation and size come first: where the field of view cuts the head, twelve numbers at
    once go astray. Of several `starts` the first counts that lies well, or else the best.
    """
    fixed = template_at(template, LAY_MM)
    near = distance_transform_edt(fixed.numpy() == 0, sampling=LAY_MM) <= RIM_MM
    moving, found = _at_most(head, LAY_MM / 1.5), []
    for start in starts(head, mask, template):
        found.append(_laid(fixed, moving, near, start))
        if found[-1][1] >= LEAST_SIMILARITY:
            break
    return max(found, key=lambda one: one[1])


def _at_most(head: nib.Nifti1Image, size: float):
    """``head`` for ANTs in voxels of ``size`` mm, where its own are smaller in the mean."""
    import ants

    image = image_to_ants(head)
    if float(np.mean(voxel_sizes(head.affine))) >= size:
        return image
    return ants.resample_image(image, (size,) * 3, False, 0)


def _laid(fixed, moving, near: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, float]:
    import ants

    with tempfile.TemporaryDirectory(prefix="lay_") as folder:
        matrix = start
        for kind in ("Similarity", "Affine"):
            write_itk_affine(f"{folder}/start.mat", matrix)
            result = ants.registration(
                fixed,
                moving,
                type_of_transform=kind,
                initial_transform=[f"{folder}/start.mat"],
                outprefix=f"{folder}/",
                mask=to_ants(near.astype(np.float32), ants_affine(fixed)),
                mask_all_stages=True,
                aff_metric="mattes",
                aff_random_sampling_rate=1.0,  # a coarse grid has no points to spare
                aff_iterations=(100, 30),
                aff_shrink_factors=(2, 1),
                aff_smoothing_sigmas=(1, 0),
            )
            matrix = read_itk_affine(result["fwdtransforms"][0])
    warped, wanted = result["warpedmovout"].numpy()[near], fixed.numpy()[near]
    if warped.std() == 0:
        return matrix, -1.0
    return matrix, float(np.corrcoef(warped, wanted)[0, 1])


def starts(head: nib.Nifti1Image, mask: np.ndarray, template: Template) -> list[np.ndarray]:
    """Matrices (4 x 4, template to head, mm) to start from: the brain where the mask has it, and
    where the top of the head has it, pitched by `PITCHES`."""
    middle = apply_affine(template.t1w.affine, np.argwhere(template.brain).mean(axis=0))
    places = [_centre(one, head.affine) for one in (mask, _top(head))]
    return [_placed(middle, place, pitch) for pitch in PITCHES for place in places]


def _centre(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return apply_affine(affine, np.argwhere(mask).mean(axis=0))


def _top(head: nib.Nifti1Image) -> np.ndarray:
    """What is bright (bool) in the uppermost `HEAD_MM` of a head."""
    data = array(head)
    bright = data > 0.15 * np.percentile(data, 99)
    index = np.argwhere(bright)
    up = apply_affine(head.affine, index)[:, 2]
    # Not the very highest voxel: noise and wrapped noses lie above the head.
    low = index[up < np.percentile(up, 99.9) - HEAD_MM]
    bright[tuple(low.T)] = False
    return bright


def _placed(middle: np.ndarray, place: np.ndarray, pitch: float) -> np.ndarray:
    cosine, sine = np.cos(np.radians(pitch)), np.sin(np.radians(pitch))
    matrix = np.eye(4)
    matrix[1:3, 1:3] = [[cosine, -sine], [sine, cosine]]
    matrix[:3, 3] = place - matrix[:3, :3] @ middle
    return matrix


def depth(template: Template) -> tuple[np.ndarray, np.ndarray]:
    """Depth (mm, float32) below the surface of the template's brain, negative outside, on a grid of
    `JUDGE_MM` that is wider than the template by twice the tolerance; and the grid's affine."""
    brain, affine, _ = coarser(template.brain.astype(np.float32), template.t1w.affine, JUDGE_MM)
    sizes = voxel_sizes(affine)
    wide = int(np.ceil(2 * TOLERANCE_MM / sizes.min()))
    inside = np.pad(brain > 0.5, wide)
    affine = affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, wide)
    deep = distance_transform_edt(inside, sampling=sizes)
    return (deep - distance_transform_edt(~inside, sampling=sizes)).astype(np.float32), affine


def missed(
    mask: np.ndarray, affine: np.ndarray, matrix: np.ndarray, template: Template
) -> dict[str, float | None]:
    """Shares of the template's brain, cerebellum and brain stem that ``mask`` (on the grid
    ``affine``) lacks, of what lies in the image's field of view and deeper than `TOLERANCE_MM`
    below the template's surface. ``matrix``: template points to points of the head."""
    deep, grid = depth(template)
    index = np.argwhere(deep > TOLERANCE_MM)
    points = apply_affine(grid, index)
    voxels = apply_affine(np.linalg.inv(affine) @ matrix, points)
    nearest = np.round(voxels).astype(int)
    seen = ((nearest >= 0) & (nearest < mask.shape)).all(axis=1)
    held = np.zeros(len(points), bool)
    held[seen] = mask[tuple(nearest[seen].T)]
    found = {"brain_missed_share": _lacking(np.ones(len(points), bool), seen, held, LEAST_IN_VIEW)}
    for name, part in parts().items():
        own = within(part, points)
        found[f"{name}_missed_share"] = _lacking(own, seen, held, part["least"])
    return found


def _lacking(own: np.ndarray, seen: np.ndarray, held: np.ndarray, least: float) -> float | None:
    if not own.any() or seen[own].mean() < least:
        return None
    return float(1 - held[own & seen].mean())


def outside(
    mask: np.ndarray, affine: np.ndarray, matrix: np.ndarray, template: Template
) -> np.ndarray:
    """What of ``mask`` (bool) lies further than `TOLERANCE_MM` outside the template's brain."""
    deep, grid = depth(template)
    index = np.argwhere(mask)
    points = apply_affine(np.linalg.inv(grid) @ np.linalg.inv(matrix) @ affine, index)
    there = map_coordinates(deep, points.T, order=0, mode="constant", cval=-np.inf)
    found = np.zeros(mask.shape, bool)
    found[tuple(index[there < -TOLERANCE_MM].T)] = True
    return found


def beyond(
    mask: np.ndarray, affine: np.ndarray, matrix: np.ndarray, template: Template
) -> dict[str, float]:
    """Metrics of what of ``mask`` (on the grid ``affine``) is `outside`: its share of the volume,
    and of the surface where it touches the image's border."""
    odd = outside(mask, affine, matrix, template)
    share = float(odd.sum() / max(int(mask.sum()), 1))
    return {"brain_beyond_share": share} | border(mask, affine, mask & ~odd)


@lru_cache(maxsize=1)
def parts() -> dict:
    """The structures of `resources/brain_parts.yaml` by name."""
    return yaml.safe_load(PARTS.read_text(encoding="utf-8"))["parts"]


def within(part: dict, points: np.ndarray) -> np.ndarray:
    """Which of ``points`` (n, 3; template mm) lie in one of `parts`."""
    aside = np.abs(points[:, 0])
    levels = sorted(part["outline"])
    inside = np.zeros(len(points), bool)
    for low, high in zip(levels, [*levels[1:], part["until"]], strict=True):
        at = np.flatnonzero((aside >= low) & (aside < high))
        inside[at] = _enclosed(np.array(part["outline"][low], float), points[at, 1:])
    return inside


def _enclosed(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which of ``points`` (n, 2) a polygon holds: a ray from it crosses its edges oddly often."""
    inside = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (points[:, 1] < y0) != (points[:, 1] < y1)
            inside ^= crosses & (points[:, 0] < x0 + (points[:, 1] - y0) * (x1 - x0) / (y1 - y0))
    return inside


def refuse_overlap(metrics: dict[str, float | None], engines: str, source: str) -> None:
    """`BadInput`, naming the file ``source``, where two ``engines`` saw different things."""
    overlap = metrics["brain_masks_overlap"]
    if overlap is not None and overlap < REFUSED_OVERLAP:
        raise BadInput(
            f"the brain masks of {engines} have a Dice of {overlap:.2f}: one of them is no brain",
            source, f"{CURE}; anat.compare_brain: false takes the first as it is",
        )  # fmt: skip


def refuse_shares(metrics: dict[str, float | None], source: str) -> None:
    """`BadInput`, naming the file ``source``, for a mask that is not the brain of its head."""
    for name, limit, words in (
        ("brain_missed_share", REFUSED_MISSED, "misses {} of the template's brain"),
        ("brain_beyond_share", REFUSED_BEYOND, "lies by {} outside the template's brain"),
    ):
        share = metrics[name]
        if share is not None and share > limit:
            raise BadInput(f"the brain mask {words.format(f'{share:.0%}')}", source, CURE)
