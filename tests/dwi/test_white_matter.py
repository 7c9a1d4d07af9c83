"""PSMD and normal-appearing white matter on phantoms whose numbers are known."""

import nibabel as nib
import numpy as np
import pytest

from glymph.common.spaces import apply_affine, write_itk_affine
from glymph.common.template import Template
from glymph.dwi.white_matter import normal_appearing, psmd, skeleton
from tests.conftest import STORAGE, grid, rotation

HALF_MM, LENGTH_MM = 8.0, 60.0
TURN = rotation(10, -5, 15)


def sheet(points, half=HALF_MM):
    """White matter: a sheet across x, 16 mm thick and 60 mm wide, with soft borders."""
    depth = half - np.abs(points[..., 0])
    wide = (np.abs(points[..., 1:]) < LENGTH_MM / 2).all(axis=-1)
    return np.clip(depth / 2 + 0.5, 0, 1) * wide


@pytest.fixture(scope="module")
def template():
    affine = grid(np.eye(3), (1.0,) * 3, (60, 80, 80), centre=(0, 0, 0))
    points = apply_affine(affine, np.moveaxis(np.indices((60, 80, 80)), 0, -1))
    wm = sheet(points).astype(np.float32)
    images = [nib.Nifti1Image(m, affine) for m in (100 * wm + 1, (1 - wm) * 0.5, wm)]
    return Template(*images)


def test_the_skeleton_is_the_middle_of_the_sheet(template):
    points, across = skeleton(template)
    inner = np.abs(points[:, 1:]).max(axis=1) < LENGTH_MM / 2 - 8
    assert inner.sum() > 300
    assert np.abs(points[inner, 0]).max() <= 1.5
    assert np.abs(across[inner, 0]).min() > 0.99


@pytest.fixture(params=STORAGE)
def scan(request, tmp_path):
    """(maps, affine, chain from the template): MD runs from 7 to 9e-4 along y; CSF beside, and
    noise in FA; the head turned and moved."""
    affine = grid(STORAGE[request.param], (2.0,) * 3, (60, 60, 60), centre=(4, -3, 2))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = TURN, (4, -3, 2)
    path = str(tmp_path / "pose.mat")
    write_itk_affine(path, pose)
    points = apply_affine(affine, np.moveaxis(np.indices((60, 60, 60)), 0, -1))
    head = apply_affine(np.linalg.inv(pose), points)
    wm = sheet(head)
    rng = np.random.default_rng(0)
    md = np.where(wm > 0.5, (8 + head[..., 1] / LENGTH_MM * 2) * 1e-4, 30e-4)
    fa = np.where(wm > 0.5, 0.45, 0.05) + 0.02 * rng.standard_normal(wm.shape)
    return {"fa": fa, "md": md}, affine, [(path, False)]


def test_psmd_is_the_peak_width_along_the_sheet(scan, template):
    """MD is spread evenly over 2e-4, so 90 % of it lie within 1.8e-4, in every storage order."""
    maps, affine, way = scan
    found = psmd(maps, affine, template, way)
    assert found["psmd"] == pytest.approx(1.8e-4, rel=0.06)
    assert found["psmd_coverage"] > 0.99


def test_a_slab_that_shows_too_little_has_no_psmd(scan, template):
    maps, affine, way = scan
    maps["md"][:, :38, :38] = maps["md"][:38, :, :38] = 0
    maps["md"][:38] = 0
    found = psmd(maps, affine, template, way)
    assert found["psmd"] is None and found["psmd_coverage"] < 0.5


def test_normal_appearing_white_matter_leaves_lesions_and_borders_out(scan, template):
    maps, affine, way = scan
    grid_affine = template.wm.affine
    wm = (np.asarray(template.wm.dataobj), grid_affine)
    whole = normal_appearing(maps, affine, wm, None, way)
    assert whole["nawm_md"] == pytest.approx(8e-4, rel=0.01)
    assert whole["nawm_fa"] == pytest.approx(0.45, abs=0.01)
    lesion_grid = grid(np.eye(3), (2.0,) * 3, (40, 40, 40), centre=(0, 0, 0))
    points = apply_affine(lesion_grid, np.moveaxis(np.indices((40, 40, 40)), 0, -1))
    front = (points[..., 1] > 0).astype(np.uint8)
    behind = normal_appearing(maps, affine, wm, (front, lesion_grid), way)
    assert behind["nawm_md"] == pytest.approx(7.5e-4, rel=0.02)
    assert behind["nawm_volume_mm3"] == pytest.approx(whole["nawm_volume_mm3"] / 2, rel=0.15)


def test_no_white_matter_in_view_is_no_number(scan, template):
    maps, affine, way = scan
    maps["md"][:] = 0
    wm = (np.asarray(template.wm.dataobj), template.wm.affine)
    assert set(normal_appearing(maps, affine, wm, None, way).values()) == {None}
