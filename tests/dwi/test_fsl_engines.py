"""FSL's engines of stage dwi: command lines, what eddy needs, world axes in every storage order.

With stand-ins for FSL's commands (tests/fsl_stand_ins.py), which show the plumbing; at the end with
FSL itself, where FSLDIR is set.
"""

import json

import nibabel as nib
import numpy as np
import pytest

from glymph.common.errors import BadInput
from glymph.common.gradients import fsl_to_world, write_fsl
from glymph.common.tensors import as_matrices
from glymph.dwi import dtifit, eddy, motion, tensor
from glymph.dwi.correct import correct
from glymph.dwi.register import b0_to_t1w
from tests.anat.test_fnirt import lines
from tests.conftest import STORAGE, grid
from tests.dwi.phantom import head, table
from tests.dwi.test_motion import rigid
from tests.dwi.test_tensor import noisy
from tests.fsl_stand_ins import FSL


def sidecar(tmp_path, **content):
    path = tmp_path / "dwi.json"
    path.write_text(json.dumps(content))
    return {"dwi": "dwi.nii.gz", "json": str(path)}


@pytest.mark.parametrize(
    "direction, name, expected",
    [("j-", "RAS", "0 -1 0 0.06\n"), ("j", "LAS", "0 1 0 0.06\n"),
     ("i", "RAS", "-1 0 0 0.06\n"), ("i", "LAS", "1 0 0 0.06\n")],
)  # fmt: skip
def test_acqparams_come_from_the_sidecar(direction, name, expected, tmp_path):
    files = sidecar(tmp_path, PhaseEncodingDirection=direction, TotalReadoutTime=0.06)
    assert eddy.acquisition(files, grid(STORAGE[name])) == expected


@pytest.mark.parametrize(
    "content, message",
    [
        ({"TotalReadoutTime": 0.06}, "PhaseEncodingDirection is missing"),
        ({"PhaseEncodingDirection": "k", "TotalReadoutTime": 0.06}, "is k, the third axis"),
        ({"PhaseEncodingDirection": "j"}, "TotalReadoutTime is None"),
        ({"PhaseEncodingDirection": "j", "TotalReadoutTime": 60}, "TotalReadoutTime is 60"),
        ({"PhaseEncodingDirection": "j", "TotalReadoutTime": "0.06"}, "TotalReadoutTime is '0.06'"),
    ],
)
def test_what_eddy_cannot_take_is_said_with_a_cure(content, message, tmp_path):
    with pytest.raises(BadInput, match=message) as problem:
        eddy.acquisition(sidecar(tmp_path, **content), np.eye(4))
    assert "eddy_correct" in problem.value.stop.cure
    assert problem.value.stop.file.endswith("dwi.json")


def test_eddy_without_a_sidecar():
    with pytest.raises(BadInput, match="no JSON"):
        eddy.acquisition({"dwi": "dwi.nii.gz"}, np.eye(4))


@pytest.mark.parametrize("name", STORAGE)
def test_eddy_s_series_table_and_poses(name, stand_ins, tmp_path, capfd):
    data, affine, mask, _ = head(STORAGE[name], shape=(12, 14, 10), gradients=table(6))
    mirror = -1.0 if np.linalg.det(affine) > 0 else 1.0
    parameters = np.zeros((7, 16))
    parameters[2, :3] = (1, 2, 3)
    stand_ins(parameters=parameters, acqp=[mirror, 0, 0, 0.06])
    files = sidecar(tmp_path, PhaseEncodingDirection="i", TotalReadoutTime=0.06)
    moved, turned, poses = eddy.eddy(data, affine, table(6), mask, files, 2)
    np.testing.assert_array_equal(moved, data * 2)
    swap = np.eye(3)[[1, 0, 2]]  # the stand-in swaps the rows x and y of the table
    axes = fsl_to_world(affine)
    np.testing.assert_allclose(turned.vectors, table(6).vectors @ axes @ swap @ axes.T, atol=1e-5)
    expected = fsl_to_world(affine) @ (1, 2, 3)
    np.testing.assert_allclose(poses[2][:3, 3], expected, atol=1e-4)
    assert motion.displacements(poses, np.zeros(3))[2]["displacement"] == pytest.approx(14**0.5)
    (line,) = lines(capfd)
    assert [word.split("=")[0] for word in line.split()] == [
        "eddy", "--imain", "--mask", "--index", "--acqp", "--bvecs", "--bvals", "--out",
        "--ref_scan_no", "--nthr", "--dont_mask_output", "--initrand",
    ]  # fmt: skip
    assert "--ref_scan_no=0 --nthr=2" in line


@pytest.mark.parametrize("name", STORAGE)
def test_eddy_correct_s_matrices_become_ours(name, stand_ins, capfd):
    """FLIRT maps a volume to the reference; ours map the reference's points to the volume's."""
    data, affine, _, _ = head(STORAGE[name], shape=(12, 14, 10), gradients=table(3))
    true = np.array([np.eye(4), rigid(3, -2, 5, (1, 2, -1)), rigid(yaw=-4), rigid(shift=(0, 3, 0))])
    true[2][0, 1] += 0.03  # shear
    stand_ins(worlds=np.linalg.inv(true))
    found = motion.estimate(data, affine, table(3), "eddy_correct", None)
    np.testing.assert_allclose(found, true, atol=1e-4)
    assert lines(capfd) == ["eddy_correct series.nii.gz out 0"]


def test_eddy_correct_s_log_must_hold_every_volume(stand_ins):
    data, affine, _, _ = head(np.eye(3), shape=(12, 14, 10), gradients=table(3))
    stand_ins(worlds=[np.eye(4)])
    with pytest.raises(RuntimeError, match="1 matrices of 4 volumes"):
        eddy.eddy_correct(data, affine, table(3))


def test_the_log_s_matrices_are_found_among_its_words():
    rows = "1 0 0 0.5  \n0 1 0 -1e-05  \n0 0 1 0  \n0 0 0 1  \n"
    text = f"processing a\n\nFinal result: \n{rows}\nprocessing b\n\nFinal result:\n{rows}\n"
    first, second = eddy.read_ecclog(text)
    assert first[0, 3] == 0.5
    assert second[1, 3] == -1e-5


@pytest.mark.parametrize("name", STORAGE)
def test_dtifit_s_maps_come_in_world_axes(name, stand_ins, capfd):
    data, affine, mask, tensors = head(STORAGE[name])
    stand_ins()
    maps = dtifit.fit(data, affine, table(), mask)
    ours = tensor.fit(data, table(), mask)
    assert maps.keys() == ours.keys()
    np.testing.assert_allclose(as_matrices(maps["tensor"])[mask], tensors[mask], atol=2e-8)
    for key in ("fa", "md", "ad", "rd"):
        np.testing.assert_allclose(maps[key], ours[key], rtol=2e-3, atol=1e-6, err_msg=key)
    fibre = mask & (maps["fa"] > 0.3)
    along = abs(np.einsum("ni,ni->n", maps["v1"][fibre], ours["v1"][fibre]))
    assert along.min() > 0.9999
    assert maps["residual"][mask].max() < 0.1
    assert all(not values[~mask].any() for values in maps.values())
    (line,) = lines(capfd)
    assert [word.split("=")[0] for word in line.split()] == [
        "dtifit", "--data", "--out", "--mask", "--bvecs", "--bvals", "--wls", "--save_tensor",
    ]  # fmt: skip


@pytest.mark.parametrize("name", STORAGE)
def test_flirt_s_matrix_leads_from_the_dwi_to_the_t1w(name, stand_ins, capfd):
    """The similarity is high only where the T1w is seen through the right matrix."""
    true = rigid(4, -3, 6, (3, -2, 5))
    data, affine, mask, tensors = head(STORAGE[name])
    b0 = (data[..., 0] * (1 + 400 * np.trace(tensors, axis1=-2, axis2=-1))).astype(np.float32)
    t1w = nib.Nifti1Image(b0 * mask, true @ affine)
    stand_ins(world=true)
    matrix, similarity = b0_to_t1w(b0, mask, affine, t1w, "flirt")
    np.testing.assert_allclose(matrix, true, atol=1e-4)
    elsewhere = nib.Nifti1Image(b0 * mask, affine)
    assert similarity > b0_to_t1w(b0, mask, affine, elsewhere, "flirt")[1]
    options = "-dof 6 -cost normmi -searchcost normmi -omat rigid.mat"
    assert lines(capfd)[0] == f"flirt -in b0.nii.gz -ref t1w.nii.gz {options}"


def test_the_correction_takes_eddy_s_word(stand_ins, tmp_path):
    """What eddy has resampled is resampled no more; its table and its poses are written."""
    gradients = table(6)
    data, affine, _, _ = head(STORAGE["LAS"], gradients=gradients)
    parameters = np.zeros((7, 16))
    parameters[3, 1] = 1.5
    stand_ins(parameters=parameters, acqp=[0, 1, 0, 0.05])
    files = sidecar(tmp_path, PhaseEncodingDirection="j", TotalReadoutTime=0.05)
    files |= {key: str(tmp_path / f"dwi.{key}") for key in ("bval", "bvec")}
    files["dwi"] = str(tmp_path / "dwi.nii.gz")
    write_fsl(gradients, files["bval"], files["bvec"], affine)
    nib.save(nib.Nifti1Image(data, affine), files["dwi"])
    settings = {
        "b_max": 1500, "denoise": "none", "unring": False, "motion": "eddy",
        "distortion": "none", "gradient_check": "flag", "gradient_check_ratio": 0.9,
    }  # fmt: skip
    done = correct(files, [], None, settings, 1)
    np.testing.assert_allclose(done.data, data * 2)
    assert done.motion[3]["trans_y"] == pytest.approx(1.5, abs=1e-3)
    assert done.motion[2]["displacement"] == pytest.approx(0, abs=1e-3)
    swapped = done.table.vectors @ fsl_to_world(affine)
    np.testing.assert_allclose(
        swapped, (gradients.vectors @ fsl_to_world(affine))[:, [1, 0, 2]], atol=1e-5
    )


@FSL
@pytest.mark.parametrize("name", STORAGE)
def test_fsl_s_dtifit_equals_dipy_s_fit(name):
    """Voxel by voxel, noise-free exactly, with noise up to the weights of the two fits."""
    data, affine, mask, _ = head(STORAGE[name])
    theirs, ours = dtifit.fit(data, affine, table(), mask), tensor.fit(data, table(), mask)
    np.testing.assert_allclose(theirs["tensor"][mask], ours["tensor"][mask], atol=2e-6)
    data, affine, mask, _ = noisy(STORAGE[name], sigma=20.0)
    theirs, ours = dtifit.fit(data, affine, table(), mask), tensor.fit(data, table(), mask)
    sound = mask & (ours["fa"] < 0.9)
    apart = abs(theirs["tensor"][sound] - ours["tensor"][sound])
    print(f"dtifit and DIPY differ by {np.median(apart):.1e}, at most {apart.max():.1e} mm2/s")
    assert np.median(apart) < 1e-5


@FSL
@pytest.mark.slow
@pytest.mark.parametrize("name", ["LAS", "oblique"])
def test_fsl_s_engines_find_the_head_s_motion(name, tmp_path):
    """eddy_correct's matrices and eddy's poses against truth; eddy's bvecs turn with its poses."""
    from tests.dwi.test_motion import _lumpy

    shape, gradients = (44, 48, 40), table(12)
    affine = grid(STORAGE[name], (4.0, 4.0, 4.0), shape, centre=(0, 0, 0))
    true = [np.eye(4)] + [
        rigid(*v, shift=v[::-1]) for v in np.random.default_rng(5).normal(scale=1.5, size=(12, 3))
    ]
    data = np.stack([_lumpy(affine, shape, m, v) for v, m in enumerate(true)], axis=-1)
    found = motion.estimate(data, affine, gradients, "eddy_correct", None)
    assert (
        max(motion.rms_displacement(f, t, np.zeros(3)) for f, t in zip(found, true, strict=True))
        < 0.6
    )
    files = sidecar(tmp_path, PhaseEncodingDirection="j", TotalReadoutTime=0.05)
    mask = data[..., 0] > 100
    _, turned, poses = eddy.eddy(data, affine, gradients, mask, files, 1)
    assert (
        max(motion.rms_displacement(f, t, np.zeros(3)) for f, t in zip(poses, true, strict=True))
        < 0.6
    )
    np.testing.assert_allclose(
        turned.vectors, motion.rotate_gradients(gradients, poses).vectors, atol=2e-3
    )
