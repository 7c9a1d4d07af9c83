"""Two networks of shares: what the second adds to the first."""

import numpy as np

from glymph.epvs.segment import supplemented


def tube(shape, place, share):
    found = np.zeros(shape, np.float32)
    found[place] = share
    return found


SHAPE = (12, 13, 14)
NARROW = (slice(3, 4), slice(3, 4), slice(2, 10))
WIDE = (slice(7, 10), slice(7, 10), slice(2, 10))


def test_what_the_first_hardly_sees_is_taken_from_the_second():
    second = tube(SHAPE, WIDE, 0.9)
    edge = (slice(7, 8), slice(7, 8), slice(2, 10))
    first = tube(SHAPE, NARROW, 0.6) + tube(SHAPE, edge, 1.0)
    found = supplemented(first, second, np.full(SHAPE, 0.9))
    np.testing.assert_array_equal(found[NARROW], np.float32(0.6))
    np.testing.assert_array_equal(found[edge], 1.0)
    assert (found[8:10, 7:10, 2:10] == np.float32(0.9)).all()


def test_what_both_see_stays_as_the_first_has_it():
    second = tube(SHAPE, WIDE, 0.9) + tube(SHAPE, NARROW, 1.0)
    first = tube(SHAPE, WIDE, 0.5) + tube(SHAPE, NARROW, 0.6)
    np.testing.assert_array_equal(supplemented(first, second, np.ones(SHAPE)), first)


def test_a_shade_in_the_second_alone_is_no_object():
    second = tube(SHAPE, WIDE, 0.4)
    first = np.zeros(SHAPE, np.float32)
    assert not supplemented(first, second, np.ones(SHAPE)).any()


def test_a_lesion_in_the_second_alone_is_none():
    """Its T1w does not go as far as CSF's anywhere; that of a space does in its middle."""
    second, first = tube(SHAPE, WIDE, 0.9), np.zeros(SHAPE, np.float32)
    fall = tube(SHAPE, WIDE, 0.6)
    assert not supplemented(first, second, fall).any()
    fall[8, 8, 2:10] = 0.8
    assert supplemented(first, second, fall)[WIDE].all()
