"""Heads of others: where they lie, and what is made of their surroundings."""

from itertools import islice

import numpy as np
import pytest

from glymph.train import donors, samples
from glymph.train.anatomy import load_maps


def points(step=4.0):
    axes = [np.arange(low, high, step) for low, high in ((-90, 90), (-125, 95), (-100, 90))]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)


@pytest.mark.parametrize("name", donors.NAMES)
def test_a_donor_lies_where_the_template_does(name):
    donor, mni = donors.load_donor(name), points()
    theirs = donor.maps.at("hull", mni) > 0.5
    ours = load_maps().at("hull", mni) > 0.5
    assert 2 * (theirs & ours).sum() / (theirs.sum() + ours.sum()) > 0.92
    # white matter is 1, fluid dark, and there is a scalp above the vertex and air above that
    white = donor.at(mni)[donor.maps.at("wm", mni) > 0.95]
    assert np.median(white) == pytest.approx(1, abs=0.1)
    top = donor.at(np.array([[0.0, -20.0, z] for z in np.arange(76, 96, 1.0)]))
    assert top.max() > 0.5 and (donor.at(np.array([[0.0, 0.0, 130.0]])) == 0).all()


@pytest.mark.parametrize("name", donors.NAMES)
def test_ways_from_the_brain_lead_away_from_it(name):
    donor, mni = donors.load_donor(name), points()
    placed = donors.place(donor, mni)
    near = (placed.distance > 3) & (placed.distance < 25)
    moved = donors.place(donor, mni + 4 * placed.away).distance
    gained = (moved - placed.distance)[near]
    assert np.median(gained) == pytest.approx(4, abs=0.4) and (gained > 0).mean() > 0.97


def test_surroundings_are_new_each_time_and_air_stays_dark():
    donor, mni = donors.load_donor("mean"), points(6.0)
    placed = donors.place(donor, mni)
    first, again, other = (
        donors.surround(np.random.default_rng(seed), placed, 6.0) for seed in (1, 1, 2)
    )
    assert (first == again).all() and not np.allclose(first, other)
    dark = []
    for seed in range(20):
        signal = donors.surround(np.random.default_rng(seed), placed, 6.0)
        assert np.isfinite(signal).all() and signal.min() >= 0
        dark.append(np.median(signal[placed.distance > 60]))
    assert np.mean(np.array(dark) < 0.2) > 0.7  # but for the loud backgrounds


def test_a_donor_s_own_brain_goes_over_into_what_surrounds_it():
    """With its own brain no fluid lies about it: the stem becomes the cord as in the image."""
    donor, mni = donors.load_donor("colin27"), points(6.0)
    placed = donors.place(donor, mni)
    shell = (placed.distance > 0) & (placed.distance < 1.0)
    one_value = {True: 0, False: 0}
    for seed in range(12):
        for own in one_value:
            signal = donors.surround(np.random.default_rng(seed), placed, 6.0, own_brain=own)
            assert np.ptp(signal[placed.distance == 0]) > 0
            one_value[own] += bool(np.ptp(signal[shell]) < 1e-6)
    assert one_value[True] == 0 < one_value[False]


def test_heads_of_one_anatomy_share_their_brain_and_not_its_surroundings():
    pairs = list(islice(samples.head_volumes(4), samples.HEAD_RENDERINGS))
    for image, share in pairs:
        assert image.shape == (1, *samples.HEAD_SHAPE) and image.dtype == np.float32
        assert image.min() >= -1 and image.max() <= 1 and 0 <= share.min() <= share.max() <= 1
    assert not np.allclose(pairs[0][0], pairs[1][0])
