"""Agreement of two masks of perivascular spaces, by voxels and by objects."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from glymph.common.spaces import voxel_sizes
from glymph.epvs import census

MEASURES = {
    "dice": "2 TP / (2 TP + FP + FN) over voxels.",
    "recall": "Share of the reference's voxels that the result has.",
    "precision": "Share of the result's voxels that the reference has.",
    "object_recall": "Share of the reference's objects of 2 mm and longer that the result touches.",
    "object_precision": "Share of the result's objects that the reference touches.",
    "object_f1": "Harmonic mean of object recall and object precision.",
    "volume_difference_mm3": "Volume of the result minus that of the reference, mm3.",
    "volume_difference_share": "Absolute volume difference divided by the reference's volume.",
    "count_difference": "Objects of the result minus those of the reference.",
    "reference_outside": "Share of the reference's voxels that lie in no region and so are not "
    "compared: what was drawn elsewhere, or what the regions wrongly leave out.",
}
"""Measures of `compare`; one that would divide by zero is None."""


def compare(
    result: np.ndarray, reference: np.ndarray, labels: np.ndarray, affine: np.ndarray
) -> dict[str, float | None]:
    """`MEASURES` of a ``result`` against a ``reference`` (bool arrays), inside the regions.

    ``labels`` are region labels on the same grid of ``affine``: what a rater drew elsewhere is
    nobody's to find. Source of Dice, recall and precision: the study, section 1.9.

    >>> result, reference = np.zeros((2, 5, 5, 8), bool)
    >>> result[2, 2, 1:5] = reference[2, 2, 2:7] = True
    >>> found = compare(result, reference, np.full((5, 5, 8), 2), np.eye(4))
    >>> [round(found[name], 3) for name in ("dice", "recall", "precision", "object_f1")]
    [0.667, 0.6, 0.75, 1.0]
    """
    drawn = int(reference.sum())
    result, reference = result & (labels > 0), reference & (labels > 0)
    both = int((result & reference).sum())
    mine, theirs = int(result.sum()), int(reference.sum())
    found = census.find_objects(result.astype(np.float32), labels, affine)
    wanted = census.find_objects(reference.astype(np.float32), labels, affine)
    recall = _touched(wanted, result)
    precision = _touched(found, reference)
    voxel = float(np.prod(voxel_sizes(affine)))
    return {
        "dice": _share(2 * both, mine + theirs),
        "recall": _share(both, theirs),
        "precision": _share(both, mine),
        "object_recall": recall,
        "object_precision": precision,
        "object_f1": _harmonic(recall, precision),
        "volume_difference_mm3": (mine - theirs) * voxel,
        "volume_difference_share": _share(abs(mine - theirs), theirs),
        "count_difference": len(found) - len(wanted),
        "reference_outside": _share(drawn - theirs, drawn),
    }


def _touched(objects, mask: np.ndarray) -> float | None:
    return _share(sum(bool(mask[tuple(o.voxels.T)].any()) for o in objects), len(objects))


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _harmonic(recall: float | None, precision: float | None) -> float | None:
    if recall is None or precision is None:
        return None
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def all_pairs(
    result: np.ndarray, raters: dict[str, np.ndarray], labels: np.ndarray, affine: np.ndarray
) -> list[dict]:
    """Rows of `compare`: the workflow's result against each rater, the union and the intersection
    of all of them, and every rater against every other.
    """
    references = dict(raters)
    if len(raters) > 1:
        masks = list(raters.values())
        references |= {"union": np.any(masks, axis=0), "intersection": np.all(masks, axis=0)}
    rows = [
        {"result": "workflow", "reference": name} | compare(result, mask, labels, affine)
        for name, mask in references.items()
    ]
    rows += [
        {"result": first, "reference": second}
        | compare(raters[first], raters[second], labels, affine)
        for first, second in combinations(raters, 2)
    ]
    return rows
