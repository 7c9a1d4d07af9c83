"""The four ALPS regions: where they are in template space, and what share of each voxel they cover.

A 5 mm sphere holds 80 voxels of the study's DWI but only 7 of 2 mm. Nothing is drawn on a voxel
grid: each voxel is divided into small cells whose centres are carried to template space through the
composed transforms, and the share of them inside the region is the voxel's weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from glymph.common.errors import BadInput
from glymph.common.given import volume
from glymph.common.images import array, bounding_box
from glymph.common.names import HEMISPHERES, TRACTS
from glymph.common.spaces import apply_affine, map_points, voxel_sizes

CELL_MM = 0.5
WIDEST_MM, FARTHEST_MM = 100.0, 500.0
"""A region beyond these is a mistake, and would be divided into more cells than memory holds."""
PRESETS = Path(__file__).resolve().parents[3] / "resources" / "alps_rois.yaml"


@dataclass(frozen=True)
class Sphere:
    """A sphere in template space: centre in world mm, diameter in mm."""

    centre: tuple[float, float, float]
    diameter: float
    world: str = "template"

    def contains(self, points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points - np.asarray(self.centre), axis=-1) <= self.diameter / 2

    def outline(self) -> np.ndarray:
        """Points (n, 3) in template mm whose bounding box holds the region."""
        corners = np.stack(np.meshgrid(*[(-0.5, 0, 0.5)] * 3), axis=-1).reshape(-1, 3)
        return np.asarray(self.centre) + corners * self.diameter


@dataclass(frozen=True)
class Mask:
    """A mask image on any grid; inside is above 0.5. Its world is the template's or the DWI's."""

    path: str
    world: str = "template"

    def contains(self, points: np.ndarray) -> np.ndarray:
        image = volume(self.path)
        voxels = np.rint(apply_affine(np.linalg.inv(image.affine), points)).astype(int)
        inside = ((voxels >= 0) & (voxels < image.shape[:3])).all(axis=-1)
        found = np.zeros(len(points), bool)
        found[inside] = array(image)[tuple(voxels[inside].T)] > 0.5
        return found

    def outline(self) -> np.ndarray:
        image = volume(self.path)
        inside = array(image) > 0.5
        if not inside.any():
            raise BadInput("the ROI mask is empty", self.path, "draw it again")
        box = bounding_box(inside, 0)
        corners = apply_affine(image.affine, np.array([[s.start, s.stop - 1] for s in box]).T)
        if np.ptp(corners, axis=0).max() > WIDEST_MM or np.abs(corners).max() > FARTHEST_MM:
            raise BadInput(
                f"the ROI mask is wider than {WIDEST_MM:g} mm or farther than {FARTHEST_MM:g} mm "
                "from the template's origin", self.path, "draw it in template space",
            )  # fmt: skip
        return apply_affine(image.affine, np.argwhere(inside))


@dataclass(frozen=True)
class Shifted:
    """A region moved by ``shift`` (x, y, z) mm along the template's axes."""

    roi: Sphere | Mask
    shift: tuple[float, float, float]
    world: str = "template"

    def contains(self, points: np.ndarray) -> np.ndarray:
        return self.roi.contains(points - np.asarray(self.shift))

    def outline(self) -> np.ndarray:
        return self.roi.outline() + np.asarray(self.shift)


Roi = Sphere | Mask | Shifted
Rois = dict[tuple[str, str], Roi]


def load_rois(settings: dict, corrections: dict[str, dict] | None = None) -> Rois:
    """The four regions by (hemisphere, tract), of a preset or of the user.

    ``corrections`` of this unit: name of a region -> ``shift_mm`` in template axes, or ``mask``, a
    file in the DWI's world that replaces the region.

    ``settings`` is the ``alps`` part of the configuration: ``rois`` names a preset of
    ``resources/alps_rois.yaml`` or is "user"; then ``user_rois`` gives for each of
    left_projection, ... a ``centre`` and ``diameter_mm``, or a ``mask`` file, which is not read
    here: the viewer may have none. Sides are anatomical: negative x is left (`check_sides`).
    """
    if settings["rois"] == "user":
        given = settings["user_rois"]
    else:
        given = yaml.safe_load(PRESETS.read_text(encoding="utf-8"))[settings["rois"]]["rois"]
    found: Rois = {}
    for hemisphere in HEMISPHERES:
        for tract in TRACTS:
            name = f"{hemisphere}_{tract}"
            if name not in given:
                raise BadInput(f"alps.user_rois lacks {name}", cure="all four ROIs are needed")
            found[hemisphere, tract] = _corrected(_roi(given[name]), (corrections or {}).get(name))
    return found


def check_sides(rois: Rois) -> None:
    """Raise `BadInput` where a left region does not lie left of the right one, in any template.

    Reads masks. What the configuration says of spheres is checked at the start already.
    """
    for tract in TRACTS:
        left, right = (rois[side, tract].outline()[:, 0].mean() for side in HEMISPHERES)
        if not left < right:
            raise BadInput(
                f"left_{tract} lies at x = {left:.1f} mm, right_{tract} at {right:.1f} mm (means)",
                getattr(rois["left", tract], "path", ""),
                "x < 0 is left: exchange them in alps.user_rois, or correct the masks' affine",
            )  # fmt: skip


def _roi(entry: dict) -> Sphere | Mask:
    if "mask" in entry:
        return Mask(entry["mask"])
    return Sphere(tuple(map(float, entry["centre"])), float(entry["diameter_mm"]))


def _corrected(roi: Sphere | Mask, correction: dict | None) -> Roi:
    if not correction:
        return roi
    if "mask" in correction:
        return Mask(correction["mask"], world="dwi")
    return Shifted(roi, tuple(map(float, correction["shift_mm"])))


def coverage(roi: Roi, affine, to_template, from_template) -> tuple[np.ndarray, np.ndarray]:
    """Voxels of the grid ``affine`` that ``roi`` touches, and the share of each that it covers.

    ``to_template`` and ``from_template`` are transform chains for `map_points`, each the inverse of
    the other. Returns voxel indices (n, 3) and weights (n,) in 0 to 1. Indices may lie outside the
    image: a region that leaves the field of view shows as such.
    """
    if roi.world == "dwi":
        to_template, from_template = [], []
    world = map_points(roi.outline(), from_template)
    corners = apply_affine(np.linalg.inv(affine), world)
    low = np.floor(corners.min(axis=0)).astype(int) - 2
    high = np.ceil(corners.max(axis=0)).astype(int) + 2
    axes = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
    voxels = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    cells = _cells(voxel_sizes(affine))
    points = apply_affine(affine, (voxels[:, None] + cells[None]).reshape(-1, 3))
    inside = roi.contains(map_points(points, to_template))
    weights = inside.reshape(len(voxels), len(cells)).mean(axis=1)
    return voxels[weights > 0], weights[weights > 0]


def _cells(sizes: np.ndarray) -> np.ndarray:
    """Centres of the cells of one voxel, in voxel units from its centre."""
    counts = np.maximum(np.ceil(sizes / CELL_MM).astype(int), 2)
    steps = [(np.arange(n) + 0.5) / n - 0.5 for n in counts]
    return np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
