"""Centrum semiovale, basal ganglia, midbrain and deep white matter, left and right, at 1 mm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to
from scipy import ndimage

from glymph.anat.register import to_subject
from glymph.common import legend
from glymph.common.errors import BadInput, short
from glymph.common.given import volume
from glymph.common.images import array, load
from glymph.common.registry import checked
from glymph.common.spaces import apply_affine, read_itk_affine, voxel_sizes
from glymph.common.template import Template
from glymph.epvs import atlas
from glymph.epvs.lesions import closed, with_rims
from glymph.epvs.prepare import Grid, resample
from glymph.epvs.roof import find_roofs
from glymph.networks.run import Bundle, open_bundle

GAP_MM3 = 150
"""Holes in a region up to this size are perivascular spaces or lesions and belong to it."""
GAP_MM = 2.0
"""So are gaps up to twice as wide that are open to the outside, as where a perivascular space
reaches the cortex, the ventricle or the outline's border."""
ENCLOSED = 0.75
"""How much of what touches such a gap must be region: of the end of a sulcus two thirds are."""
TO_COARSE_BLUR = 0.35
"""Smoothing before a T1w is brought to the network's coarse voxels, as a share of their size."""
RANGES_MM3 = {
    "cso": (30_000, 600_000),
    "bg": (8_000, 120_000),
    "midbrain": (1_500, 20_000),
    "dwm": (0, 300_000),
}
"""Both sides together; outside these something went wrong."""


ENGINES = ("atlas", "vbnet")
"""Both can be made of any T1w; "provided" cannot."""


@dataclass(frozen=True)
class Subject:
    """What the engines start from.

    ``t1w``: [-1, 1] at 1 mm in RAS order, -1 outside the brain. ``affine`` and ``inverse_warp``:
    transforms of stage anat. ``files``: tissue maps csf, gm and wm for "atlas" and "vbnet",
    outlines of the atlas for "atlas", provided for "provided".
    """

    t1w: nib.Nifti1Image
    template: Template
    affine: str
    inverse_warp: str
    files: dict[str, str]

    @property
    def source(self) -> str:
        return self.t1w.get_filename() or "T1w"

    @property
    def grid(self) -> Grid:
        return Grid(self.t1w.shape, self.t1w.affine)

    @cached_property
    def template_points(self) -> np.ndarray:
        """Template x, y, z (mm; 3, x, y, z) of every voxel of the T1w, by affine and warp."""
        whole = self.template.t1w
        return np.stack([self.carried(v) for v in atlas.world(whole.shape, whole.affine)])

    @cached_property
    def height(self) -> np.ndarray:
        """Template z (mm) of every voxel of the T1w, by the affine registration alone."""
        to_template = np.linalg.inv(read_itk_affine(self.affine))
        return apply_affine(to_template, self.grid.points())[..., 2].astype(np.float32)

    @cached_property
    def roofs(self) -> dict[str, float | None]:
        """Level (template mm) of the roof of each lateral ventricle, None where none is found."""
        csf, _ = resample(load(self.files["csf"]), self.grid, order=1)
        return find_roofs(csf, self.template_points, self.height)

    def below_roof(self) -> np.ndarray:
        """Whether each voxel (bool) lies below the roof of its side's lateral ventricle."""
        usual = legend.definitions()["roof_mm"]
        left, right = (usual if self.roofs[s] is None else self.roofs[s] for s in ("left", "right"))
        return self.height < np.where(self.template_points[0] < 0, left, right)

    def carried(self, values: np.ndarray, interpolation: str = "linear") -> np.ndarray:
        """``values`` on the template's grid, brought to the T1w."""
        return to_subject(
            values, self.template, self.t1w, self.affine, self.inverse_warp, interpolation
        )


def find(subject: Subject, engine: str, model: str | None, threads: int) -> tuple[np.ndarray, str]:
    """Region labels (uint8) on the grid of the T1w, and the name of what made them.

    ``engine``: "vbnet", "atlas" or "provided". Raises `BadInput` for labels that mean nothing and
    for regions of a size that no brain has.
    """
    if engine == "provided":
        return _provided(subject), engine
    labels, made_by = draw(subject, engine, model, threads)
    check_sizes(labels, subject.source)
    return labels, made_by


def draw(subject: Subject, engine: str, model: str | None, threads: int) -> tuple[np.ndarray, str]:
    """As `find`, by one of `ENGINES`, whatever the sizes.

    Either engine gives the regions' outlines; what counts of them is tissue, by the segmentation,
    and the ventricles' roof divides centrum semiovale and deep white matter. Left and right are
    told apart in the template, so a head lying askew is no matter.
    """
    t1w, x = subject.t1w, subject.template_points[0]
    if engine == "vbnet":
        bundle = open_bundle("regions", model, threads)
        places, made_by = from_network(array(t1w), t1w.affine, bundle), bundle.title
        places = largest_parts(places, x)
    else:
        outlines = array(load(subject.files["outlines"]))
        places, made_by = np.round(subject.carried(outlines, "nearestNeighbor")), engine
    gm, wm = (resample(load(subject.files[k]), subject.grid, order=1)[0] for k in ("gm", "wm"))
    labels = atlas.limited(places.astype(np.uint8), gm, wm, x, subject.below_roof())
    return tidy(labels), made_by


def _provided(subject: Subject) -> np.ndarray:
    if "provided" not in subject.files:
        raise BadInput("no provided region labels", subject.source, "see epvs.region_labels")
    path = subject.files["provided"]
    values, _ = resample(volume(path), subject.grid, order=0)
    return check_provided(values, path)


def overlap(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Smallest Dice of the outlined regions, both sides together, of two label images on one grid.

    Centrum semiovale and deep white matter count as one: what divides them is not the engines'.
    """
    dice = []
    for values in legend.outlined().values():
        one, two = (np.isin(labels, values) for labels in (first, second))
        dice.append(2 * (one & two).sum() / max(int(one.sum() + two.sum()), 1))
    return checked({"regions_overlap": float(min(dice))})


def from_network(t1w: np.ndarray, affine: np.ndarray, bundle: Bundle) -> np.ndarray:
    """Numbers (uint8) of the outlines, in the order of `legend.names`, by the 3D VB-Net.

    ``t1w``: in [-1, 1] at 1 mm, RAS order, -1 outside the brain.
    """
    step = bundle.settings["voxel_mm"]
    coarse_affine = affine @ np.diag([step, step, step, 1.0])
    shape = tuple(int(np.ceil(n / step)) for n in t1w.shape)
    soft = ndimage.gaussian_filter(t1w, TO_COARSE_BLUR * step)
    image = nib.Nifti1Image(soft, affine)
    coarse = array(resample_from_to(image, (shape, coarse_affine), order=1, cval=-1))
    found = bundle.probabilities(coarse[None])
    fine = np.stack(
        [
            array(resample_from_to(nib.Nifti1Image(p, coarse_affine), (t1w.shape, affine), order=1))
            for p in found
        ]
    )
    return np.argmax(fine, axis=0).astype(np.uint8) * (t1w > -1)


def largest_parts(places: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``places`` with one connected part of each number and side: a region is in one piece there.

    ``x``: template x (mm) of every voxel, which tells left from right.
    """
    labels, kept = atlas.sided(places, x), np.zeros_like(places)
    for value in np.unique(labels[labels > 0]):
        parts, _ = ndimage.label(labels == value)
        largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
        kept[largest] = places[largest]
    return kept


def tidy(labels: np.ndarray, keep_parts_mm3: float = 200) -> np.ndarray:
    """``labels`` without crumbs, and with small holes filled, at 1 mm.

    A perivascular space is no white matter to a tissue segmentation: the hole it leaves in a region
    is part of the region. Ventricles and sulci, larger or wider open to the outside, stay out.
    """
    inside = labels > 0
    holes, count = ndimage.label(~inside)
    sizes = np.bincount(holes.ravel(), minlength=count + 1)
    small = np.isin(holes, np.flatnonzero(sizes <= GAP_MM3)) & ~inside | narrow_gaps(inside)
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    filled = np.where(small, labels[tuple(nearest)], labels)
    for value in np.unique(filled[filled > 0]):
        parts, count = ndimage.label(filled == value, np.ones((3, 3, 3)))
        if count > 1:
            sizes = np.bincount(parts.ravel())
            crumbs = np.isin(parts, np.flatnonzero(sizes < keep_parts_mm3)) & (parts > 0)
            crumbs &= parts != 1 + np.argmax(sizes[1:])
            filled[crumbs] = 0
    return filled.astype(np.uint8)


def narrow_gaps(inside: np.ndarray) -> np.ndarray:
    """Gaps (bool) of the region ``inside`` (bool, x, y, z, at 1 mm) that closing by `GAP_MM` fills
    and of which the surface is region for the most part, `ENCLOSED`."""
    parts, _ = ndimage.label(closed(inside, GAP_MM) & ~inside)
    found = np.zeros(inside.shape, bool)
    for box, own, rim in with_rims(parts):
        if inside[box][rim].mean() >= ENCLOSED:
            found[box] |= own
    return found


def check_provided(labels: np.ndarray, source: str) -> np.ndarray:
    """A lab's own labels; `BadInput` for values that mean nothing here."""
    known = set(legend.definitions()["labels"])
    odd = [f"{value:g}" for value in np.unique(labels) if value not in known | {0}]
    if odd or not labels.any():
        raise BadInput(
            f"region labels must be among {sorted(known)} "
            f"(found {short(', '.join(odd)) or 'none'})", source,
            "see resources/regions.yaml",
        )  # fmt: skip
    return labels.astype(np.uint8)


def volumes(labels: np.ndarray, affine: np.ndarray) -> dict[str, float]:
    """Volume (mm3) of each region of ``labels`` on the grid ``affine``, both sides together and
    each."""
    sizes = np.bincount(labels.ravel(), minlength=256) * float(np.prod(voxel_sizes(affine)))
    found = {}
    for name in legend.names():
        left, right = (float(sizes[v]) for v in legend.label_values(name))
        found |= {f"{name}_volume_mm3": left + right}
        found |= {f"{name}_left_volume_mm3": left, f"{name}_right_volume_mm3": right}
    return checked(found)


def roof_levels(roofs: dict[str, float | None]) -> dict[str, float | None]:
    """The levels of `Subject.roofs` as metrics."""
    return checked({f"ventricle_roof_{side}_mm": level for side, level in roofs.items()})


def check_sizes(labels: np.ndarray, source: str) -> None:
    """`BadInput` where a region has a size that no brain has."""
    for name, (low, high) in RANGES_MM3.items():
        size = float(np.isin(labels, legend.label_values(name)).sum())
        if not low <= size <= high:
            raise BadInput(
                f"region {name} has {size:.0f} mm3 (expected {low} to {high})", source,
                "look at the T1w and its brain mask; try epvs.regions: atlas or vbnet",
            )  # fmt: skip
