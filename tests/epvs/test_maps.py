"""Masks and probabilities of others: what they are, where they are cut, and what is refused."""

import nibabel as nib
import numpy as np
import pytest

from glymph.common.errors import BadInput
from glymph.common.given import as_share, load_mask, mask_on
from glymph.common.images import array
from glymph.epvs import lesions, maps
from glymph.epvs.segment import segment

SHAPE = (12, 12, 12)
LABELS = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))
T1W = nib.Nifti1Image(np.zeros(SHAPE, np.float32), np.eye(4))
INSIDE = np.zeros(SHAPE, bool)
INSIDE[4:8, 4:8, 4:8] = True


def saved(folder, data, **header):
    image = nib.Nifti1Image(data, np.eye(4))
    if header:
        image.header.set_slope_inter(**header)
    nib.save(image, folder / "map.nii.gz")
    return folder / "map.nii.gz"


def probability(high, low=0.1):
    return np.where(INSIDE, high, low).astype(np.float32)


MASKS = {
    "0 and 1": INSIDE.astype(np.uint8),
    "0 and 255": 255 * INSIDE.astype(np.uint8),
    "0.0 and 1.0": INSIDE.astype(np.float64),
    "numbered objects": np.where(INSIDE, np.arange(INSIDE.size).reshape(SHAPE), 0).astype(np.int16),
    "NaN outside": np.where(INSIDE, 1, np.nan).astype(np.float32),
    "a probability": probability(0.6),
    "one that rounding carries beyond 1": probability(1.0000001, -1e-6),
}
NEITHER = {
    "below 0": probability(1, -0.5),
    "whole and below 0": np.where(INSIDE, 1, -1).astype(np.int16),
    "per cent": 100 * probability(0.6),
    "an image": np.random.default_rng(0).normal(400, 90, SHAPE).astype(np.float32),
    "without end": np.where(INSIDE, np.inf, 0).astype(np.float32),
}


def readers(path):
    """Every way in which a user's mask is read."""
    return [
        array(load_mask(path)) > 0.5,
        mask_on(path, T1W, "the mask"),
        segment(T1W, None, array(LABELS), "provided", None, 0.1, str(path), 0.5, 1)[0] > 0.5,
        lesions.find_lesions({"lesion_mask": path}, array(LABELS), T1W.affine, 3.0).mask,
    ]


@pytest.mark.parametrize("name", MASKS)
def test_masks_and_probabilities(tmp_path, name):
    for found in readers(saved(tmp_path, MASKS[name])):
        np.testing.assert_array_equal(found, INSIDE)


@pytest.mark.parametrize("name", NEITHER)
def test_what_is_neither_is_refused(tmp_path, name):
    path = saved(tmp_path, NEITHER[name])
    with pytest.raises(BadInput, match="neither a mask .* nor a probability"):
        load_mask(path)
    with pytest.raises(BadInput, match="its values go from"):
        mask_on(path, T1W, "the mask")
    with pytest.raises(BadInput, match="map.nii.gz"):
        segment(T1W, None, array(LABELS), "provided", None, 0.1, str(path), 0.5, 1)


def test_a_probability_stored_in_whole_numbers_with_a_slope_is_one(tmp_path):
    path = saved(tmp_path, np.where(INSIDE, 200, 90).astype(np.uint8), slope=1 / 255, inter=0)
    assert as_share(nib.load(path), path)[1] == "probability"
    np.testing.assert_array_equal(array(load_mask(path)) > 0, INSIDE)


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.9])
def test_the_threshold_comes_to_lie_at_a_half(threshold):
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    found = maps.stretched(values, threshold)
    assert found.dtype == np.float32 and found[0] == 0 and found[-1] == 1
    assert (np.diff(found) > 0).all()
    np.testing.assert_array_equal(found > 0.5, values > threshold)
    if threshold == 0.5:
        np.testing.assert_allclose(found, values, atol=1e-7)


def test_the_threshold_is_not_for_masks(tmp_path):
    image = nib.Nifti1Image(INSIDE.astype(np.uint8), np.eye(4))
    found, kind = maps.on_grid(image, "x", LABELS, 0.95)
    assert kind == "mask" and (found > 0.5).sum() == INSIDE.sum()
    image = nib.Nifti1Image(probability(0.9), np.eye(4))
    found, kind = maps.on_grid(image, "x", LABELS, 0.95)
    assert kind == "probability cut at 0.95" and not (found > 0.5).any()


def test_a_map_elsewhere_and_one_that_is_all_brain_are_refused():
    away = np.eye(4)
    away[:3, 3] = 8
    with pytest.raises(BadInput, match="shows 4% of the regions"):
        maps.on_grid(nib.Nifti1Image(INSIDE.astype(np.uint8), away), "x", LABELS, 0.5)
    with pytest.raises(BadInput, match="marks 96% of the regions"):
        maps.on_grid(nib.Nifti1Image((~INSIDE).astype(np.uint8), np.eye(4)), "x", LABELS, 0.5)


def test_beyond_its_field_of_view_a_map_marks_nothing():
    """A part of the regions is enough, and the map's edge does not go on outside it."""
    part = nib.Nifti1Image(np.zeros((12, 12, 8), np.uint8), np.eye(4))
    part.dataobj[5, 5, :] = 1
    found, _ = maps.on_grid(part, "x", LABELS, 0.5)
    assert (found > 0.5).sum() == 8 and found[..., 8:].max() == 0
