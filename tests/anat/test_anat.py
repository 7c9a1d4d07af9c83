"""Brain masks, tissue and template registration on simulated heads with known truth."""

import nibabel as nib
import numpy as np
import pytest

from glymph.anat import brain, tissue
from glymph.common.errors import BadInput
from glymph.common.spaces import map_points
from glymph.common.template import load_template
from tests.conftest import STORAGE, grid


def ball(name="RAS", radius=62.0, size=4.0, shape=(46, 50, 44)):
    affine = grid(STORAGE[name], (size,) * 3, shape, centre=(0, 0, 0))
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    distance = np.linalg.norm(voxels @ affine[:3, :3].T + affine[:3, 3], axis=-1)
    return distance < radius, affine


def test_template_is_sound():
    template = load_template(None)
    gm, wm = (nib.Nifti1Image.get_fdata(image) for image in (template.gm, template.wm))
    assert template.t1w.shape == gm.shape == wm.shape
    assert 0.98 < gm.max() <= 1
    assert 0.98 < wm.max() <= 1
    total = template.csf + gm + wm
    assert total[template.brain].mean() == pytest.approx(1, abs=0.02)
    assert 1.5e6 < template.brain.sum() < 2.1e6, "mm3"


def test_template_grids_must_agree(tmp_path):
    for name, shape in {"t1w": (8, 8, 8), "gm": (8, 8, 8), "wm": (8, 8, 9)}.items():
        nib.save(
            nib.Nifti1Image(np.ones(shape, np.float32), np.eye(4)), tmp_path / f"{name}.nii.gz"
        )
    with pytest.raises(BadInput, match="one grid"):
        load_template({name: str(tmp_path / f"{name}.nii.gz") for name in ("t1w", "gm", "wm")})


def engine(name):
    return {"brain": name, "brain_model": None, "bet_intensity": 0.5}


def test_a_stripped_image_keeps_its_brain():
    mask, affine = ball()
    image = nib.Nifti1Image(np.where(mask, 500.0, 0).astype(np.float32), affine)
    assert brain.is_stripped(image)
    found, made_by = brain.brain_mask(image, engine("bet"), None, "x.nii.gz", 1)
    assert made_by == "already stripped"
    np.testing.assert_array_equal(found, mask)


def test_provided_mask_wins_and_must_fit(tmp_path):
    mask, affine = ball()
    image = nib.Nifti1Image(np.random.default_rng(0).random(mask.shape).astype(np.float32), affine)
    path = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), path)
    found, made_by = brain.brain_mask(image, engine("bet"), str(path), "x.nii.gz", 1)
    assert made_by == "provided"
    np.testing.assert_array_equal(found, mask)
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), np.eye(4)), path)
    with pytest.raises(BadInput, match="grid"):
        brain.brain_mask(image, engine("bet"), str(path), "x.nii.gz", 1)


def test_provided_engine_without_mask():
    mask, affine = ball()
    image = nib.Nifti1Image(mask.astype(np.float32), affine)
    with pytest.raises(BadInput, match="no provided brain mask"):
        brain.brain_mask(image, engine("provided"), None, "x.nii.gz", 1)


def test_a_mask_that_is_no_brain_is_refused(tmp_path):
    mask, affine = ball(radius=25.0)
    image = nib.Nifti1Image(np.ones(mask.shape, np.float32), affine)
    path = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), path)
    with pytest.raises(BadInput, match="no brain"):
        brain.brain_mask(image, engine("bet"), str(path), "x.nii.gz", 1)


def test_volumes_add_up():
    part = np.full((4, 5, 6), 0.25, np.float32)
    found = tissue.volumes({"csf": part, "gm": 2 * part, "wm": part}, np.diag([2.0, 3, 1, 1]))
    assert found["gm_volume_mm3"] == pytest.approx(120 * 6 * 0.5)
    assert found["brain_volume_mm3"] == pytest.approx(120 * 6 * 0.75)
    assert found["icv_volume_mm3"] == pytest.approx(120 * 6)


def test_intensities_of_a_t2w_are_refused():
    """CSF brighter than white matter: the file is no T1w."""
    one = [np.zeros((6, 6, 6), np.float32) for _ in range(3)]
    for k, part in enumerate(one):
        part[2 * k : 2 * k + 2] = 1
    data = np.where(one[0] > 0, 900, np.where(one[1] > 0, 500, 300)).astype(np.float32)
    maps = dict(zip(tissue.TISSUES, one, strict=True))
    with pytest.raises(BadInput, match="not those of a T1w"):
        tissue._check_order(data, maps, "x.nii.gz")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["LAS", "PSR", "oblique"])
def test_registration_maps_points_both_ways(name, tmp_path):
    """The template seen through a known shift, in any storage: points come back within 1 mm."""
    from nibabel.processing import resample_from_to

    from glymph.anat.register import register_to_template

    template = load_template(None)
    shift = np.array([6.0, -9.0, 5.0])
    moved = nib.Nifti1Image(template.t1w.get_fdata(dtype=np.float32),
                            template.t1w.affine.copy())  # fmt: skip
    moved.affine[:3, 3] += shift
    target = grid(STORAGE[name], (3.0, 3.0, 3.0), (66, 80, 66), centre=shift + [0, -18, 10])
    brain_image = resample_from_to(moved, ((66, 80, 66), target), order=1)
    out = {k: str(tmp_path / f"{k}.{e}") for k, e in
           {"affine": "mat", "warp": "nii.gz", "inverse_warp": "nii.gz"}.items()}  # fmt: skip
    settings = {"resolution_mm": 3, "iterations": [20, 10, 0]}
    facts = register_to_template(brain_image, template, settings, out)
    assert facts["metrics"]["template_similarity"] > 0.9
    places = np.array([[24.0, -12, 24], [-40, -12, 24], [0, 20, 0], [10, -60, 30]])
    found = map_points(places, [(out["warp"], False), (out["affine"], False)])
    assert np.linalg.norm(found - (places + shift), axis=1).max() < 1.5
    back = map_points(found, [(out["affine"], True), (out["inverse_warp"], False)])
    assert np.linalg.norm(back - places, axis=1).max() < 0.3
