"""The BIDS validator: its findings as a table, and one message where it cannot run."""

import json

import pytest

from glymph.common.errors import BadInput
from glymph.inputs import validate as module
from glymph.inputs.validate import COLUMNS, validate


@pytest.fixture
def bids(tmp_path):
    (tmp_path / "dataset_description.json").write_text(
        json.dumps({"Name": "x", "BIDSVersion": "1.10.0"})
    )
    (tmp_path / "sub-01" / "anat").mkdir(parents=True)
    (tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz").touch()
    return tmp_path


def test_errors_come_first_with_their_place(bids):
    (bids / "sub-01" / "notes.doc").touch()
    rows = validate(bids)
    assert all(set(row) == set(COLUMNS) for row in rows)
    assert [row["severity"] for row in rows] == sorted(row["severity"] for row in rows)
    errors = {(row["code"].split()[0], row["location"]) for row in rows
              if row["severity"] == "error"}  # fmt: skip
    assert ("EMPTY_FILE", "/sub-01/anat/sub-01_T1w.nii.gz") in errors
    assert ("NOT_INCLUDED", "/sub-01/notes.doc") in errors


def test_a_missing_validator_says_how_to_get_it(bids, monkeypatch):
    monkeypatch.setattr(module, "PROGRAM", "no-such-validator")
    with pytest.raises(BadInput, match="pip install no-such-validator"):
        validate(bids)


def test_no_answer_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="gave no answer"):
        validate(tmp_path / "nowhere")
