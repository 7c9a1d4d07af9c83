"""The right table wins and every wrong one is caught, whatever the storage order."""

import numpy as np
import pytest
from scipy import ndimage

from glymph.common.gradients import GradientTable, fsl_to_world, read_fsl
from glymph.common.images import array, load
from glymph.dwi.gradient_check import judge, orientations, quick_tensors, score_orientations
from glymph.dwi.tensor import brain_mask
from tests.conftest import STORAGE
from tests.dwi.phantom import head, table


def verdict(data, gradients, mask, affine):
    return judge(score_orientations(quick_tensors(data, gradients, mask), mask, affine))


def test_there_are_24_orientations_and_none_is_another_s_negative():
    found = list(orientations().values())
    assert len(found) == 24
    for i, first in enumerate(found):
        for second in found[:i]:
            assert not np.allclose(first, second)
            assert not np.allclose(first, -second)


@pytest.mark.parametrize("name", STORAGE)
def test_right_table_is_best(name):
    data, affine, mask, _ = head(STORAGE[name])
    found = verdict(data, table(), mask, affine)
    assert found["best"] == "+x+y+z"
    assert found["ratio"] > 1.1


@pytest.mark.parametrize("name", STORAGE)
@pytest.mark.parametrize("wrong", ["+x+y-z", "+x-y+z", "+x-y-z", "+y+x+z", "+x+z+y", "+z+x+y"])
def test_wrong_table_is_caught(name, wrong):
    data, affine, mask, _ = head(STORAGE[name])
    to_world = fsl_to_world(affine)
    file = table().vectors @ to_world  # as the bvec file should be
    turned = GradientTable(table().bvals, file @ orientations()[wrong].T @ to_world.T)
    found = verdict(data, turned, mask, affine)
    assert found["ratio"] < 0.9
    assert found["best"] != "+x+y+z"


def zero_filled(data, affine, mask):
    """The same series interpolated to twice the matrix in the first two image axes."""
    data = ndimage.zoom(data, (2, 2, 1, 1), order=1, grid_mode=True, mode="nearest")
    finer = affine @ np.diag([0.5, 0.5, 1, 1])
    finer[:3, 3] = affine[:3, 3] - affine[:3, :3] @ [0.25, 0.25, 0]
    return data, finer, mask.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("name", STORAGE)
@pytest.mark.parametrize("orientation", ["+x+y+z", "+x+y-z", "+y+x+z", "+x+z+y", "+z+x+y"])
def test_flat_voxels_favour_no_orientation(name, orientation):
    """The study's own images: 0.75 x 0.75 x 1.5 mm, interpolated from 1.5 mm."""
    data, affine, mask, _ = head(STORAGE[name])
    data, affine, mask = zero_filled(data, affine, mask)
    to_world = fsl_to_world(affine)
    file = table().vectors @ to_world
    turned = GradientTable(table().bvals, file @ orientations()[orientation].T @ to_world.T)
    found = verdict(data, turned, mask, affine)
    assert (found["ratio"] > 1.05) == (orientation == "+x+y+z")
    assert (found["ratio"] < 0.9) == (orientation != "+x+y+z")


def test_quick_tensors_recover_the_truth():
    data, _, mask, tensors = head(np.eye(3))
    np.testing.assert_allclose(quick_tensors(data, table(), mask), tensors[mask], atol=2e-9)


SERIES = {
    "sub-canon/ses-axAP/dwi/sub-canon_ses-axAP": True,
    "sub-canon/ses-axPA/dwi/sub-canon_ses-axPA": True,
    "sub-canon/ses-sag/dwi/sub-canon_ses-sag": True,
    "sub-canon/ses-tilt/dwi/sub-canon_ses-tilt": True,
    "sub-canon/ses-turned/dwi/sub-canon_ses-turned": True,
    "sub-ingenia/dwi/sub-ingenia": True,
    "extra/wrong-gradients/canon60_PA-ortho_correct": True,
    "extra/wrong-gradients/canon60_AP-ortho": False,
}


@pytest.mark.realdata
@pytest.mark.parametrize("stem", SERIES)
def test_real_series(stem, realdata):
    path = f"{realdata}/{stem}_dwi"
    image = load(f"{path}.nii.gz")
    gradients = read_fsl(f"{path}.bval", f"{path}.bvec", image.affine, image.shape[3])
    data = array(image)
    mask = brain_mask(data[..., gradients.is_b0].mean(axis=-1), image.affine)
    assert (verdict(data, gradients, mask, image.affine)["ratio"] > 0.9) == SERIES[stem]
