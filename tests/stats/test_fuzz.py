"""A table of metrics from anywhere: `BadInput` or a table whose cells stand where they were.

GLYMPH_FUZZ draws more examples: see `tests.fuzzing`.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from glymph.common.errors import BadInput
from glymph.stats.analysed import read
from tests.fuzzing import fuzz, refused, survives, tables

COLUMNS = ["participant_id", "session_id", "group", "age", "alps_native_mean", "flags"]
NAMES = {"group": "group", "age": "Age", "site": None}


@fuzz(100)
@given(
    st.sampled_from([".tsv", ".csv", ".tsv.gz", ".zip", ".xz", ".bz2"]),
    st.data(),
)
@example(".tsv", None)
def test_read(tmp_path, suffix, data):
    content = b"participant_id\tgroup\n\xe9\n"
    if data is not None:
        separator = "," if suffix == ".csv" else "\t"
        content = data.draw(tables(COLUMNS, separator) | st.binary(max_size=60))
    path = tmp_path / f"metrics{suffix}"
    path.write_bytes(content)
    found = survives(lambda: read(path, NAMES), BadInput, path)
    if not isinstance(found, str):
        assert found["participant_id"].notna().all()
        assert not found.columns.duplicated().any()
        assert {type(v) for v in found.to_numpy().ravel()} <= {str, type(None), float}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "cannot be read"),
        (b"participant_id\tage\n1\t2\t3\n2\t3\t4\n", "Expected 2 fields"),
        (b"participant_id\tage\tage\n1\t2\t3\n", "two columns are called age"),
        (b"participant_id\tage\n\t2\n", "1 rows have no participant_id"),
        (b"participant_id\tage\n1\t\0\n", "NUL"),
        ("participant_id\tage\n1\t2\n".encode("utf-16-le"), "NUL"),
        (
            "participant_id\tage\n1\té\n".encode("latin-1"),
            "line 2 holds letters that are not in UTF",
        ),
        (b'participant_id\tage\n1\t"2\n', "EOF"),
    ],
)
def test_no_cell_is_shifted_in_silence(tmp_path, content, match):
    path = tmp_path / "metrics.tsv"
    path.write_bytes(content)
    refused(lambda: read(path, {}), BadInput, path, match=match)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_as_spreadsheets_write_it(tmp_path, encoding):
    path = tmp_path / "metrics.tsv"
    path.write_bytes("participant_id\tsite\r\n1\tZürich\r\n".encode(encoding))
    assert read(path, {})["site"].tolist() == ["Zürich"]


@pytest.mark.parametrize("suffix", [".gz", ".zip", ".xz", ".bz2"])
def test_a_name_is_no_reason_to_unpack(tmp_path, suffix):
    path = tmp_path / f"metrics.tsv{suffix}"
    path.write_bytes(b"\x1f\x8b")
    refused(lambda: read(path, {}), BadInput, path, match="To do")


def test_ragged_ends_marks_and_columns_without_name(tmp_path):
    path = tmp_path / "metrics.tsv"
    path.write_bytes("\ufeffparticipant_id\t group \t\r\n\r\n1\tA\t\r\n2\r\n".encode())
    found = read(path, {})
    assert list(found.columns) == ["participant_id", "group", "session_id"]
    assert found["participant_id"].tolist() == ["1", "2"]
    assert found["group"].isna().tolist() == [False, True]
