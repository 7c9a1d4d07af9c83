"""Objects by hand: lengths, regions, ties, lesions and fractions."""

import nibabel as nib
import numpy as np
import pytest

from glymph.epvs import census
from tests.conftest import STORAGE, grid

SHAPE = (24, 22, 20)


def world(sizes=(1.0, 1.0, 1.0), axes="RAS"):
    return grid(STORAGE[axes], sizes=sizes, shape=SHAPE)


def line(*voxels):
    return np.array(voxels)


@pytest.mark.parametrize(
    "voxels, length",
    [
        ([(3, 3, 3)], 1.0),
        ([(3, 3, 3), (4, 3, 3)], 2.0),
        ([(3, 3, 3), (3, 4, 3), (3, 5, 3)], 3.0),
        ([(3, 3, z) for z in range(3, 13)], 10.0),
    ],
)
@pytest.mark.parametrize("axes", STORAGE)
def test_length_counts_voxel_edges(voxels, length, axes):
    assert census.extent(np.array(voxels), world(axes=axes)) == pytest.approx(length, abs=1e-3)


def test_length_of_a_diagonal_is_longer_than_of_a_row():
    diagonal = census.extent(line((0, 0, 0), (1, 1, 0), (2, 2, 0)), world())
    assert diagonal == pytest.approx(2 * np.sqrt(2) + np.sqrt(2), abs=1e-3)


def probability(*objects):
    field = np.zeros(SHAPE, np.float32)
    for voxels in objects:
        field[tuple(np.array(voxels).T)] = 0.9
    return field


def everywhere(value=1):
    return np.full(SHAPE, value, np.uint8)


def test_single_voxels_are_dropped_and_pairs_stay():
    field = probability([(2, 2, 2)], [(8, 8, 8), (8, 8, 9)])
    found = census.find_objects(field, everywhere(), world())
    assert [(o.length, o.volume) for o in found] == [(2.0, 2.0)]


def test_touching_corners_are_one_object():
    field = probability([(2, 2, 2), (3, 3, 3), (4, 4, 4)])
    assert len(census.find_objects(field, everywhere(), world())) == 1


def test_probability_of_one_half_is_not_enough():
    field = probability([(2, 2, 2), (2, 2, 3)]) * np.float32(0.5 / 0.9)
    assert census.find_objects(field, everywhere(), world()) == []


def test_an_object_belongs_to_the_region_with_most_of_it():
    labels = everywhere(3)  # basal ganglia left
    labels[10:] = 2  # centrum semiovale right
    field = probability([(x, 5, 5) for x in (7, 8, 9, 10)])
    (found,) = census.find_objects(field, labels, world())
    assert (found.region, found.side, len(found.voxels)) == ("bg", "left", 4)


def test_a_tie_goes_to_the_lowest_label():
    labels = everywhere(6)
    labels[10:] = 4
    field = probability([(x, 5, 5) for x in (8, 9, 10, 11)])
    (found,) = census.find_objects(field, labels, world())
    assert (found.region, found.side) == ("bg", "right")


def test_nothing_is_counted_outside_the_regions():
    labels = everywhere(0)
    labels[:5] = 1
    field = probability([(x, 5, 5) for x in range(3, 9)])
    (found,) = census.find_objects(field, labels, world())
    assert len(found.voxels) == 2


def test_lesions_take_objects_that_lie_in_them():
    lesions = np.zeros(SHAPE, bool)
    lesions[:, :, :8] = True
    inside = [(4, 4, z) for z in range(3, 10)]  # five of seven in the lesion
    beside = [(12, 4, z) for z in range(6, 14)]  # two of eight
    found = census.find_objects(probability(inside, beside), everywhere(), world(), lesions)
    assert [len(o.voxels) for o in found] == [6]
    assert found[0].voxels[:, 2].min() == 8


def test_what_is_not_counted_is_found_inside_the_regions_and_in_no_object():
    probability, labels = np.zeros((9, 9, 9)), np.zeros((9, 9, 9), np.uint8)
    labels[:, :, :6] = 3
    probability[1, 1, 1:4] = probability[5, 5, 5] = probability[1, 5, 7] = 1
    numbers = census.mask_of(census.find_objects(probability, labels, np.eye(4)), labels.shape)
    (place,) = np.argwhere(census.not_counted(probability, labels, numbers))
    assert tuple(place) == (5, 5, 5)


def test_metrics_add_up_and_use_the_right_denominators():
    labels = everywhere(1)
    labels[:, :, 10:] = 4
    field = probability([(2, 2, z) for z in range(2, 6)], [(5, 5, z) for z in range(12, 18)])
    objects = census.find_objects(field, labels, world())
    values = census.metrics(objects, labels, world(), 1e6, total=["cso", "bg", "midbrain"])
    assert values["epvs_total_count"] == 2
    assert values["epvs_cso_volume_mm3"] == 4
    assert values["epvs_bg_fraction_brain"] == pytest.approx(6e-6)
    assert values["epvs_bg_fraction_region"] == pytest.approx(6 / (24 * 22 * 10))
    assert values["epvs_total_fraction_region"] == pytest.approx(10 / np.prod(SHAPE))
    assert values["epvs_bg_length_mm"] == 6
    assert values["epvs_midbrain_count"] == 0
    assert values["epvs_midbrain_fraction_brain"] == 0
    assert values["epvs_midbrain_width_mm"] is None
    assert values["epvs_midbrain_fraction_region"] is None  # there is no midbrain here
    assert (values["epvs_bg_right_count"], values["epvs_bg_left_count"]) == (1, 0)
    assert values["epvs_cso_left_volume_mm3"] == 4
    assert values["epvs_bg_right_fraction_region"] == pytest.approx(6 / (24 * 22 * 10))
    assert values["epvs_bg_left_fraction_region"] is None


def test_deep_white_matter_is_in_the_total_only_where_it_is_named():
    field = probability([(2, 2, z) for z in range(2, 6)])
    labels = everywhere(7)
    objects = census.find_objects(field, labels, world())
    for total, count in ((["cso", "bg", "midbrain"], 0), (["cso", "dwm"], 1)):
        values = census.metrics(objects, labels, world(), 1e6, total)
        assert values["epvs_total_count"] == count
        assert values["epvs_dwm_left_count"] == values["epvs_dwm_count"] == 1


def test_hysteresis_keeps_faint_parts_of_what_is_clear_somewhere():
    field = np.zeros(SHAPE, np.float32)
    field[4, 4, 3:13] = [0.3, 0.3, 0.6, 0.6, 0.3, 0.25, 0.3, 0.6, 0.3, 0.3]  # dips below one half
    field[12, 12, 3:9] = 0.3  # is nowhere clear
    (found,) = census.find_objects(field, everywhere(), world(), None, census.Reading(0.5, 0.2))
    assert found.length == 10
    assert len(census.find_objects(field, everywhere(), world())) == 1  # the rest is too short


@pytest.mark.parametrize("width", [1.0, 1.6, 2.4])
@pytest.mark.parametrize("axes", STORAGE)
def test_volume_is_the_sum_of_shares_wherever_the_tube_lies(width, axes):
    """A cylinder between voxels fills each in part; whole voxels would count none or all."""
    affine = grid(STORAGE[axes], sizes=(1.0, 1.0, 1.0), shape=SHAPE)
    reading = census.Reading(0.15, 0.1, shares=True)
    fine = (np.arange(10 * SHAPE[0]) + 0.5) / 10 - 0.5
    x, y = np.meshgrid(fine, fine[: 10 * SHAPE[1]], indexing="ij")
    for shift in (0.0, 0.3, 0.5):
        inside = np.hypot(x - 10 - shift, y - 10 - shift) < width / 2
        share = inside.reshape(SHAPE[0], 10, SHAPE[1], 10).mean((1, 3))
        field = np.zeros(SHAPE, np.float32)
        field[:, :, 4:14] = share[..., None]
        found = census.find_objects(field, everywhere(), affine, None, reading)
        assert sum(o.volume for o in found) == pytest.approx(10 * np.pi * width**2 / 4, rel=0.05)


def test_neighbours_share_what_lies_between_them():
    field = np.zeros(SHAPE, np.float32)
    field[5, 5, 3:9] = field[8, 5, 3:9] = 1.0
    field[6:8, 5, 3:9] = 0.15
    reading = census.Reading(0.35, 0.2, shares=True)
    volumes = [o.volume for o in census.find_objects(field, everywhere(), world(), None, reading)]
    assert volumes == pytest.approx([6.9, 6.9])


@pytest.mark.parametrize("axes", STORAGE)
def test_what_crosses_a_regions_border_is_as_large_as_its_part_inside(axes):
    """A sulcus beside the region, whose tip lies in it, is no part of a space's volume."""
    field = np.zeros(SHAPE, np.float32)
    field[5:12, 5, 3:9] = 1.0
    field[5:12, 6, 3:9] = 0.1
    labels = everywhere()
    labels[8:] = 0
    reading = census.Reading(0.35, 0.2, shares=True)
    (found,) = census.find_objects(field, labels, world(axes=axes), None, reading)
    assert found.volume == pytest.approx(3 * 6 * 1.1, rel=1e-5)
    assert census.elsewhere(field, labels, reading).sum() == 4 * 6
    (corrected,) = census.find_corrected(
        field, labels, world(axes=axes), None, reading, (field > 0.5) & (labels > 0)
    )
    assert corrected.volume == found.volume


def test_width_is_that_of_the_cylinder():
    z, y, x = np.meshgrid(range(5, 9), range(5, 8), range(5, 8), indexing="ij")
    field = np.zeros(SHAPE, np.float32)
    field[x, y, z] = 1
    (found,) = census.find_objects(field, everywhere(), world())
    assert found.length == pytest.approx(4)
    assert found.width == pytest.approx(2 * np.sqrt(36 / (np.pi * 4)))


def test_table_names_places_in_both_spaces():
    field = probability([(2, 3, z) for z in (4, 5, 6)])
    affine = world()
    objects = census.find_objects(field, everywhere(5), affine)
    (row,) = census.table(objects, affine, lambda points: points + [10, 0, 0])
    here = nib.affines.apply_affine(affine, [2, 3, 5])
    np.testing.assert_allclose([row["t1w_x"], row["t1w_y"], row["t1w_z"]], here, atol=0.01)
    assert row["mni_x"] == pytest.approx(here[0] + 10, abs=0.01)
    assert set(row) == set(census.TABLE_COLUMNS)
    assert (row["region"], row["side"]) == ("midbrain", "left")
    assert census.table([], affine, None) == []


@pytest.mark.parametrize("axes", ["RAS", "LAS", "PSR"])
def test_objects_return_to_the_images_own_grid(axes):
    """The 1 mm grid is the image's own, reordered: nothing moves."""
    own = np.zeros(SHAPE, np.uint16)
    own[4:6, 7, 9:12] = 3
    image = nib.Nifti1Image(own, world(axes=axes))
    ras = nib.as_closest_canonical(image)
    back = census.on_image(np.asarray(ras.dataobj), ras.affine, SHAPE, image.affine)
    np.testing.assert_array_equal(back, own)
