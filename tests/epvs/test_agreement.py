"""Agreement worked out by hand."""

import numpy as np
import pytest

from glymph.epvs.agreement import all_pairs, compare
from glymph.metrics.agreement import long_table, summary

SHAPE = (20, 20, 20)


def mask(*objects):
    found = np.zeros(SHAPE, bool)
    for x, y, low, high in objects:
        found[x, y, low:high] = True
    return found


LABELS = np.ones(SHAPE, np.uint8)
FIRST = mask((2, 2, 0, 4), (8, 8, 0, 6))
SECOND = mask((2, 2, 2, 6), (15, 15, 0, 3))


def test_measures_by_hand():
    found = compare(FIRST, SECOND, LABELS, np.eye(4))
    assert found["dice"] == pytest.approx(2 * 2 / (10 + 7))
    assert found["recall"] == pytest.approx(2 / 7)
    assert found["precision"] == pytest.approx(2 / 10)
    assert (found["object_recall"], found["object_precision"]) == (0.5, 0.5)
    assert found["object_f1"] == 0.5
    assert found["volume_difference_mm3"] == 3
    assert found["volume_difference_share"] == pytest.approx(3 / 7)
    assert found["count_difference"] == 0


def test_what_lies_outside_the_regions_is_nobodys_to_find_and_its_share_is_told():
    labels = LABELS.copy()
    labels[15] = 0
    found = compare(FIRST, SECOND, labels, np.eye(4))
    assert found["object_recall"] == 1
    assert found["reference_outside"] == pytest.approx(3 / 7)
    assert compare(FIRST, SECOND, LABELS, np.eye(4))["reference_outside"] == 0


def test_nothing_against_nothing_has_no_dice():
    empty = np.zeros(SHAPE, bool)
    found = compare(empty, empty, LABELS, np.eye(4))
    assert found["dice"] is None and found["object_f1"] is None
    assert found["reference_outside"] is None
    assert found["count_difference"] == 0


def test_union_and_intersection_of_raters():
    rows = all_pairs(FIRST, {"a": FIRST, "b": SECOND}, LABELS, np.eye(4))
    by = {(r["result"], r["reference"]): r for r in rows}
    assert by["workflow", "a"]["dice"] == 1
    assert by["workflow", "union"]["recall"] == pytest.approx(10 / 15)
    assert by["workflow", "intersection"]["recall"] == 1
    assert ("a", "b") in by and len(by) == 5


def test_summary_gives_quartiles_per_group_and_over_all():
    rows = long_table(
        [
            ({"participant_id": f"sub-{k}", "session_id": None, "group": g},
             [{"result": "workflow", "reference": "a", "dice": d}])
            for k, (g, d) in enumerate([("AD", 0.2), ("AD", 0.4), ("NC", 0.9), ("NC", None)])
        ]
    )  # fmt: skip
    found = {r["group"]: r for r in summary(rows, ["dice"])}
    assert (found["AD"]["median"], found["AD"]["n"]) == (pytest.approx(0.3), 2)
    assert (found["NC"]["median"], found["NC"]["n"]) == (0.9, 1)
    assert found["all"]["median"] == pytest.approx(0.4)
