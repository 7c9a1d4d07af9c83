"""The line filter: bright lines of any direction stand out of noise, blobs and planes less."""

import numpy as np
import pytest

from glymph.epvs.ridge import DIRECTIONS, lines

SHAPE = (41, 41, 41)


def drawn(direction, length=8):
    image = np.zeros(SHAPE, np.float32)
    for step in range(-length, length + 1):
        image[tuple(20 + step * np.array(direction))] = 1
    return image


def test_there_are_13_directions():
    assert len(DIRECTIONS) == 13
    assert len({tuple(np.sign(np.dot(d, (1, 10, 100))) * np.array(d)) for d in DIRECTIONS}) == 13


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_line_of_any_direction_is_found(direction):
    rng = np.random.default_rng(0)
    noise = 0.05 * rng.standard_normal((2, *SHAPE)).astype(np.float32)
    line = 0.4 * drawn(direction)
    found = lines(0.5 - line + noise[0], -0.5 + line + noise[1])
    on_it = found[drawn(direction, 5) > 0]
    assert on_it.min() > np.percentile(found, 99.5)


def test_dark_lines_of_a_t1w_alone_and_no_bright_ones():
    line = 0.4 * drawn((0, 0, 1))
    assert lines(-line, None)[20, 20, 20] > 0.2
    assert lines(line, None)[20, 20, 20] <= 0


def test_axes_may_be_exchanged():
    rng = np.random.default_rng(2)
    t1w, t2w = rng.uniform(-1, 1, (2, 12, 14, 16)).astype(np.float32)
    order = (2, 0, 1)
    turned = lines(t1w.transpose(order)[::-1], t2w.transpose(order)[::-1])
    np.testing.assert_allclose(turned, lines(t1w, t2w).transpose(order)[::-1], atol=1e-5)
