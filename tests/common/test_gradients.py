"""FSL tables and world vectors under every storage order; every malformed file has its message."""

import numpy as np
import pytest

from glymph.common.errors import BadInput
from glymph.common.gradients import (
    GradientTable,
    fsl_to_world,
    read_fsl,
    select_shells,
    write_fsl,
)
from tests.conftest import STORAGE, grid


def vectors(n, seed=0):
    v = np.random.default_rng(seed).normal(size=(n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def write(folder, bvals, bvecs):
    bval, bvec = folder / "x.bval", folder / "x.bvec"
    bval.write_text("\n".join(" ".join(map(str, row)) for row in np.atleast_2d(bvals)) + "\n")
    bvec.write_text("\n".join(" ".join(map(str, row)) for row in bvecs) + "\n")
    return bval, bvec


def test_round_trip(storage, tmp_path):
    _, affine = storage
    table = GradientTable(np.array([0.0, 1000, 1000, 1000]), np.vstack([[0, 0, 0], vectors(3)]))
    write_fsl(table, tmp_path / "a.bval", tmp_path / "a.bvec", affine)
    again = read_fsl(tmp_path / "a.bval", tmp_path / "a.bvec", affine, 4)
    np.testing.assert_allclose(again.vectors, table.vectors, atol=1e-5)
    np.testing.assert_array_equal(again.bvals, table.bvals)


def test_fsl_convention_by_hand():
    """RAS storage (positive determinant): FSL's x runs against the voxel axis; LAS: along it."""
    np.testing.assert_allclose(fsl_to_world(grid(STORAGE["RAS"])), np.diag([-1.0, 1, 1]))
    np.testing.assert_allclose(fsl_to_world(grid(STORAGE["LAS"])), np.diag([-1.0, 1, 1]))
    # P-S-R: i runs to posterior, j to superior, k to right; the determinant is negative
    affine = grid(STORAGE["PSR"])
    assert np.linalg.det(affine[:3, :3]) < 0
    np.testing.assert_allclose(fsl_to_world(affine) @ [1, 0, 0], [0, -1, 0])
    np.testing.assert_allclose(fsl_to_world(affine) @ [0, 1, 0], [0, 0, 1])
    np.testing.assert_allclose(fsl_to_world(affine) @ [0, 0, 1], [1, 0, 0])


def test_direction_count_ignores_sign_and_repetition():
    v = vectors(7, seed=4)
    table = GradientTable(np.full(14, 1000.0), np.vstack([v, -v]))
    assert table.directions() == 7


BAD = {
    "lengths differ": (lambda b, v: (b[:-1], v), "directions, but"),
    "volumes": (lambda b, v: (np.append(b, 1000), np.column_stack([v, v[:, -1]])), "volumes"),
    "bvec transposed": (lambda b, v: (b, v.T), "transposed"),
    "bval transposed": (lambda b, v: (b[:, None], v), "transposed"),
    "not unit": (lambda b, v: (b, v * 0.7), "unit length"),
    "nan": (lambda b, v: (b, np.where(np.arange(8) == 5, np.nan, v)), "not finite at volume 5"),
    "negative b": (lambda b, v: (-b, v), "negative"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_name_file_and_cure(name, tmp_path):
    change, message = BAD[name]
    bvals = np.array([0.0] + [1000.0] * 7)
    table = np.vstack([[0, 0, 0], vectors(7)]).T
    bval, bvec = write(tmp_path, *change(bvals, table))
    with pytest.raises(BadInput, match=message) as caught:
        read_fsl(bval, bvec, np.eye(4), 8)
    assert "x.bv" in caught.value.stop.file
    assert caught.value.stop.cure


@pytest.mark.parametrize("text, message", [("", "empty"), ("0 a 3\n", "numbers"),
                                           ("0 1\n1\n", "differ")])  # fmt: skip
def test_unreadable_tables(text, message, tmp_path):
    bval, bvec = write(tmp_path, [0.0, 1000], np.zeros((3, 2)))
    bvec.write_text(text)
    with pytest.raises(BadInput, match=message):
        read_fsl(bval, bvec, np.eye(4), 2)


def test_vectors_at_b0_do_not_matter(tmp_path):
    table = np.vstack([[np.nan] * 3, vectors(7)]).T
    bval, bvec = write(tmp_path, [0.0] + [1000.0] * 7, table)
    found = read_fsl(bval, bvec, np.eye(4), 8)
    np.testing.assert_array_equal(found.vectors[0], 0)


def with_b(*bvals, seed=1):
    """A table of these b-values, with directions where they are not zero."""
    b = np.array(bvals, float)
    return GradientTable(b, np.where(b[:, None] > 50, vectors(len(b), seed), 0.0))


@pytest.mark.parametrize(
    ("bvals", "b_max", "left_out"),
    [
        ([0, 1485, 1490, 1500, 1510, 1515], 1500, []),
        ([0, 1000.00006, 999.9, 1000], 1000, []),
        ([5, 1500.00006, 1500], 1500, []),
        ([0, 990, 1010, 1990, 2010, 2000], 1500, [3, 4, 5]),
        ([0, 1000, 1045, 955], 1000, []),
        ([0, 300, 1000, 2000, 3000], 1500, [3, 4]),
        ([0, 1600, 1600], 1500, [1, 2]),
        ([0, 700, 735, 770, 805, 840, 880, 920], 800, [6, 7]),
        ([0, 45, 1000], 1500, []),
        ([0], 1500, []),
    ],
)  # fmt: skip
def test_shells_are_taken_whole(bvals, b_max, left_out):
    table = with_b(*bvals)
    kept = select_shells(table, b_max)
    assert sorted(set(range(len(bvals))) - set(kept)) == left_out


def test_the_nominal_b_value_is_the_median_of_the_shell():
    table = with_b(0, 995, 2020, 1000, 1980, 1004, 2000)
    assert table.nominal().tolist() == [0, 1000, 2000, 1000, 2000, 1000, 2000]


@pytest.mark.parametrize("place", [0, 3, 7])
def test_a_volume_with_b_and_no_direction_is_left_out(tmp_path, place):
    """A trace image as Philips appends it, or an interleaved b = 0 that keeps the shell's b."""
    b, v = np.array([0.0] + [1000] * 7), np.vstack([[0, 0, 0], vectors(7)])
    b[place], v[place] = 1000, 0
    table = read_fsl(*write(tmp_path, b, v.T), grid(STORAGE["RAS"]), 8)
    assert np.flatnonzero(table.has_no_direction).tolist() == [place]
    assert place not in select_shells(table, 1500)
    assert table.directions() <= 8


def test_b0_with_a_small_b_or_any_vector_is_b0(tmp_path):
    b, v = np.array([0.0, 5, 45, 1000]), np.vstack([[0, 0, 0], vectors(1), [9, 9, 9], vectors(1)])
    table = read_fsl(*write(tmp_path, b, v.T), grid(STORAGE["RAS"]), 4)
    assert table.is_b0.tolist() == [True, True, True, False]
    assert not table.vectors[:3].any()
    assert len(select_shells(table, 1500)) == 4
