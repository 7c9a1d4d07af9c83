"""The synthesis: seeded, anatomical, and with labels that mean what they say."""

from itertools import islice

import numpy as np
import pytest
from scipy import ndimage

from glymph.common.bundle import PLANES
from glymph.train import anatomy, images, objects, samples


@pytest.fixture(scope="module")
def block():
    rng = np.random.default_rng(4)
    head = anatomy.draw_head(rng)
    return samples.epvs_block(rng, head)


def test_slices_are_the_same_for_the_same_seed_only():
    first, again, other = (next(samples.epvs_slices(seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


def test_slices_are_what_the_network_expects():
    for image, label in islice(samples.epvs_slices(3), 12):
        assert image.shape == (2, 96, 96) and label.shape == (96, 96)
        assert image.min() >= -1 and image.max() <= 1


@pytest.mark.parametrize("plane", PLANES)
def test_a_block_is_thin_across_its_slices(plane):
    rng = np.random.default_rng(4)
    tissues, _, label = samples.epvs_block(rng, anatomy.draw_head(rng), PLANES[plane])
    assert label.transpose(PLANES[plane]).shape == samples.BLOCK
    # Axes stay x, y, z, whatever the slices: template places grow along them.
    steps = [np.diff(tissues.mni[..., axis], axis=axis).mean() for axis in range(3)]
    assert min(steps) > 0.5


@pytest.mark.parametrize("plane", PLANES)
def test_a_window_lies_in_its_plane(plane):
    volume = np.arange(30 * 40 * 50).reshape(30, 40, 50)
    found = samples.crop(volume, plane, (12, 20, 25), -1)
    assert found.shape == samples.BLOCK[:2] and found[48, 48] == volume[12, 20, 25]
    rows, columns, across = PLANES[plane]
    held = np.stack(np.unravel_index(found[found >= 0], volume.shape))
    assert held[across].min() == held[across].max() == (12, 20, 25)[across]
    assert held[rows].max() == volume.shape[rows] - 1
    assert held[columns].max() == volume.shape[columns] - 1


def test_tissue_shares_add_up_inside_the_brain(block):
    tissues, contents, label = block
    total = tissues.csf + tissues.gm + tissues.wm
    np.testing.assert_allclose(total, tissues.hull, atol=1e-4)
    assert not label[tissues.hull < 0.5].any()


def test_a_head_maps_to_the_template_and_back():
    head = anatomy.draw_head(np.random.default_rng(2))
    mni = np.array([[0.0, -20, 10], [30, 10, 0], [-25, -40, 30]])
    np.testing.assert_allclose(head.to_mni(head.from_mni(mni)), mni, atol=0.3)


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.5])
def test_a_straight_tube_has_its_volume(radius):
    rng, volumes = np.random.default_rng(1), []
    for _ in range(30):  # the mean over places and directions: one tube is sampled coarsely
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        axis = 20 + rng.uniform(0, 1, 3) + np.linspace(-10, 10, 81)[:, None] * direction
        volumes.append(objects.fill(axis, radius, (40, 40, 40))[1].sum())
    expected = np.pi * radius**2 * 20 + 4 / 3 * np.pi * radius**3
    assert np.mean(volumes) == pytest.approx(expected, rel=0.05)


def test_perivascular_spaces_are_dark_on_t1w_and_bright_on_t2w(block):
    tissues, contents, label = block
    rng = np.random.default_rng(0)
    taken = images.Acquisition(0.01, 0.01, 0.2, 0.2, 1.0, 1.0, 2, 0.0)
    t1w, t2w = images.render_pair(rng, tissues, contents, taken)
    white = (tissues.wm > 0.9) & (contents.tubes == 0) & (contents.lesions == 0)
    core = contents.tubes > 0.8
    assert core.any()
    assert t1w[core].mean() < t1w[white].mean() - 0.5
    assert t2w[core].mean() > t2w[white].mean() + 0.5


def test_without_t2w_its_channel_is_empty(block):
    tissues, contents, _ = block
    taken = images.Acquisition(0.01, 0.01, 0.2, 0.2, 1.0, 1.0, 2, 0.0, t2w=False)
    image = images.render_pair(np.random.default_rng(0), tissues, contents, taken)
    assert (image[1] == -1).all() and image[0].max() > 0.9


@pytest.mark.parametrize("name", ["noise", "blur", "contrast", "slices", "shift"])
def test_settings_called_outside_are_outside_the_trained_ranges(name):
    taken = images.outside(name)
    low, high = {
        "noise": images.RANGES["noise"],
        "blur": images.RANGES["blur_mm"],
        "contrast": images.RANGES["contrast"],
        "slices": images.RANGES["slice_mm"],
        "shift": images.RANGES["shift_mm"],
    }[name]
    value = {
        "noise": taken.noise_t1w,
        "blur": taken.blur_mm,
        "contrast": taken.contrast,
        "slices": taken.slice_mm,
        "shift": taken.shift_mm,
    }[name]
    assert not low <= value <= high


def test_heads_and_regions_have_their_shapes_and_labels():
    image, share = next(samples.head_volumes(1))
    assert image.shape == (1, *samples.HEAD_SHAPE) and 0.03 < share.mean() < 0.4
    image, label = next(samples.region_volumes(1))
    assert image.shape == (1, *samples.REGION_SHAPE)
    assert set(np.unique(label)) == {0, 1, 2, 3}
    # outlines and not the tissue in them: sulci of the centrum semiovale too
    dark = image[0] < np.percentile(image[0][image[0] > -1], 15)
    assert dark[label == 1].mean() > 0.05
    # mirrored pairs: what lies left lies right
    assert (label == 2).sum() * 8 > 10_000


def test_a_t1w_at_2_mm_has_less_noise_and_more_blur():
    taken = images.ORDINARY
    found = samples.at_2mm(taken)
    assert found.noise_t1w == pytest.approx(0.26 * taken.noise_t1w)
    assert found.blur_mm == pytest.approx(np.hypot(taken.blur_mm, 0.7))
    rng = np.random.default_rng(1)
    smoothed = ndimage.gaussian_filter(rng.standard_normal((64, 64, 64)), 0.7)
    assert smoothed.std() == pytest.approx(samples.TO_2MM_NOISE, rel=0.1)


def test_uneven_signal_stays_in_range_and_out_of_the_background():
    image = np.full((1, 40, 40, 40), 0.5, np.float32)
    image[:, :20] = -1
    found = samples.uneven(np.random.default_rng(3), image)
    assert (found[:, :20] == -1).all()
    assert found.min() >= -1 and found.max() <= 1
    assert found[:, 20:].std() > 0.005
