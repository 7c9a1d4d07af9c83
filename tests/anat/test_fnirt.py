"""FSL's engines of stage anat: command lines, and their files in every storage order.

With stand-ins for FSL's commands (tests/fsl_stand_ins.py), which show the plumbing; at the end with
FSL itself, where FSLDIR is set.
"""

import nibabel as nib
import numpy as np
import pytest
from nibabel.processing import resample_from_to

from glymph.anat import brain, fnirt, register
from glymph.common.spaces import map_points, read_itk_affine
from glymph.common.template import Template, load_template
from tests.anat.test_anat import ball
from tests.conftest import STORAGE, grid, rotation
from tests.fsl_stand_ins import FSL, moved, wave

PLACES = np.array([[24.0, -12, 24], [-40, -12, 24], [0, 20, 0], [10, -30, 30]])
SETTINGS = {"engine": "fsl", "resolution_mm": 4.0, "iterations": [40, 30, 0]}
FILES = {"affine": "affine.mat", "warp": "warp.nii.gz", "inverse_warp": "inverse_warp.nii.gz"}


def lines(capfd):
    """The commands that were run, without folders."""
    found = [line.split() for line in capfd.readouterr().out.splitlines() if "/bin/" in line]
    return [" ".join(word if word.startswith("--") else word.split("/")[-1] for word in words)
            for words in found]  # fmt: skip


@pytest.mark.parametrize("name", STORAGE)
def test_bet_s_mask_comes_back_on_the_image_s_grid(name, stand_ins, capfd):
    stand_ins()
    mask, affine = ball(name, size=6.0, shape=(31, 33, 30))
    image = nib.Nifti1Image(np.where(mask, 500.0, 20).astype(np.float32), affine)
    settings = {"brain": "fsl_bet", "brain_model": None, "bet_intensity": 0.4}
    found, made_by = brain.brain_mask(image, settings, None, "x.nii.gz", 1)
    assert made_by == "fsl_bet"
    np.testing.assert_array_equal(found, mask)
    assert lines(capfd) == ["bet head.nii.gz out -m -n -R -f 0.4"]


def small_template():
    """A ball for a template, 4 mm."""
    mask, affine = ball("RAS")
    image = nib.Nifti1Image(np.where(mask, 500.0, 0).astype(np.float32), affine)
    return Template(image, image, image)


def to_t1w():
    """World map of template points to those of a turned and larger head."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(12, -5, 8) * 1.08
    matrix[:3, 3] = (4, -7, 3)
    return matrix


@pytest.mark.parametrize("name", STORAGE)
def test_flirt_and_fnirt_give_itk_files_that_map_points(name, stand_ins, tmp_path, capfd):
    """Template points go where the stand-ins' affine and wave take them, and come back."""
    stand_ins(world=np.linalg.inv(to_t1w()), size=2.5)
    mask, affine = ball(name)
    head = nib.Nifti1Image(np.where(mask, 400.0, 0).astype(np.float32), affine)
    out = {key: str(tmp_path / file) for key, file in FILES.items()}
    facts = fnirt.register_to_template(head, small_template(), SETTINGS, out)
    np.testing.assert_allclose(read_itk_affine(out["affine"]), to_t1w(), atol=1e-4)
    found = map_points(PLACES, [(out["warp"], False), (out["affine"], False)])
    expected = moved(to_t1w(), PLACES + wave(PLACES, 2.5))
    assert np.linalg.norm(found - expected, axis=1).max() < 0.05
    back = map_points(found, [(out["affine"], True), (out["inverse_warp"], False)])
    assert np.linalg.norm(back - PLACES, axis=1).max() < 0.05
    assert facts["head_angles_deg"]["angle"] > 10
    assert facts.keys() == {"metrics", "affine_determinant", "head_angles_deg"}
    ran = lines(capfd)
    assert ran[0] == "flirt -in t1w.nii.gz -ref template.nii.gz -dof 12 -omat affine.mat"
    assert [line.split()[0] for line in ran] == ["flirt", "fnirt", "invwarp"]
    for option in ("--subsamp=4,4,2,2,1,1", "--lambda=300,150,100,50,40,30", "--warpres=10,10,10",
                   "--intmod=global_non_linear_with_bias"):  # fmt: skip
        assert option in ran[1]
    assert ran[2].endswith("--rel")


@FSL
@pytest.mark.slow
@pytest.mark.parametrize("name", ["LAS", "PSR", "oblique"])
def test_fsl_puts_the_regions_where_ants_does(name, tmp_path):
    """The template through a known map in any storage: region centres of FSL and ANTs in mm."""
    template = load_template(None)
    head = nib.Nifti1Image(template.t1w.get_fdata(dtype=np.float32),
                           to_t1w() @ template.t1w.affine)  # fmt: skip
    target = grid(STORAGE[name], (2.0, 2.0, 2.0), (110, 120, 110), centre=(4.0, -25, 15))
    head = resample_from_to(head, ((110, 120, 110), target), order=1)
    places, found = PLACES, {}
    for engine in (fnirt, register):
        folder = tmp_path / engine.__name__
        folder.mkdir()
        out = {key: str(folder / file) for key, file in FILES.items()}
        settings = SETTINGS | {"resolution_mm": 2.0}
        engine.register_to_template(head, template, settings, out)
        found[engine] = map_points(places, [(out["warp"], False), (out["affine"], False)])
        back = map_points(found[engine], [(out["affine"], True), (out["inverse_warp"], False)])
        assert np.linalg.norm(back - places, axis=1).max() < 0.5
        assert np.linalg.norm(found[engine] - moved(to_t1w(), places), axis=1).max() < 2
    apart = np.linalg.norm(found[fnirt] - found[register], axis=1)
    print(f"FSL and ANTs lie {apart.max():.2f} mm apart at most")
    assert apart.max() < 2
