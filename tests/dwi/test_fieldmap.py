"""Which images of the opposite phase encoding correct a series: those that are its own."""

import json

import nibabel as nib
import numpy as np
import pytest

from glymph.dwi.distortion import find_reverse
from glymph.dwi.fieldmap import b0_volume, of_series

SHAPE, AFFINE = (8, 8, 6), np.diag([2.0, 2, 2, 1])


@pytest.fixture
def dataset(tmp_path):
    """Function that writes a DWI and fieldmaps (name: metadata, shape) and asks for the usable."""
    (tmp_path / "dataset_description.json").write_text("{}")

    def image(path, shape, **about):
        target = tmp_path / "sub-01" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(np.ones(shape, np.float32), AFFINE), target)
        said = {"PhaseEncodingDirection": "j"} | about
        target.with_name(target.name.replace(".nii.gz", ".json")).write_text(json.dumps(said))
        return str(target)

    def usable(dwi, **maps):
        files = {"dwi": image("dwi/sub-01_dwi.nii.gz", (*SHAPE, 7),
                              PhaseEncodingDirection="j-", **dwi)}  # fmt: skip
        for name, about in maps.items():
            image(f"fmap/sub-01_acq-{name}_epi.nii.gz", **{"shape": SHAPE} | about)
        paths = sorted(map(str, (tmp_path / "sub-01/fmap").glob("*_epi.nii.gz")))
        found, notes = of_series(paths, files, SHAPE, AFFINE)
        assert len(found) + len(notes) == len(paths)
        return [path.split("acq-")[1].split("_")[0] for path in found], notes

    return usable


OTHER = {"shape": (9, 9, 9)}
OWN = "bids::sub-01/dwi/sub-01_dwi.nii.gz"
FUNC = "bids::sub-01/func/sub-01_task-rest_bold.nii.gz"


@pytest.mark.parametrize(
    ("dwi", "maps", "found"),
    [
        ({}, {"a": {}}, ["a"]),
        ({}, {"a": OTHER, "b": {}}, ["b"]),
        ({}, {"a": {}, "b": {"IntendedFor": OWN}}, ["b", "a"]),
        ({}, {"a": {"IntendedFor": FUNC}, "b": {"IntendedFor": [FUNC, OWN]}}, ["b"]),
        ({}, {"a": {"IntendedFor": FUNC}}, []),
        ({}, {"a": {"IntendedFor": ["dwi/sub-01_dwi.nii.gz"]}}, ["a"]),
        ({}, {"a": {"IntendedFor": "/dwi/sub-01_dwi.nii"}}, ["a"]),
        ({}, {"a": {"IntendedFor": "dwi/sub-01_run-2_dwi.nii.gz"}}, []),
        ({}, {"a": {"IntendedFor": OWN} | OTHER}, []),
        ({"B0FieldSource": "x"}, {"a": {}, "b": {"B0FieldIdentifier": "x"}}, ["b", "a"]),
        ({"B0FieldSource": ["x"]}, {"a": {"B0FieldIdentifier": "y"}}, []),
        ({"B0FieldIdentifier": "x"}, {"a": {"B0FieldIdentifier": ["y", "x"]}}, ["a"]),
        ({"B0FieldSource": "x"}, {"a": {"B0FieldIdentifier": "x", "IntendedFor": FUNC}}, ["a"]),
        ({"TotalReadoutTime": 0.05}, {"a": {"TotalReadoutTime": 0.03}}, []),
        ({"TotalReadoutTime": 0.05}, {"a": {"TotalReadoutTime": 0.0502}}, ["a"]),
        ({"TotalReadoutTime": 0.05}, {"a": {}}, ["a"]),
        ({}, {"a": {"IntendedFor": None, "B0FieldIdentifier": []}}, ["a"]),
        ({}, {"a": {"B0FieldIdentifier": "bold"}}, []),
        ({}, {"a": {"IntendedFor": "./dwi/sub-01_dwi.nii.gz"}}, ["a"]),
        ({}, {"a": {"IntendedFor": "dwi\\sub-01_dwi.nii.gz"}}, ["a"]),
    ],
)  # fmt: skip
def test_an_image_of_another_series_is_never_used(dataset, dwi, maps, found):
    assert dataset(dwi, **maps)[0] == found


def test_why_an_image_is_not_used_is_said(dataset):
    _, notes = dataset({"TotalReadoutTime": 0.05}, a={"IntendedFor": FUNC}, b=dict(OTHER),
                       c={"TotalReadoutTime": 0.03})  # fmt: skip
    assert [note.split(": ")[1] for note in notes] == [
        "it names other series", "it is not on the DWI's grid",
        "its read-out time is 0.03 s, the DWI's 0.05 s",
    ]  # fmt: skip


def test_of_a_series_with_the_opposite_direction_a_volume_with_b0_is_taken(tmp_path):
    path = tmp_path / "sub-01_dir-PA_dwi.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((*SHAPE, 3), np.float32), AFFINE), path)
    assert b0_volume(str(path)) == 0
    (tmp_path / "sub-01_dir-PA_dwi.bval").write_text("1000 5 1000\n")
    assert b0_volume(str(path)) == 1
    (tmp_path / "sub-01_dir-PA_dwi.bval").write_text("1000 1000 1000\n")
    assert b0_volume(str(path)) is None
    _, (note,) = of_series([str(path)], {"dwi": "d.nii.gz"}, SHAPE, AFFINE)
    assert "no volume with b = 0" in note


def test_an_image_that_is_damaged_does_not_lose_the_series(tmp_path):
    path = tmp_path / "sub-01_epi.nii.gz"
    files = {"dwi": str(tmp_path / "sub-01_dwi.nii.gz")}
    path.write_bytes(b"no image")
    assert of_series([str(path)], files, SHAPE, AFFINE)[0] == []
    nib.save(nib.Nifti1Image(np.ones((*SHAPE, 2), np.float32), AFFINE), path)
    (tmp_path / "sub-01_epi.bval").write_text("1000 1000 0\n")
    _, (note,) = of_series([str(path)], files, SHAPE, AFFINE)
    assert "more than its volumes" in note
    (tmp_path / "sub-01_epi.json").write_text("{")
    _, (note,) = of_series([str(path)], files, SHAPE, AFFINE)
    assert "not readable as JSON" in note


@pytest.mark.parametrize(("direction", "opposite"), [("j", "j-"), ("j-", "j"), ("i", "i-")])
def test_the_opposite_is_of_the_same_axis(tmp_path, direction, opposite):
    paths = []
    for name in ("i", "i-", "j", "j-", "k", "k-"):
        paths.append(str(tmp_path / f"sub-01_acq-{'ijk'.index(name[0])}{len(name)}_epi.nii.gz"))
        about = json.dumps({"PhaseEncodingDirection": name})
        (tmp_path / paths[-1].replace(".nii.gz", ".json")).write_text(about)
    found = find_reverse(paths, direction)
    assert found.endswith(f"acq-{'ijk'.index(opposite[0])}{len(opposite)}_epi.nii.gz")
    assert find_reverse(paths, None) is None
