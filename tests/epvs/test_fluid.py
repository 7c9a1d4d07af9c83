"""Objects that are part of ventricles, sulci or the aqueduct."""

import numpy as np
import pytest

from glymph.epvs import fluid
from glymph.epvs.census import find_objects
from tests.conftest import STORAGE, grid

SHAPE = (40, 40, 40)
BRAIN = np.ones(SHAPE, bool)
PLACES = {
    "inside": (slice(30, 32), slice(10, 20), slice(10, 12)),
    "along the wall": (slice(19, 20), slice(10, 20), slice(10, 12)),
    "ends at the wall": (slice(19, 29), slice(30, 32), slice(10, 12)),
}
"""A ventricle fills x below 19."""


LACUNE = (slice(15, 19), slice(10, 20), slice(9, 13))


def head(*fluid):
    """T1w of white matter with three objects and ``fluid``, by default the ventricle."""
    t1w = np.full(SHAPE, 0.6, np.float32)
    for place in fluid or [slice(19)]:
        t1w[place] = -0.9
    for place in PLACES.values():
        t1w[place] = -0.6
    return t1w


def objects():
    field = np.zeros(SHAPE, np.float32)
    for place in PLACES.values():
        field[place] = 1
    return find_objects(field, np.full(SHAPE, 1, np.uint8), np.eye(4))


def judged(t1w, value=1, affine=None, shift=0.0):
    labels = np.full(SHAPE, value, np.uint8)
    affine = np.eye(4) if affine is None else affine
    found = objects()
    out = fluid.parts_of_csf(found, t1w, BRAIN, labels, affine, lambda points: points + shift)
    return {
        name: left
        for item, left in zip(found, out, strict=True)
        for name, place in PLACES.items()
        if item.voxels[0].tolist() == [s.start for s in place]
    }


def test_what_lies_along_a_ventricle_is_its_wall_and_what_ends_there_is_not():
    assert judged(head()) == {"inside": False, "along the wall": True, "ends at the wall": False}


def test_a_lacune_is_no_ventricle(monkeypatch):
    beside = head(LACUNE, slice(2))  # the darkest of the brain lies elsewhere
    assert not any(judged(beside).values())
    monkeypatch.setattr(fluid, "LARGE_VOXELS", 100)
    assert judged(beside)["along the wall"]


@pytest.mark.parametrize("width", [1, 2])
def test_the_shortest_space_that_ends_at_a_wall_is_kept(width):
    field = np.zeros(SHAPE, np.float32)
    field[19:21, 24 : 24 + width, 24 : 24 + width] = 1
    found = find_objects(field, np.full(SHAPE, 1, np.uint8), np.eye(4))
    assert fluid.at_walls(found, head(), BRAIN, np.full(SHAPE, 1, np.uint8)) == [False]


def test_grey_matter_is_no_ventricle():
    t1w = head()
    t1w[:19] = 0.6 + 0.5 * (-0.9 - 0.6)
    t1w[:2] = -0.9
    assert not any(judged(t1w).values())


def test_no_wall_is_seen_without_white_matter():
    assert not any(judged(head(), value=3).values())


@pytest.mark.parametrize("storage", STORAGE)
def test_what_lies_on_the_midline_of_the_midbrain_is_the_aqueduct(storage):
    affine = grid(STORAGE[storage], shape=SHAPE)
    field = np.zeros(SHAPE, np.float32)
    field[10:12, 10:16, 10:12] = field[24:26, 10:16, 10:12] = 1
    for value, region in ((5, "midbrain"), (3, "bg")):
        found = find_objects(field, np.full(SHAPE, value, np.uint8), affine)
        places = [item.voxels.mean(axis=0) @ affine[:3, :3].T + affine[:3, 3] for item in found]
        across = (places[1] - places[0]) / np.linalg.norm(places[1] - places[0])

        def to_template(points, across=across, first=places[0]):
            return ((points - first) @ across)[:, None] * [1.0, 0.0, 0.0]

        assert fluid.in_aqueduct(found, affine, to_template) == [region == "midbrain", False]


def test_nothing_found_is_nothing_judged():
    assert fluid.parts_of_csf([], head(), BRAIN, BRAIN.astype(np.uint8), np.eye(4), None) == []
