"""The perivascular spaces of one unit as a rater sees them: counted, and found but not counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from glymph.common import legend
from glymph.common.images import array, load
from glymph.common.names import Unit
from glymph.common.spaces import apply_affine
from glymph.common.tables import read_tsv
from glymph.epvs.census import CONNECTED, SHORTEST_MM, extent

SPACE = "space-T1w_res-1mm_"
FILES = {
    "numbers": f"{SPACE}desc-EPVS_dseg.nii.gz",
    "not_counted": f"{SPACE}desc-notcounted_mask.nii.gz",
    "lesions": f"{SPACE}desc-lesion_mask.nii.gz",
    "regions": f"{SPACE}desc-region_dseg.nii.gz",
    "probability": f"{SPACE}label-EPVS_probseg.nii.gz",
}
TABLE = "desc-EPVS_objects.tsv"
MOST_OTHERS = 3000
"""Objects that are not counted and listed one by one, the largest first."""


class Objects:
    """What was found in one unit.

    ``numbers`` (uint16, x, y, z) labels the counted objects from 1, as in the table, and after them
    those that are not counted; ``regions`` their regions; ``image`` holds the grid. ``rows``: one
    per label, with its centre in world mm; ``why`` says why it is not counted.
    """

    def __init__(self, results: Path, unit: Unit):
        places = {name: results / unit.path("anat", file) for name, file in FILES.items()}
        self.image = load(places["numbers"])
        counted = array(self.image, np.uint16)
        self.counted = counted > 0
        self.regions = array(load(places["regions"]), np.uint8)
        lesions = array(load(places["lesions"])) > 0
        probability = array(load(places["probability"]))
        others = (array(load(places["not_counted"])) > 0) & (self.regions > 0)
        others, _ = ndimage.label(others, CONNECTED)
        rows = read_tsv(results / unit.path("anat", TABLE))
        others = _largest(others, len(rows))
        self.numbers = np.where(others > 0, others, counted).astype(np.uint16)
        self.rows = [_row(row) for row in rows]
        self.rows += list(self._others(others, lesions))
        labels = [row["object"] for row in self.rows]
        highest = ndimage.maximum(probability, self.numbers, labels) if labels else []
        for row, value in zip(self.rows, highest, strict=True):
            row["probability"] = round(float(value), 3)

    def _others(self, others: np.ndarray, lesions: np.ndarray):
        for number, box in enumerate(ndimage.find_objects(others), 1):
            if box is None:
                continue
            voxels = np.argwhere(others[box] == number) + [s.start for s in box]
            place = tuple(voxels.T)
            length = extent(voxels, self.image.affine)
            region, side = legend.home(self.regions[place])
            centre = apply_affine(self.image.affine, voxels.mean(axis=0))
            yield {
                "object": number, "counted": False, "region": region, "side": side,
                "length": round(length, 2), "width": None, "volume": None,
                "voxels": len(voxels), "centre": [round(float(v), 2) for v in centre],
            } | _why(length, float(lesions[place].mean()))  # fmt: skip


def _row(row: dict) -> dict:
    number = {k: round(float(row[f"{k}_{unit}"]), 2)
              for k, unit in (("length", "mm"), ("width", "mm"), ("volume", "mm3"))}  # fmt: skip
    centre = [float(row[f"t1w_{axis}"]) for axis in "xyz"]
    about = {
        "object": int(row["object"]),
        "counted": True,
        "state": "",
        "why": "",
        "centre": centre,
    }
    return about | {"region": row["region"], "side": row["side"]} | number


def _largest(others: np.ndarray, start: int) -> np.ndarray:
    """Labels from ``start`` + 1 in place of those of the `MOST_OTHERS` largest parts, else 0."""
    sizes = np.bincount(others.ravel())
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")[: min(MOST_OTHERS, len(sizes) - 1)]
    new = np.zeros(len(sizes), np.int32)
    new[np.sort(order)] = start + 1 + np.arange(len(order))
    return new[others]


def _why(length: float, in_lesion: float) -> dict[str, str]:
    """Why an object is not counted, in a word and in a sentence."""
    if in_lesion > 0.5:
        return {"state": "lesion", "why": "in a white-matter lesion"}
    if length < SHORTEST_MM - 1e-6:
        return {"state": "too short", "why": f"shorter than {SHORTEST_MM:g} mm"}
    return {
        "state": "left out",
        "why": "part of a larger CSF space, unlike CSF, or deleted by a rater",
    }
