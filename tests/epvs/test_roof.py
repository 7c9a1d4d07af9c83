"""The ventricles' roof: found on either side, wherever the head lies, and not in the sulci."""

import nibabel as nib
import numpy as np
import pytest

from glymph.epvs import roof
from tests.conftest import STORAGE, grid

SHAPE = (90, 110, 80)


def head(axes, left=29.0, right=29.0, move=None):
    """Fluid of two ventricles with roofs at these levels of the template, of the sulcus above the
    corpus callosum and of the fissure, on a grid of 1 mm in any storage."""
    affine = grid(STORAGE[axes], sizes=(1.0, 1.0, 1.0), shape=SHAPE)
    affine[:3, 3] += [0, -10, 25]
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    x, y, z = mni = np.moveaxis(nib.affines.apply_affine(affine, index), -1, 0)
    top = np.where(x < 0, left, right)
    inside = (np.abs(y + 5) < 30) & (np.abs(x) > 4) & (np.abs(x) < 16) & (z > 5)
    csf = (inside & (z < top - 0.1 * (np.abs(x) - 10) ** 2)).astype(float)
    csf[(np.abs(x) < 12) & (np.abs(y) < 30) & (z > 40) & (z < 55)] = 1  # cingulate sulcus
    csf[(np.abs(x) < 2) & (z > 30)] = 1  # between the hemispheres
    height = z if move is None else nib.affines.apply_affine(move, np.moveaxis(mni, 0, -1))[..., 2]
    return csf, mni, height


@pytest.mark.parametrize("axes", STORAGE)
def test_each_side_has_its_own_roof(axes):
    found = roof.find_roofs(*head(axes, left=29, right=34))
    assert found["left"] == pytest.approx(29, abs=1)
    assert found["right"] == pytest.approx(34, abs=1)


def test_the_level_is_measured_in_the_affine_and_not_in_the_warp():
    """The warp takes every ventricle to the template's; a larger one stays larger in the affine."""
    larger = np.diag([1, 1, 1.2, 1.0])
    found = roof.find_roofs(*head("RAS", move=larger))
    assert found["left"] == pytest.approx(29 * 1.2, abs=1.2)


def test_without_ventricles_there_is_no_roof():
    csf, mni, height = head("RAS")
    csf[(mni[2] < 38)] = 0
    assert roof.find_roofs(csf, mni, height) == {"left": None, "right": None}


def test_a_roof_no_head_has_is_not_believed():
    tilted = np.eye(4)
    tilted[2, 3] = 40
    csf, mni, height = head("RAS", move=tilted)
    assert roof.find_roofs(csf, mni, height) == {"left": None, "right": None}


def test_a_single_voxel_is_no_roof():
    csf, mni, height = head("RAS")
    x, y, z = (np.argmin(np.abs(v - w)) for v, w in zip(
        (mni[0][:, 0, 0], mni[1][0, :, 0], mni[2][0, 0]), (10, 0, 30), strict=True))  # fmt: skip
    csf[x, y, z : z + 6] = 1
    assert roof.find_roofs(csf, mni, height)["right"] == pytest.approx(29, abs=1)
