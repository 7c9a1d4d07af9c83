"""Orientation comes from affines: every function under RAS, LAS, P-S-R and oblique storage."""

import nibabel as nib
import numpy as np
import pytest

from glymph.common import spaces
from tests.conftest import STORAGE, grid, rotation


def test_image_axes_are_the_directions_of_the_grid(storage):
    name, affine = storage
    np.testing.assert_allclose(spaces.image_axes(affine), STORAGE[name], atol=1e-12)
    np.testing.assert_allclose(spaces.voxel_sizes(affine), (2.0, 2.5, 3.0))


@pytest.mark.parametrize("name", STORAGE)
def test_coarser_voxels_lie_where_their_parts_lay(name):
    """The mean of the world coordinates of a voxel's parts is that of its centre."""
    affine = grid(STORAGE[name], sizes=(0.75, 0.5, 1.6), shape=(9, 13, 5))
    voxels = np.stack(np.meshgrid(*map(np.arange, (9, 13, 5)), indexing="ij"), axis=-1)
    data, moved, factors = spaces.coarser(spaces.apply_affine(affine, voxels), affine)
    assert list(factors) == [2, 3, 1]
    assert data.shape == (4, 4, 5, 3)
    centres = np.stack(np.meshgrid(*map(np.arange, (4, 4, 5)), indexing="ij"), axis=-1)
    np.testing.assert_allclose(data, spaces.apply_affine(moved, centres), atol=1e-4)


def test_voxels_of_usual_size_are_left_alone():
    data, affine = np.ones((4, 4, 4)), grid(STORAGE["RAS"], sizes=(1.0, 1.25, 2.0))
    assert spaces.coarser(data, affine)[0] is data


def test_sheared_affine_is_refused():
    affine = np.eye(4)
    affine[0, 1] = 0.1
    with pytest.raises(ValueError, match="sheared"):
        spaces.image_axes(affine)


@pytest.mark.parametrize("name", ["RAS", "LAS", "PSR"])
def test_nearest_axes_of_axis_aligned_storage_are_anatomical(name):
    np.testing.assert_allclose(spaces.nearest_anatomical_axes(grid(STORAGE[name])), np.eye(3))


def test_nearest_axes_of_a_tilted_slab_are_its_own():
    turned = rotation(pitch=36)
    for name in ("RAS", "LAS", "PSR"):
        found = spaces.nearest_anatomical_axes(grid(turned @ STORAGE[name]))
        np.testing.assert_allclose(found, turned, atol=1e-12)


def test_nearest_axes_never_use_one_image_axis_twice():
    found = spaces.nearest_anatomical_axes(grid(rotation(pitch=44.9, yaw=44.9)))
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-12)
    assert np.linalg.det(found) == pytest.approx(1)


def test_rotation_part_recovers_the_rotation_of_a_scaled_map():
    turned = rotation(12, -5, 20)
    np.testing.assert_allclose(spaces.rotation_part(turned @ np.diag([1.1, 0.9, 1.2])), turned,
                               atol=1e-12)  # fmt: skip
    with pytest.raises(ValueError, match="mirrors"):
        spaces.rotation_part(np.diag([-1.0, 1, 1]))


def test_head_angles_follow_the_stated_convention():
    found = spaces.head_angles(rotation(15, -4, 9))
    assert (found["pitch"], found["roll"], found["yaw"]) == pytest.approx((15, -4, 9))
    assert spaces.head_angles(rotation(pitch=15))["angle"] == pytest.approx(15)
    nose = rotation(pitch=15) @ [0, 1, 0]
    assert nose[2] > 0, "positive pitch lifts the nose"
    assert (rotation(yaw=9) @ [0, 1, 0])[0] < 0, "positive yaw turns it to the left"


def test_ants_image_has_the_same_world(storage):
    _, affine = storage
    data = np.random.default_rng(0).random((6, 7, 8)).astype(np.float32)
    image = spaces.to_ants(data, affine)
    np.testing.assert_allclose(spaces.ants_affine(image), affine, atol=1e-5)
    np.testing.assert_array_equal(image.numpy(), data)


def test_ants_reads_the_file_as_we_convert_it(storage, tmp_path):
    import ants

    _, affine = storage
    data = np.random.default_rng(0).random((6, 7, 8)).astype(np.float32)
    image = nib.Nifti1Image(data, affine)
    image.set_qform(affine, 1)
    nib.save(image, tmp_path / "x.nii.gz")
    read = ants.image_read(str(tmp_path / "x.nii.gz"))
    np.testing.assert_allclose(spaces.ants_affine(read), affine, atol=1e-4)
    np.testing.assert_allclose(read.numpy(), data)


def _matrix():
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(10, 5, -8) @ np.diag([1.05, 0.97, 1.1])
    matrix[:3, 3] = (4.0, -7.0, 11.0)
    return matrix


def test_itk_affine_round_trip_and_points(tmp_path):
    import ants
    import pandas as pd

    path = str(tmp_path / "x.mat")
    spaces.write_itk_affine(path, _matrix())
    np.testing.assert_allclose(spaces.read_itk_affine(path), _matrix(), atol=1e-6)
    points = np.random.default_rng(1).normal(scale=30, size=(20, 3))
    expected = points @ _matrix()[:3, :3].T + _matrix()[:3, 3]
    np.testing.assert_allclose(spaces.map_points(points, [(path, False)]), expected, atol=1e-5)
    back = spaces.map_points(expected, [(path, True)])
    np.testing.assert_allclose(back, points, atol=1e-5)
    # ITK's own point mapping, in LPS, must agree
    lps = pd.DataFrame(points * [-1, -1, 1], columns=list("xyz"))
    theirs = ants.apply_transforms_to_points(3, lps, [path])[["x", "y", "z"]].to_numpy()
    np.testing.assert_allclose(theirs * [-1, -1, 1], expected, atol=1e-4)


def test_displacement_field_moves_points_as_itk_does(storage, tmp_path):
    import ants
    import pandas as pd

    _, affine = storage
    shape = (20, 22, 18)
    affine = grid(STORAGE[storage[0]], shape=shape)
    vectors = np.random.default_rng(2).normal(size=(*shape, 3)).astype(np.float32)
    reference = spaces.to_ants(np.zeros(shape), affine)
    field = ants.from_numpy(
        vectors, origin=reference.origin, spacing=reference.spacing,
        direction=reference.direction, has_components=True,
    )  # fmt: skip
    path = str(tmp_path / "warp.nii.gz")
    ants.image_write(field, path)
    voxels = np.random.default_rng(3).uniform(2, 15, size=(30, 3))
    points = spaces.apply_affine(affine, voxels)
    lps = pd.DataFrame(points * [-1, -1, 1], columns=list("xyz"))
    theirs = ants.apply_transforms_to_points(3, lps, [path])[["x", "y", "z"]].to_numpy()
    ours = spaces.map_points(points, [(path, False)])
    np.testing.assert_allclose(ours, theirs * [-1, -1, 1], atol=1e-3)


def test_a_field_is_not_inverted_in_silence(tmp_path):
    with pytest.raises(ValueError, match="inverse"):
        spaces.map_points(np.zeros((1, 3)), [("warp.nii.gz", True)])
