"""Readers of stage inputs let nothing out but what they declare, whatever a file holds.

GLYMPH_FUZZ draws more examples: see `tests.fuzzing`.
"""

import copy
import gzip
import json
import os
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from glymph.common.errors import BadInput
from glymph.inputs.check import check_anatomical, check_diffusion
from glymph.inputs.config import ConfigError, check_config, settle_types
from glymph.inputs.index import (
    TABLE_COLUMNS,
    DatasetError,
    read_bids,
    read_index,
    read_path_table,
    scan_bids,
    write_index,
)
from glymph.inputs.participants import ParticipantsError, read_participants
from tests.fuzzing import (
    JSON,
    SCALARS,
    SHAPE,
    WORDS,
    check_message,
    damaged,
    fuzz,
    image_bytes,
    images,
    refused,
    survives,
    tables,
    with_fields,
)

DEFAULTS = yaml.safe_load((Path(__file__).resolve().parents[2] / "config/config.yaml").read_text())
COLUMNS = DEFAULTS["participants"]["columns"]
BVALS = "0 " + " ".join(["1000"] * 7)


def bvecs() -> str:
    v = np.random.default_rng(1).normal(size=(3, 8))
    return "\n".join(" ".join(f"{x:.6f}" for x in row) for row in v / np.linalg.norm(v, axis=0))


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def series(folder, image=None, **changed):
    """The files of a sound DWI, of which some are ``changed``."""
    content, suffix = image or (image_bytes((*SHAPE, 8)), ".nii")
    sound = {"bval": BVALS, "bvec": bvecs(), "json": '{"PhaseEncodingDirection": "j"}'}
    files = {k: put(folder, f"dwi.{k}", v) for k, v in (sound | changed).items()}
    return {k: str(p) for k, p in files.items()} | {
        "dwi": str(put(folder, f"dwi{suffix}", content))
    }


def check_series(folder, image=None, **changed):
    files = series(folder, image, **changed)
    return survives(lambda: check_diffusion(files, 1500), BadInput, *files.values())


@fuzz(40)
@given(st.binary(max_size=700), st.sampled_from([".nii", ".nii.gz", ".img", ".mgz"]))
@example(b"", ".nii")
@example(b"\x1f\x8b", ".nii.gz")
def test_arbitrary_bytes_are_no_image(tmp_path, content, suffix):
    path = put(tmp_path, f"a{suffix}", content)
    refused(lambda: check_anatomical(str(path)), BadInput, path, match="To do")


@fuzz(100)
@given(images())
def test_anatomical(tmp_path, image):
    path = put(tmp_path, f"a{image[1]}", image[0])
    survives(lambda: check_anatomical(str(path)), BadInput, path)


@fuzz(100)
@given(images((*SHAPE, 8)))
def test_diffusion(tmp_path, image):
    check_series(tmp_path, image)


NUMBER_LISTS = st.lists(
    st.lists(st.sampled_from(["0", "1000", "1", "-1", "nan", "1e400", "x", "1e308", "٣", "1,0"]),
             max_size=9),
    max_size=5,
)  # fmt: skip


@fuzz(60)
@given(
    NUMBER_LISTS.map(lambda rows: "\n".join(map(" ".join, rows)).encode())
    | damaged(BVALS.encode()) | damaged(bvecs().encode()) | st.binary(max_size=60),
    st.sampled_from(["bval", "bvec"]),
)  # fmt: skip
@example(b"\xef\xbb\xbf" + BVALS.encode(), "bval")
@example(bvecs().encode("utf-16"), "bvec")
@example(b"9" * 300_000, "bval")
def test_gradients(tmp_path, content, kind):
    check_series(tmp_path, **{kind: content})


@fuzz(60)
@given(
    JSON.map(lambda v: json.dumps({"PhaseEncodingDirection": v}).encode())
    | JSON.map(lambda v: json.dumps(v).encode()) | st.binary(max_size=40)
)  # fmt: skip
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"PhaseEncodingDirection": ' + b"9" * 5000 + b"}")
def test_sidecar(tmp_path, content):
    check_series(tmp_path, json=content)


@pytest.mark.parametrize("stated", ["5", "[]", '"x"', '"\\ud800"', "{}", "null", '""'])
def test_a_phase_encoding_that_is_none_is_a_note(tmp_path, stated):
    facts = check_series(tmp_path, json=f'{{"PhaseEncodingDirection": {stated}}}')
    assert facts["phase_encoding"] is None
    assert "dwi.json" in facts["notes"][0]


def test_a_sidecar_with_a_mark_of_windows_is_read(tmp_path):
    facts = check_series(tmp_path, json=b'\xef\xbb\xbf{"PhaseEncodingDirection": "i"}')
    assert facts["phase_encoding"] == "i"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ([("dim", 1, 32767), ("dim", 2, 32767), ("dim", 3, 32767)], "promises"),
        ([("dim", 1, -6), ("dim", 2, -7)], "promises"),
        ([("dim", 0, 0)], "promises"),
        ([("dim", 0, 32767)], "promises|7D"),
        ([("dim", 0, -1)], "promises|not readable"),
        ([("dim", 1, -1), ("dim", 2, 1), ("dim", 3, 1), ("glmin", 0, 9)], "promises"),
        ([("dim", 1, 27307), ("dim", 2, 1), ("dim", 3, 6)], "promises|truncated"),
        ([("vox_offset", 0, 2e9)], "start at byte"),
        ([("vox_offset", 0, np.nan)], "start at byte"),
        ([("vox_offset", 0, -8)], "start at byte"),
        ([("datatype", 0, 12345)], "unknown type"),
        ([("datatype", 0, 32)], "no intensities"),
        ([("magic", 0, b"ni1")], "another kind"),
        ([("scl_slope", 0, 1.0), ("scl_inter", 0, np.inf)], "not readable"),
        ([("scl_slope", 0, 1e38), ("scl_inter", 0, 1e38)], "NaN or infinite"),
        ([("quatern_b", 0, 5.0), ("quatern_c", 0, 5.0)], "no usable qform"),
        ([("qoffset_x", 0, np.nan)], "sform and qform"),
        ([("pixdim", 1, np.nan)], "voxel size"),
        ([("srow_x", 0, 1e6)], "spans"),
        ([("srow_x", 0, np.inf)], "affine"),
    ],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_fields_of_the_header(tmp_path, changes, match, suffix):
    content = with_fields(image_bytes(), changes)
    content = gzip.compress(content) if suffix == ".nii.gz" else content
    path = put(tmp_path, f"a{suffix}", content)
    refused(lambda: check_anatomical(str(path)), BadInput, path, match=match)


def test_dimensions_whose_product_overflows(tmp_path):
    content = image_bytes(kind=nib.Nifti2Image)
    path = put(tmp_path, "a.nii", with_fields(content, [("dim", k, 2**32) for k in (1, 2, 3)]))
    refused(lambda: check_anatomical(str(path)), BadInput, path, match="promises")


def test_bomb_that_keeps_its_promise(tmp_path):
    """A gigabyte of zeros in a megabyte."""
    head = with_fields(image_bytes(dtype="u1"), [("dim", k, 1000) for k in (1, 2, 3)])[:352]
    path = tmp_path / "a.nii.gz"
    with gzip.open(path, "wb", 1) as stream:
        stream.write(head)
        for _ in range(1000):
            stream.write(bytes(1_000_000))
    refused(lambda: check_anatomical(str(path)), BadInput, path, match="promises")


def test_bomb_behind_a_small_image(tmp_path):
    path = tmp_path / "a.nii.gz"
    member = gzip.compress(bytes(1 << 26), 1)
    path.write_bytes(gzip.compress(image_bytes()) + member * 64)
    refused(lambda: check_anatomical(str(path)), BadInput, path, match="far more")


@pytest.mark.parametrize("size", [0, -8, 2**31 - 1])
def test_bomb_in_an_extension(tmp_path, size):
    """nibabel reads an extension of size 0 to the end of the file."""
    extension = b"\1\0\0\0" + np.array([size, 6], "<i4").tobytes() + bytes(24)
    content = image_bytes()
    content = with_fields(content, [("vox_offset", 0, 384)])[:348] + extension + content[352:]
    path = put(tmp_path, "a.nii.gz", gzip.compress(content) + gzip.compress(bytes(1 << 26)) * 64)
    refused(lambda: check_anatomical(str(path)), BadInput, path, match="far more")


@pytest.mark.parametrize("size", [0, -8, 8, 17, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_extension_that_does_not_fit(tmp_path, size, order):
    """nibabel takes memory for what the size says before it reads."""
    content = with_fields(image_bytes(dtype=f"{order}i2"), [("vox_offset", 0, 368)])
    extension = b"\1\0\0\0" + np.array([size, 6], f"{order}i4").tobytes() + bytes(8)
    path = put(tmp_path, "a.nii", content[:348] + extension + content[352:])
    refused(lambda: check_anatomical(str(path)), BadInput, path, match=f"extension of {size} bytes")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_an_extension_of_a_file_whose_voxels_start_nowhere(tmp_path, suffix):
    """nibabel then reads extensions to the end of the file."""
    content = with_fields(image_bytes(), [("vox_offset", 0, 0)])
    extension = b"\1\0\0\0" + np.array([2**31 - 1, 6], "<i4").tobytes()
    content = content[:348] + extension + content[352:]
    path = put(tmp_path, f"a{suffix}", gzip.compress(content) if "gz" in suffix else content)
    refused(lambda: check_anatomical(str(path)), BadInput, path, match="in the header")


def test_an_extension_that_fits(tmp_path):
    content = with_fields(image_bytes(), [("vox_offset", 0, 384)])
    extension = b"\1\0\0\0" + np.array([32, 6], "<i4").tobytes() + b"a comment".ljust(24)
    path = put(tmp_path, "a.nii", content[:348] + extension + content[352:])
    assert check_anatomical(str(path))["shape"] == list(SHAPE)


PEOPLE = ["participant_id", *(c for c in COLUMNS.values() if c), "site"]


@fuzz(100)
@given(tables(PEOPLE) | st.binary(max_size=60))
@example("participant_id\tgroup\n1\té\n".encode("latin-1"))
@example("participant_id\tgroup\n1\tA\n".encode("utf-16"))
@example(b"participant_id\tgroup\n1\t" + b"a" * 200_000)
def test_participants(tmp_path, content):
    path = put(tmp_path, "participants.tsv", content)
    found = survives(
        lambda: read_participants(path, COLUMNS, ["AD", "NC"]), ParticipantsError, path
    )
    if not isinstance(found, str):
        for stops in found.problems.values():
            for stop in stops:
                check_message(str(stop), path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('participant_id\tgroup\n1\t"A\n2\tB\n3\tC\n', "end of data"),
        ("participant_id\tgroup\tgroup\n1\tA\tB\n", "two columns are called group"),
        ("participant_id\tgroup\n1\tA\tB\n", "line 2: 3 cells"),
        ("participant_id\tgroup\n1\tA\0\n", "NUL"),
        ("participant_id\tgroup\n\tA\n", "line 2: participant_id is empty"),
    ],
)
def test_no_participant_is_lost_in_silence(tmp_path, content, match):
    path = put(tmp_path, "participants.tsv", content)
    refused(lambda: read_participants(path, COLUMNS, None), ParticipantsError, path, match=match)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_as_spreadsheets_write_it(tmp_path, encoding):
    path = put(tmp_path, "p.tsv", "participant_id\tsite\r\n1\tZürich\r\n".encode(encoding))
    assert read_participants(path, {"site": "site"}, None).rows["sub-1"]["site"] == "Zürich"


@pytest.mark.parametrize(
    ("encoding", "match"),
    [
        ("latin-1", "line 3 holds letters that are not in UTF-8.*save it in UTF-8: in Excel as"),
        ("cp1252", "line 3 holds"),
        ("utf-16-le", "UTF-16 without its mark"),
        ("utf-16-be", "UTF-16 without its mark"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_other_character_sets_are_not_guessed(tmp_path, encoding, match, line_end):
    text = line_end.join(["participant_id\tsite", "1\tBern", "2\tZürich"])
    path = put(tmp_path, "p.tsv", text.encode(encoding))
    refused(lambda: read_participants(path, COLUMNS, None), ParticipantsError, path, match=match)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_line_ends_mark_and_trailing_tabs_are_no_matter(tmp_path, line_end):
    text = f"\ufeffparticipant_id\tgroup\t{line_end}\t\t{line_end}1\tA\t{line_end}2{line_end}"
    found = read_participants(put(tmp_path, "p.tsv", text), COLUMNS, None).rows
    assert {n: v["group"] for n, v in found.items()} == {"sub-1": "A", "sub-2": None}


@pytest.mark.parametrize("volume", ["0", "-5", "inf"])
def test_a_brain_without_volume_is_missing(tmp_path, volume):
    path = put(tmp_path, "p.tsv", f"participant_id\tbrain\n1\t{volume}\n")
    found = read_participants(path, {"brain_volume_mm3": "brain"}, None)
    assert found.rows["sub-1"]["brain_volume_mm3"] is None
    assert "taken as missing" in str(found.problems["sub-1"][0])


@fuzz(100)
@given(tables(["participant_id", "session_id", "rater_a", "reverse", *TABLE_COLUMNS])
       | st.binary(max_size=60))  # fmt: skip
@example(b"participant_id\tT1w\nsub-1\ta\nsub-2\tb\tc\n")
@example(b"participant_id\tT1w\nsub-1\ta\0b\n")
@example(b"participant_id\tT1w\nsub-1\t\xe9\n")
@example(b"participant_id\tT1w\nsub-1\t" + b"a/" * 80_000)
def test_path_table(tmp_path, content):
    path = put(tmp_path, "paths.tsv", content)
    survives(lambda: read_path_table(path), DatasetError, path)


def test_path_table_with_a_session_that_is_none(tmp_path):
    path = put(tmp_path, "paths.tsv", "participant_id\tsession_id\nsub-1\tsub-01\n")
    refused(lambda: read_path_table(path), DatasetError, path, match="line 2: 'sub-01' is no BIDS")


def test_path_table_without_a_subject(tmp_path):
    path = put(tmp_path, "paths.tsv", "participant_id\tT1w\nsub-\ta.nii.gz\n")
    refused(lambda: read_path_table(path), DatasetError, path, match="participant_id is empty")


def test_links_in_a_circle(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    path = put(tmp_path, "paths.tsv", "participant_id\tT1w\nsub-1\tloop/a.nii.gz\n")
    survives(lambda: read_path_table(path), DatasetError, path)
    put(tmp_path, "paths.tsv", "participant_id\tT1w\nsub-1\tloop\n")
    (found,) = read_path_table(path)
    assert found.files == {} and "link to nothing" in found.problems["T1w"].reason


@pytest.mark.parametrize("entity", [b"acq-\xff", b"acq-\xc3\xbc", b"acq", b"acq-a_acq-b"])
def test_file_names_that_are_no_bids(tmp_path, entity):
    """Alone they make no dataset; beside another image they are listed, in text that can be
    written."""
    folder = tmp_path / "sub-01" / "anat"
    folder.mkdir(parents=True)
    put(tmp_path, "dataset_description.json", "{}")
    Path(os.fsdecode(os.fsencode(folder) + b"/sub-01_" + entity + b"_T1w.nii.gz")).touch()
    refused(lambda: scan_bids(tmp_path, {}, "error", {}), DatasetError, tmp_path, match="BIDS name")
    (folder / "sub-01_T1w.nii.gz").touch()
    found = read_bids(tmp_path, {}, "error", {})
    assert found.scans[0].files["T1w"] == str(folder / "sub-01_T1w.nii.gz")
    assert "no BIDS name" in found.unused[0].stop.reason
    write_index(found.scans, tmp_path / "index.json", found.unused)
    assert read_index(tmp_path / "index.json") == found


def test_a_run_of_twenty_digits_is_a_number_like_others(tmp_path):
    put(tmp_path, "dataset_description.json", "{}")
    image = tmp_path / "sub-01/anat/sub-01_run-99999999999999999999_T1w.nii.gz"
    image.parent.mkdir(parents=True)
    image.touch()
    (found,) = scan_bids(tmp_path, {"T1w": {"run": 99999999999999999999}}, "error", {})
    assert found.files["T1w"] == str(image)


YAML = st.recursive(
    SCALARS | st.dates()
    | st.sampled_from(["[", "{", "&a [*a]", "2001-99-99", "0x_", "!!python/x", "1e3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.integers() | st.none() | st.booleans() | WORDS | st.sampled_from(list(DEFAULTS)), inner,
        max_size=3),
    max_leaves=5,
)  # fmt: skip


def places(value, path=()):
    """The path of every value of a configuration."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))


def replaced(config, path, value):
    config = copy.deepcopy(config)
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return config


def checked(config):
    """Lines of the message on ``config``; none where it is right."""
    settle_types(config)
    try:
        check_config(config)
    except ConfigError as error:
        lines = str(error).splitlines()[1:]
        assert lines
        assert all(line.startswith("  - ") and ": " in line and len(line) < 320 for line in lines)
        return lines
    return []


@fuzz(80)
@given(st.sampled_from([p for p in places(DEFAULTS) if p]), YAML)
@example(("dwi",), {1: 2, None: 3})
@example(("dwi",), {"9" * 5000: 1})
@example(("bids_dir",), {"9" * 5000: float("nan")})
@example(("dwi", "b_max"), "[")
@example(("dwi", "b_max"), "2001-99-99")
@example(("dwi", "b_max"), "[" * 5000)
@example(("inputs", "filters"), {"T1w": {1: [], "a": []}})
def test_configuration(path, value):
    checked(replaced(DEFAULTS, path, value))


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (("dwi", "b_max"), float("nan"), "dwi.b_max: nan is no finite number"),
        (("dwi", "b_max"), float("inf"), "dwi.b_max: inf is no finite number"),
        (("bids_dir",), "a\0b", "bids_dir: 'a.x00b' holds characters"),
        (("stats", "groups"), ["\ud800"], "stats.groups.0: '.ud800' holds characters"),
        (("epvs", "epvs_mask"), "{foo}.nii", "epvs.epvs_mask: '{foo}.nii' does not match"),
        (("epvs", "epvs_mask"), "{folder:9999999999}", "epvs.epvs_mask"),
        (("epvs", "raters"), "{folder}/{rater}.nii", "epvs.raters"),
        (("dwi", "b_max"), "[", "dwi.b_max: '\\[' is not of type number"),
        (("dwi",), {1: 2}, "dwi.1: unknown key"),
        (("bids_dir",), ["x" * 9999], "bids_dir: .* is not of type string"),
    ],
)
def test_configuration_message(path, value, match):
    lines = checked(replaced(DEFAULTS, path, value))
    assert any(re.search(match, line) for line in lines), lines


def test_configuration_that_holds_itself():
    config = copy.deepcopy(DEFAULTS)
    config["inputs"]["filters"] = {"T1w": config["inputs"]}
    with pytest.raises(ConfigError):
        check_config(config)


def test_integers_written_as_5_0_are_integers():
    config = replaced(DEFAULTS, ("stats", "folds"), 5.0)
    assert checked(config) == []
    assert type(config["stats"]["folds"]) is int
