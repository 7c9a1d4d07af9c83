"""What the others of a series foretell of a volume."""

import numpy as np
import pytest

from glymph.common.gradients import GradientTable
from glymph.dwi.predict import predict
from tests.dwi.phantom import directions, signal

SHAPE = (6, 7, 5)


def series(n=24, b=1000.0, noise=0.0, seed=0):
    """(signals, table, mask): bundles along x, y and z, without b = 0."""
    table = GradientTable(np.full(n, b), directions(n, seed))
    planes = [signal(1e-3 * (0.4 * np.eye(3) + np.diag(along)), table) for along in np.eye(3)]
    signals = np.empty((*SHAPE, n), np.float32)
    for x in range(SHAPE[0]):
        signals[x] = planes[x % 3]
    signals += np.random.default_rng(seed).normal(scale=max(noise, 1e-9), size=signals.shape)
    return signals, table, np.ones(SHAPE, bool)


@pytest.mark.parametrize("n", [12, 24])
def test_a_direction_is_foretold_better_than_by_the_mean(n):
    signals, table, mask = series(n, noise=10)
    error = np.abs(predict(signals, table, mask) - signals).mean()
    others = (signals.sum(axis=-1, keepdims=True) - signals) / (n - 1)
    assert error < 0.5 * np.abs(others - signals).mean()


def test_no_volume_foretells_itself():
    """A volume that is spoilt changes the others' predictions a little, its own not at all."""
    signals, table, mask = series(noise=10)
    spoilt = signals.copy()
    spoilt[..., 5] *= np.random.default_rng(1).uniform(0.7, 1.4, SHAPE)
    before, after = predict(signals, table, mask), predict(spoilt, table, mask)
    np.testing.assert_allclose(after[..., 5], before[..., 5], rtol=1e-4)
    assert not np.allclose(after[..., 6], before[..., 6], rtol=1e-4)


def test_noise_is_foretold_by_the_mean_and_darkness_by_no_infinity():
    _, table, mask = series(12)
    noise = 100 + np.random.default_rng(0).normal(size=(*SHAPE, 12)).astype(np.float32)
    assert np.abs(predict(noise, table, mask) - 100).max() < 2
    noise[0] = 0
    assert np.isfinite(predict(noise, table, mask)).all()


def test_one_volume_is_left_as_it_is():
    signals, table, mask = series(12)
    one = signals[..., :1]
    np.testing.assert_array_equal(predict(one, table.select(np.array([0])), mask), one)
