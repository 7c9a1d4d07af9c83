"""The place of the perivascular spaces: found, cropped and marked in every storage."""

import io

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from glymph.qc import closeup, thumbnails
from glymph.qc.page import render
from tests.conftest import STORAGE, grid
from tests.qc.test_page import RECORD

SHAPE = (110, 120, 100)
BG, CSO = 3, 1
SIDED = "2 counted in this slice, left and right, z ="


def world(name):
    """Affine of a 1 mm grid in this storage, and where its voxels lie (x, y, z, 3) in mm, right,
    front and up of the oblique head where it is oblique."""
    shape = {"PSR": (120, 100, 110)}.get(name, SHAPE)
    affine = grid(STORAGE[name], (1, 1, 1), shape, (0, 0, 0))
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    turned = STORAGE[name] if name == "oblique" else np.eye(3)
    return affine, (voxels @ affine[:3, :3].T + affine[:3, 3]) @ turned


def ball(places, centre, radius=2.2):
    return np.linalg.norm(places - centre, axis=-1) < radius


def box(places, low, high):
    return ((places > low) & (places < high)).all(axis=-1)


def subject(name):
    """T1w, T2w, labels, objects and not counted: in the basal ganglia two counted objects, left in
    front and behind it, and one not counted, right behind; in the midbrain one not counted."""
    affine, places = world(name)
    labels = np.where(box(places, (-45, -45, -12), (45, 45, 12)), BG, 0)
    labels[(labels == BG) & (places[..., 0] > 0)] = BG + 1
    labels[box(places, (-8, -8, -36), (8, 8, -25))] = 5
    objects = np.zeros(labels.shape)
    objects[ball(places, (-30, 25, 0))] = 1
    objects[ball(places, (-30, 18, 0))] = 2
    others = ball(places, (30, -25, 0)) | ball(places, (0, 0, -30))
    t2w = -0.8 + objects.clip(0, 1) + others
    stored = [-t2w, t2w, labels, objects, others]
    return [nib.Nifti1Image(data.astype(np.float32), affine) for data in stored]


def pixels(picture):
    """(red, yellow) of a picture as masks (row, column)."""
    red, green, blue = np.moveaxis(np.asarray(Image.open(io.BytesIO(picture)), int)[..., :3], -1, 0)
    return red - np.maximum(green, blue) > 60, np.minimum(red, green) - blue > 60


def middle(mask):
    """Place of a mask in the picture as shares, from left and from the top."""
    return np.argwhere(mask).mean(axis=0)[::-1] / mask.shape[::-1]


@pytest.mark.parametrize("name", STORAGE)
def test_left_front_is_left_above_in_every_storage(name):
    _, cso, bg, midbrain, dwm = closeup.closeups(*subject(name))
    assert bg.caption.startswith("2 perivascular spaces counted")
    assert bg.slices[0].title.startswith(SIDED)
    for shown in bg.slices[0].marked.values():
        red, yellow = pixels(shown)
        assert (middle(red) < 0.4).all(), "left and front"
        assert (middle(yellow) > 0.6).all(), "right and behind"
    for shown in bg.slices[0].plain.values():
        assert not np.any(pixels(shown))
    assert midbrain.caption.startswith("None was counted; the slices")
    assert not pixels(midbrain.slices[0].marked["T1w"])[0].any()
    assert pixels(midbrain.slices[0].marked["T1w"])[1].any()
    for absent in (cso, dwm):
        assert absent.caption == "This region is not in the image."
        assert absent.slices == []


def test_a_cross_tells_the_not_counted_without_colour():
    _, _, _, midbrain, _ = closeup.closeups(*subject("RAS"))
    picture = Image.open(io.BytesIO(midbrain.slices[0].marked["T1w"]))
    _, yellow = pixels(midbrain.slices[0].marked["T1w"])
    outline_ends = picture.width / 2 + 3.5 * picture.width / closeup.LEAST_MM
    assert (np.argwhere(yellow)[:, 1] > outline_ends - 4).any()
    assert closeup.COUNTED["linestyles"] == "solid" != closeup.NOT_COUNTED["linestyles"]


def test_a_region_without_objects_says_so_and_there_may_be_no_t2w():
    t1w, _, labels, objects, others = subject("LAS")
    nothing = nib.Nifti1Image(np.zeros(objects.shape, np.float32), objects.affine)
    _, _, bg, *_ = closeup.closeups(t1w, None, labels, nothing, nothing)
    assert (bg.caption, bg.slices) == ("No perivascular space was found in this region.", [])
    _, _, bg, *_ = closeup.closeups(t1w, None, labels, objects, others)
    assert list(bg.slices[0].plain) == ["T1w"]


def test_an_object_belongs_to_the_region_that_holds_most_of_it():
    t1w, t2w, labels, objects, others = subject("RAS")
    places = np.array(labels.dataobj)
    x, y, z = np.argwhere(np.array(objects.dataobj) == 1)[0]
    places[x, y, z] = CSO
    changed = nib.Nifti1Image(places, labels.affine)
    _, cso, bg, *_ = closeup.closeups(t1w, t2w, changed, objects, others)
    assert bg.caption.startswith("2 ")
    assert cso.slices == []


def test_an_object_outside_all_regions_belongs_to_none():
    t1w, t2w, labels, objects, others = subject("RAS")
    nowhere = nib.Nifti1Image(np.zeros(labels.shape, np.float32), labels.affine)
    found = closeup.closeups(t1w, t2w, nowhere, objects, others)
    assert not any(region.slices for region in found)


@pytest.mark.parametrize("spread", [(60, 60), (75, 20), (1, 1)])
def test_every_mm_has_three_pixels_or_more(spread):
    plane = np.zeros((160, 200), bool)
    plane[80 - spread[0] : 80 + spread[0], 90 - spread[1] : 90 + spread[1]] = True
    crop = closeup.window(plane)
    shown = Image.open(io.BytesIO(closeup._drawn(plane[crop] - 0.5, (-1, 1), [])))
    assert shown.width / plane[crop].shape[0] >= 2.98
    assert plane[crop].sum() == plane.sum(), "nothing is cut off"
    assert min(plane[crop].shape) >= closeup.LEAST_MM


def test_the_page_holds_the_slices_with_and_without_outlines():
    found = closeup.closeups(*subject("oblique"))
    page = render(RECORD, found)
    assert page.count("data:image/webp") == 2 * 2 * sum(len(c.slices) for c in found)
    assert "Basal ganglia, 2 counted in this slice" in page
    assert "fewer than 20 subject-sessions give no outlier flags" not in page, "it has flags"
    assert "fewer than 20 subject-sessions" in render(RECORD | {"flags": []}, [])


@pytest.mark.parametrize("name", STORAGE)
def test_the_tile_shows_the_place_of_the_largest(name):
    """Five long tubes, left in front, and a slice that holds more, in forty small ones."""
    affine, places = world(name)
    objects, number = np.zeros(places.shape[:3]), 0
    for k in range(5):
        number += 1
        objects[box(places, (-40 + 4 * k, 24, 6), (-37.9 + 4 * k, 26.1, 32))] = number
    for x in range(4, 44, 4):
        for y in (-44, -40, -36, -32):
            number += 1
            objects[ball(places, (x, y, -20), 1.6)] = number
    image = nib.Nifti1Image(objects.astype(np.float32), affine)
    numbers = np.array(nib.as_closest_canonical(image).dataobj).astype(int)
    x, y, level = thumbnails.largest_place(numbers)
    shown = set(np.unique(numbers[x, y, level])) - {0}
    assert shown == {1, 2, 3, 4, 5}
    assert (x.stop - x.start, y.stop - y.start) == thumbnails.PLACE
    assert thumbnails.largest_place(np.zeros_like(numbers)) is None
    labels = nib.Nifti1Image(np.full(objects.shape, BG, np.float32), affine)
    ground = nib.Nifti1Image(np.full(objects.shape, -0.5, np.float32), affine)
    draw = {"epvs": lambda axis: thumbnails.epvs(axis, ground, labels, image)}
    tile = Image.open(io.BytesIO(thumbnails.thumbnails(draw))).convert("RGB")
    red, green, _ = np.moveaxis(np.asarray(tile, int), -1, 0)
    at = np.argwhere(red - green > 40)[:, 1] / thumbnails.TILE_PX[0]
    assert 3.1 < at.min() < at.max() < 3.5, "left in the fourth tile: the image ends there"
