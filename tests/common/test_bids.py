"""Which metadata apply to an image: the inheritance principle at every level."""

import json

import pytest

from glymph.common.bids import Name, applicable, parse, same
from glymph.common.errors import BadInput
from glymph.common.sidecars import metadata, phase_encoding, read_sidecar

DWI = "sub-01/ses-a/dwi/sub-01_ses-a_acq-x_run-01_dwi.nii.gz"


@pytest.fixture
def dataset(tmp_path):
    """Function that writes files of a dataset: path -> content (JSON where it is a mapping)."""

    def write(**files):
        for path, content in ({"dataset_description.json": {}, DWI: ""} | files).items():
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(tmp_path / DWI)

    return write


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("sub-01_T1w.nii.gz", Name({"sub": "01"}, "T1w", ".nii.gz")),
        ("dwi.json", Name({}, "dwi", ".json")),
        ("sub-01_ses-a_dir-AP_run-1_dwi.nii",
         Name({"sub": "01", "ses": "a", "dir": "AP", "run": "1"}, "dwi", ".nii")),
        ("sub-01_T1w.img", None), ("sub-0_1_T1w.nii.gz", None), ("T1 w.nii.gz", None),
        ("sub-01_acq-a_acq-b_T1w.nii.gz", None), ("sub-01__T1w.nii.gz", None),
        ("._sub-01_T1w.nii.gz", None), ("sub-01_acq_T1w.nii.gz", None),
    ],
)  # fmt: skip
def test_names_are_taken_apart(name, parts):
    assert parse(name) == parts


def test_labels_are_equal_as_text_or_as_numbers():
    assert same("01", 1) and same("1", "001") and same("a", "a") and same(None, None)
    assert not same("a", "A") and not same("1a", "01a") and not same(None, "1") and not same("1", 2)


@pytest.mark.parametrize(
    "path",
    ["dwi", "acq-x_dwi", "run-1_dwi", "acq-x_run-01_dwi", "sub-01/sub-01_dwi", "sub-01/dwi",
     "sub-01/sub-01_acq-x_dwi", "sub-01/ses-a/sub-01_ses-a_dwi", "sub-01/ses-a/dwi/sub-01_dwi",
     "sub-01/ses-a/dwi/sub-01_ses-a_run-1_dwi", DWI.removesuffix(".nii.gz")],
)  # fmt: skip
@pytest.mark.parametrize("ending", [".json", ".bval", ".bvec"])
def test_a_file_at_any_level_applies(dataset, tmp_path, path, ending):
    image = dataset(**{path + ending: {}})
    assert applicable(image, ending) == [str(tmp_path / (path + ending))]


@pytest.mark.parametrize(
    "path",
    ["acq-y_dwi", "T1w", "sub-01/sub-02_dwi", "sub-01/ses-a/dwi/sub-01_ses-a_dir-AP_dwi",
     "sub-01/ses-b/sub-01_ses-b_dwi", "derivatives/dwi", "sub-01/ses-a/dwi/deeper/dwi"],
)  # fmt: skip
def test_a_file_of_other_images_does_not(dataset, path):
    assert applicable(dataset(**{f"{path}.bval": ""}), ".bval") == []


def test_nearer_json_files_come_before_farther_ones_and_all_are_merged(dataset):
    image = dataset(**{
        "dwi.json": {"PhaseEncodingDirection": "j-", "EchoTime": 1, "far": 1},
        "sub-01/sub-01_dwi.json": {"EchoTime": 2, "near": 2},
        DWI.replace(".nii.gz", ".json"): {"EchoTime": 3},
    })  # fmt: skip
    assert metadata(image) == {"PhaseEncodingDirection": "j-", "EchoTime": 3, "far": 1, "near": 2}
    assert phase_encoding(image) == "j-"
    assert phase_encoding(image.replace(".nii.gz", ".json")) == "j-"


def test_more_entities_come_before_fewer_in_one_folder(dataset):
    image = dataset(**{"dwi.json": {"EchoTime": 1}, "acq-x_dwi.json": {"EchoTime": 2}})
    assert metadata(image) == {"EchoTime": 2}


def test_two_files_that_apply_equally_are_refused(dataset):
    image = dataset(**{"acq-x_dwi.bval": "", "run-01_dwi.bval": ""})
    with pytest.raises(BadInput, match="acq-x_dwi.bval and run-01_dwi.bval apply to it equally"):
        applicable(image, ".bval")


def test_nothing_above_the_dataset_counts(dataset, tmp_path):
    image = dataset()
    (tmp_path.parent / "dwi.json").write_text('{"EchoTime": 9}')
    assert metadata(image) == {}


def test_outside_a_dataset_only_the_file_beside_the_image_counts(tmp_path):
    (tmp_path / "a").mkdir()
    for path in ("dwi.json", "a/x_dwi.json"):
        (tmp_path / path).write_text(json.dumps({path: 1}))
    assert metadata(tmp_path / "a/x_dwi.nii.gz") == {"a/x_dwi.json": 1}


def test_a_json_of_its_own_comes_last(dataset, tmp_path):
    image = dataset(**{"dwi.json": {"EchoTime": 1}})
    (tmp_path / "mine.json").write_text('{"EchoTime": 5}')
    assert metadata(image, tmp_path / "mine.json") == {"EchoTime": 5}


@pytest.mark.parametrize(
    "raw",
    [b'{"Name": "S\xfcd", "PhaseEncodingDirection": "j"}',
     '\ufeff{"Name": "Süd", "PhaseEncodingDirection": "j"}'.encode(),
     '{"Name": "Süd", "PhaseEncodingDirection": "j"}'.encode("utf-16"),
     b'{"EchoTime": NaN, "PhaseEncodingDirection": "j", "x": [Infinity, -Infinity]}'],
)  # fmt: skip
def test_text_that_tools_write_is_read(tmp_path, raw):
    (tmp_path / "a.json").write_bytes(raw)
    assert phase_encoding(tmp_path / "a.json") == "j"


@pytest.mark.parametrize(
    "raw", [b"[1, 2]", b'{"a": 1} // no', b'{"a": 1,}', b"", b"\x00\x01", b'"j"', b"null"]
)
def test_text_that_is_no_json_object_is_named(tmp_path, raw):
    (tmp_path / "a.json").write_bytes(raw)
    with pytest.raises(BadInput, match=r"a\.json.*(not readable as JSON|not a JSON object)"):
        read_sidecar(tmp_path / "a.json")


@pytest.mark.parametrize("stated", [None, "x", "J", ["j"], {"j": 1}, 3, True])
def test_a_direction_that_is_none_is_unknown(tmp_path, stated):
    (tmp_path / "a.json").write_text(json.dumps({"PhaseEncodingDirection": stated}))
    assert phase_encoding(tmp_path / "a.json") is None
