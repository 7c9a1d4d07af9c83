"""How much CSF objects hold, by the images' signal: whatever the blur, the tissue and the grid."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from glymph.epvs.census import find_objects, metrics, table
from glymph.epvs.content import with_fluid
from glymph.train.objects import fill
from tests.conftest import STORAGE, grid

SHAPE = (48, 48, 48)
BRAIN = np.ones(SHAPE, bool)
WHITE, GREY, CSF = (0.6, -0.4), (0.1, 0.0), (-1.0, 1.0)
"""Signal of T1w and T2w."""
RADII = (0.6, 0.9, 1.4)
"""Of three tubes, which lie along y, at these x and z."""
PLACES = ((24, 8), (24, 20), (24, 36))


def tubes():
    """Share of CSF, and the volume (mm3) of each tube."""
    share, volumes = np.zeros(SHAPE, np.float32), []
    for radius, (x, z) in zip(RADII, PLACES, strict=True):
        y = np.linspace(18, 30, 60)
        axis = np.stack([np.full(60, x + 0.3), y, np.full(60, z - 0.2)], 1)
        box, part = fill(axis, radius, SHAPE)
        share[box] = np.maximum(share[box], part)
        volumes.append(float(part.sum()))
    return share, volumes


def images(share, blur=0.0, tissue=WHITE, filled=1.0):
    """T1w and T2w of ``share`` in ``tissue``, white matter around it, a ventricle at the border."""
    pair = []
    for own, white, csf in zip(tissue, WHITE, CSF, strict=True):
        image = np.full(SHAPE, white)
        image[14:34] = own
        image += filled * gaussian_filter(share, blur) * (csf - image)
        image[:4] = csf
        pair.append(image.astype(np.float32))
    return pair


def labels():
    """Centrum semiovale, and in its middle basal ganglia, both of the left side."""
    found = np.ones(SHAPE, np.uint8)
    found[14:34] = 3
    return found


NOTHING = np.zeros(SHAPE, bool)


def measured(t1w, t2w, share, blur=0.0, regions=None, affine=None):
    affine = np.eye(4) if affine is None else affine
    regions = labels() if regions is None else regions
    objects = find_objects(gaussian_filter(share, blur) > 0.15, regions, affine)
    return with_fluid(objects, NOTHING, t1w, t2w, BRAIN, regions, affine)


def test_no_object_changes_when_another_is_taken_away():
    share, _ = tubes()
    share = np.maximum(share, np.roll(share, 4, axis=0))  # three pairs, side by side
    pair = images(share, 0.7)
    objects = find_objects(share > 0.3, labels(), np.eye(4))
    assert len(objects) == 6
    everything = with_fluid(objects, NOTHING, *pair, BRAIN, labels(), np.eye(4))
    away = NOTHING.copy()
    away[tuple(objects[2].voxels.T)] = True
    rest = objects[:2] + objects[3:]
    after = with_fluid(rest, away, *pair, BRAIN, labels(), np.eye(4))
    assert [o.fluid for o in after] == [o.fluid for o in everything[:2] + everything[3:]]


@pytest.mark.parametrize("blur", [0.0, 0.4, 0.7])
@pytest.mark.parametrize("tissue", [WHITE, GREY])
def test_it_is_the_volume_whatever_the_blur_and_the_tissue(blur, tissue):
    share, volumes = tubes()
    found = measured(*images(share, blur, tissue), share, blur)
    assert [o.fluid for o in found] == pytest.approx(volumes, rel=0.1)


def test_half_filled_it_is_half_and_t1w_alone_is_enough():
    share, volumes = tubes()
    t1w, t2w = images(share, 0.5, filled=0.5)
    half = pytest.approx([v / 2 for v in volumes], rel=0.1)
    assert [o.fluid for o in measured(t1w, t2w, share)] == half
    assert [o.fluid for o in measured(t1w, None, share)] == half


def test_what_t2w_does_not_show_is_measured_on_t1w():
    share, volumes = tubes()
    t1w, t2w = images(share, 0.5)
    t2w[..., :26] = -1
    assert [o.fluid for o in measured(t1w, t2w, share)] == pytest.approx(volumes, rel=0.1)
    t2w[..., 26:] = np.where(labels() == 1, t2w, 0.9)[..., 26:]  # T2w counts where it shows all
    last = measured(t1w, t2w, share)[-1].fluid
    assert last != pytest.approx(volumes[-1], rel=0.2)


def test_neighbours_and_a_ventricle_are_not_added():
    share, volumes = tubes()
    t1w, t2w = images(share, 0.4)
    for image, csf in zip((t1w, t2w), CSF, strict=True):
        image[:, 31:] = csf  # the tubes end at a ventricle
    found = measured(t1w, t2w, share)
    assert [o.fluid for o in found] == pytest.approx(volumes, rel=0.15)


@pytest.mark.parametrize("storage", STORAGE)
def test_storage_does_not_matter(storage):
    share, volumes = tubes()
    t1w, t2w = images(share, 0.5)
    axes = np.roll(range(3), 1) if storage == "PSR" else range(3)
    turned = [np.transpose(a, axes) for a in (t1w, t2w, share, labels())]
    affine = grid(STORAGE[storage], sizes=(1.0, 1.0, 1.0), shape=SHAPE)
    found = measured(*turned[:3], regions=turned[3], affine=affine)
    assert sorted(o.fluid for o in found) == pytest.approx(volumes, rel=0.1)


def test_it_is_summed_by_region_and_missing_where_nothing_tells():
    share, volumes = tubes()
    found = measured(*images(share, 0.5), share)
    values = metrics(found, labels(), np.eye(4), 1e6, ["bg", "cso"])
    assert values["epvs_total_fluid_mm3"] == pytest.approx(sum(volumes), rel=0.1)
    assert values["epvs_bg_fluid_mm3"] == values["epvs_total_fluid_mm3"]
    assert values["epvs_cso_fluid_mm3"] == 0
    rows = table(found, np.eye(4), lambda points: points)
    assert [r["fluid_mm3"] for r in rows] == pytest.approx([o.fluid for o in found], abs=1e-3)
    nuclei = np.full(SHAPE, 3, np.uint8)
    without = measured(*images(share, 0.5), share, regions=nuclei)
    assert [o.fluid for o in without] == [None] * 3
    values = metrics(without, nuclei, np.eye(4), 1e6, ["bg", "cso"])
    assert values["epvs_bg_fluid_mm3"] is None and values["epvs_cso_fluid_mm3"] == 0
