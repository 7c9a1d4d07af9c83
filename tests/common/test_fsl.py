"""FSL's coordinates against closed forms in every storage order, and what is said without FSL."""

import json
import os
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import yaml

from glymph.common import fsl
from glymph.common.errors import BadInput
from glymph.common.spaces import map_points, write_itk_field
from glymph.common.tensors import as_components, as_matrices
from tests.conftest import ROOT, STORAGE, grid, rotation
from tests.fsl_stand_ins import (
    flirt_matrix,
    fnirt_field,
    make,
    moved,
    wave,
    world_points,
    world_to_fsl,
)

SHAPE = (40, 44, 36)
PLACES = np.array([[24.0, -12, 14], [-20, -22, 24], [5, 15, 0], [10, -30, 20]])


def image(name, sizes=(2.0, 2.5, 3.0), centre=(3.0, -5.0, 8.0)):
    affine = grid(STORAGE[name], sizes, SHAPE, centre)
    return nib.Nifti1Image(np.ones(SHAPE, np.float32), affine)


def world_map(scale=1.1):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(12, -5, 8) * scale
    matrix[:3, 3] = (4, -7, 3)
    return matrix


@pytest.fixture(params=[(a, b) for a in STORAGE for b in ("RAS", "LAS", "oblique")], ids=str)
def pair(request):
    """(source, reference) in two storage orders, on different grids."""
    source, reference = request.param
    return image(source), image(reference, (2.2, 2.2, 2.2), (0, -8.0, 10.0))


def test_fsl_coordinates_of_las_are_scaled_voxels_and_of_ras_mirrored():
    ras, las = image("RAS"), image("LAS")
    corner = np.array([5.0, 6, 7])
    np.testing.assert_allclose(moved(world_to_fsl(las) @ las.affine, corner), corner * (2, 2.5, 3))
    mirrored = ((39 - 5) * 2, 6 * 2.5, 7 * 3)
    np.testing.assert_allclose(moved(world_to_fsl(ras) @ ras.affine, corner), mirrored)


def test_flirt_matrices_become_world_maps(pair):
    matrix = flirt_matrix(world_map(), *pair)
    np.testing.assert_allclose(fsl.flirt_to_world(matrix, *pair), world_map(), atol=1e-4)


def test_a_flirt_matrix_of_one_place_is_a_world_shift():
    """FLIRT's identity between two grids lays FSL's origins on each other."""
    source, reference = image("LAS"), image("LAS", centre=(13.0, -5.0, 8.0))
    expected = np.eye(4)
    expected[0, 3] = 10
    np.testing.assert_allclose(fsl.flirt_to_world(np.eye(4), source, reference), expected,
                               atol=1e-4)  # fmt: skip


def test_fnirt_fields_move_points_as_itk_fields(pair, tmp_path):
    """A known map of reference to source points, affine and wave, as FNIRT would write it."""
    source, reference = pair

    def there(points):
        return moved(np.linalg.inv(world_map()), points + wave(points, 3.0))

    field = fnirt_field(there(world_points(reference)), source, reference)
    nib.save(nib.Nifti1Image(field, reference.affine), tmp_path / "field.nii.gz")
    found = fsl.fnirt_to_world(tmp_path / "field.nii.gz", source, reference)
    write_itk_field(tmp_path / "itk.nii.gz", found, reference.affine)
    errors = map_points(PLACES, [(tmp_path / "itk.nii.gz", False)]) - there(PLACES)
    assert np.linalg.norm(errors, axis=1).max() < 0.05


def test_our_fields_are_read_as_fnirt_s(storage, tmp_path):
    reference = image(storage[0])
    points = world_points(reference)
    path = fsl.world_to_fnirt(wave(points, 3.0), reference, tmp_path / "field.nii.gz")
    written = nib.load(path)
    expected = fnirt_field(points + wave(points, 3.0), reference, reference)
    np.testing.assert_allclose(np.asanyarray(written.dataobj), expected, atol=1e-3)
    np.testing.assert_allclose(written.affine, reference.affine, atol=1e-4)
    assert int(written.header["intent_code"]) == 2006, "FSL's FNIRT displacement field"
    np.testing.assert_allclose(fsl.fnirt_to_world(path, reference, reference), wave(points, 3.0),
                               atol=1e-3)  # fmt: skip


def test_itk_reads_the_field_as_it_was_meant(storage, tmp_path):
    import ants
    import pandas as pd

    reference = image(storage[0])
    path = str(tmp_path / "field.nii.gz")
    write_itk_field(path, wave(world_points(reference), 3.0), reference.affine)
    table = pd.DataFrame(PLACES * [-1, -1, 1], columns=["x", "y", "z"])
    by_itk = ants.apply_transforms_to_points(3, table, [path]).to_numpy()[:, :3] * [-1, -1, 1]
    np.testing.assert_allclose(by_itk, PLACES + wave(PLACES, 3.0), atol=0.05)


def test_eddy_parameters_in_storage_without_mirror():
    """LAS: FSL's x is -world x, y and z are world's; a turn of a is one of -a about FSL's axis."""
    las = image("LAS")
    shift, turn = fsl.eddy_to_world(np.array([[1.0, 2, 3, 0, 0, 0], [0, 0, 0, 0, 0, 0.1]]), las)
    np.testing.assert_allclose(shift[:3, 3], (-1, 2, 3), atol=1e-4)
    np.testing.assert_allclose(shift[:3, :3], np.eye(3), atol=1e-6)
    # mirrored x turns the handedness back: +0.1 about world z
    np.testing.assert_allclose(turn[:3, :3], rotation(yaw=np.degrees(0.1)), atol=1e-5)
    np.testing.assert_allclose(moved(turn, np.array([3.0, -5, 8])), (3, -5, 8), atol=1e-3)


def test_eddy_parameters_do_not_depend_on_storage():
    """The same voxels named RAS or LAS differ by a mirror that FSL's coordinates undo."""
    row = np.array([[1.0, -2, 0.5, 0.02, -0.03, 0.05, 9, 9, 9]])
    las = fsl.eddy_to_world(row, image("LAS"))
    np.testing.assert_allclose(fsl.eddy_to_world(row, image("RAS")), las, atol=1e-4)


@pytest.mark.parametrize(
    "name, expected",
    [("RAS", (-1, 0, 0)), ("LAS", (1, 0, 0)), ("PSR", (1, 0, 0)), ("oblique", (-1, 0, 0))],
)
def test_phase_encoding_counts_from_fsl_s_end(name, expected):
    """x is mirrored where det(affine) > 0, y never is."""
    affine = image(name).affine
    assert (np.linalg.det(affine) > 0) == (expected[0] < 0)
    np.testing.assert_array_equal(fsl.phase_vector("i", affine), expected)
    np.testing.assert_array_equal(fsl.phase_vector("j-", affine), (0, -1, 0))


def test_tensors_and_vectors_leave_fsl_s_axes(storage):
    name, affine = storage
    axes = STORAGE[name] @ np.diag([-1 if np.linalg.det(STORAGE[name]) > 0 else 1, 1, 1])
    main = np.array([0.8, 0.0, 0.6])
    world = 0.4e-3 * np.eye(3) + 1e-3 * np.outer(main, main)
    in_fsl = as_components(axes.T @ world @ axes)
    np.testing.assert_allclose(as_matrices(fsl.tensors_to_world(in_fsl, affine)), world, atol=1e-12)
    np.testing.assert_allclose(fsl.vectors_to_world(main @ axes, affine), main, atol=1e-12)


def test_upright_moves_no_voxel(storage):
    first = image(storage[0])
    first = nib.Nifti1Image(world_points(first)[..., 0].astype(np.float32), first.affine)
    turned = fsl.upright(first)
    np.testing.assert_allclose(np.asanyarray(turned.dataobj), world_points(turned)[..., 0],
                               atol=1e-3)  # fmt: skip
    assert nib.aff2axcodes(turned.affine) == ("R", "A", "S")


def configured(**changes):
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    for key, value in changes.items():
        place = config
        *path, last = key.split("__")
        for part in path:
            place = place[part]
        place[last] = value
    return config


def test_the_defaults_need_no_fsl(monkeypatch):
    monkeypatch.delenv("FSLDIR", raising=False)
    assert fsl.required_version(configured()) is None


def test_every_engine_of_fsl_is_in_the_schema():
    schema = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    for key, choices in fsl.COMMANDS.items():
        place = schema
        for part in key.split("."):
            place = place["properties"][part]
        assert set(choices) < set(place["enum"]), key


def test_missing_fsldir_is_said_with_the_key(monkeypatch):
    monkeypatch.delenv("FSLDIR", raising=False)
    with pytest.raises(BadInput, match="dwi.tensor: dtifit needs FSL, and FSLDIR is not set"):
        fsl.required_version(configured(dwi__tensor="dtifit"))


@pytest.mark.parametrize("version", ["6.0.5.2:1a2b", "5.0.11"])
def test_an_old_fsl_is_refused(tmp_path, monkeypatch, version):
    monkeypatch.setenv("FSLDIR", str(make(tmp_path / "fsl", {}, version)))
    with pytest.raises(BadInput, match="needs FSL 6.0.6, and FSLDIR has"):
        fsl.required_version(configured(dwi__motion="eddy"))


def test_the_version_is_read_and_compared_as_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("FSLDIR", str(make(tmp_path / "fsl", {}, "6.0.10")))
    assert fsl.required_version(configured(anat__registration__engine="fsl")) == "6.0.10"


def test_a_folder_that_is_no_fsl(tmp_path, monkeypatch):
    monkeypatch.setenv("FSLDIR", str(tmp_path))
    with pytest.raises(BadInput, match="no version"):
        fsl.required_version(configured(anat__brain="fsl_bet"))


def test_commands_that_are_not_installed_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FSLDIR", str(make(tmp_path / "fsl", {}, names=["flirt"])))
    with pytest.raises(BadInput, match="lacks: fnirt, invwarp"):
        fsl.required_version(configured(anat__registration__engine="fsl", dwi__register="flirt"))


def test_a_failing_command_raises_with_its_line_and_stderr(tmp_path, monkeypatch):
    from fsl.wrappers import flirt

    folder = make(tmp_path / "fsl", {}, names=["flirt"])
    (folder / "bin" / "flirt").write_text("#!/bin/sh\necho no memory >&2\nexit 3\n")
    monkeypatch.setenv("FSLDIR", str(folder))
    with pytest.raises(RuntimeError, match=r"flirt -in a -ref b -dof 6 ended with 3: no memory"):
        fsl.call(flirt, "a", "b", dof=6)


def test_bytes_that_are_no_text_do_no_harm(tmp_path, monkeypatch, capfd):
    """FNIRT prints such."""
    from fsl.wrappers import flirt

    folder = make(tmp_path / "fsl", {}, names=["flirt"])
    (folder / "bin" / "flirt").write_text("#!/bin/sh\nprintf 'a\\377b'\nprintf '\\376' >&2\n")
    monkeypatch.setenv("FSLDIR", str(folder))
    fsl.call(flirt, "a", "b", dof=6)
    assert "a\ufffdb" in capfd.readouterr().out


def test_other_engines_do_not_import_fslpy():
    code = (
        "import sys, glymph.anat.brain, glymph.anat.fnirt, glymph.dwi.correct, glymph.dwi.dtifit;"
        "assert not [m for m in sys.modules if m == 'fsl' or m.startswith('fsl.')]"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
