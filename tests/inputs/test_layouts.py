"""Datasets as BIDS allows them, and as people leave them: no traceback, and no image is lost.

Every image of a kind in use is used, or named with a reason.
"""

import json
import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glymph.inputs.choose import entities
from glymph.inputs.index import DatasetError, read_bids, read_index, write_index
from tests.fuzzing import fuzz

ENTITIES = {
    "acq": ["mprage", "1mm", "b1000"], "run": ["1", "01", "2", "10"], "dir": ["AP", "PA"],
    "rec": ["norm"], "ce": ["gd"], "part": ["mag", "phase"], "echo": ["1", "2"],
}  # fmt: skip
KINDS = ("T1w", "T2w", "FLAIR", "dwi", "epi")
PLACES = {"dwi": "dwi", "epi": "fmap"}

labels = st.sampled_from(["01", "2", "AD01", "x"])
sessions = st.sampled_from([None, None, "1", "pre", "m12", "pre_op", "ä"])
kinds = st.sampled_from(KINDS)
pairs = st.dictionaries(st.sampled_from(list(ENTITIES)), st.integers(0, 3), max_size=2)


@st.composite
def images(draw):
    """Path and kind of an image, mostly as BIDS has it."""
    subject, session, kind = draw(labels), draw(sessions), draw(kinds)
    chosen = {k: ENTITIES[k][n % len(ENTITIES[k])] for k, n in draw(pairs).items()}
    named = [f"sub-{subject}"] + ([f"ses-{session}"] if session else [])
    middle = [f"{k}-{chosen[k]}" for k in ENTITIES if k in chosen]
    ending = draw(st.sampled_from([".nii.gz"] * 6 + [".nii", ".mgz", ".NII.GZ"]))
    suffix = draw(st.sampled_from([kind] * 8 + [kind.lower(), kind.upper()]))
    folder = draw(st.sampled_from([PLACES.get(kind, "anat")] * 8 + ["", "visit", "anat", "dwi"]))
    own = draw(st.sampled_from([named] * 8 + [["sub-9"], named[:1]]))
    name = "_".join([*own, *middle, suffix]) + ending
    return "/".join(filter(None, [*named, folder, name])), kind


others = st.sampled_from([
    "README", ".bidsignore", "participants.tsv", "sub-01/sub-01_sessions.tsv", "dwi.json",
    "sub-01/sub-01_dwi.bval", "dir-PA_epi.json", "acq-b1000_dwi.bvec", "run-1_dwi.bval",
    "sub-2/ses-1/sub-2_ses-1_scans.tsv", "sub-AD01/func/sub-AD01_task-rest_bold.nii.gz",
    "derivatives/x/sub-01/anat/sub-01_T1w.nii.gz", "sourcedata/T1w.nii.gz",
    "code/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_T1w.json", "phenotype/mmse.tsv",
    "sub-x/beh/sub-x_events.tsv",
])  # fmt: skip
rules = st.tuples(
    st.sampled_from(["error", "first", "last"]),
    st.dictionaries(
        st.sampled_from(["T1w", "T2w", "FLAIR", "dwi"]),
        st.dictionaries(st.sampled_from(["run", "acq", "direction", "suffix"]),
                        st.sampled_from([None, 1, "01", "AP", "T1w"]), min_size=1, max_size=2),
        max_size=2),
)  # fmt: skip


def make(root, paths):
    root.mkdir()
    (root / "dataset_description.json").write_text(json.dumps({"Name": "x"}))
    made = []
    for path in paths:
        target = root / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
            made.append(path)
        except OSError:  # a file stands where a folder should
            continue
    return made


@fuzz(150)
@given(st.lists(images(), min_size=1, max_size=10), st.lists(others, max_size=6), rules)
def test_every_image_is_used_or_named(tmp_path, wanted, beside, rule):
    several, filters = rule
    root = tmp_path / str(len(os.listdir(tmp_path)))
    made = make(root, dict.fromkeys([path for path, _ in wanted] + beside))
    try:
        found = read_bids(root, filters, several, {})
    except DatasetError as error:
        assert "\n" not in str(error)
        return
    assert len({scan.unit for scan in found.scans}) == len(found.scans)
    assert all({*scan.files, *scan.problems} - {"bval", "bvec", "json"} for scan in found.scans)
    said = " ".join(str(one.stop) for one in found.unused)
    said += " ".join(str(stop) for scan in found.scans for stop in scan.problems.values())
    used = {path for scan in found.scans for path in (*scan.files.values(), *scan.reverse)}
    with_dwi = {scan.unit.folder for scan in found.scans if "dwi" in scan.files}
    for path, kind in wanted:
        folders = [part for part in path.split("/")[:-1] if part.startswith(("sub-", "ses-"))]
        if path not in made or (kind == "epi" and "/".join(folders) not in with_dwi):
            continue  # a fieldmap without a DWI serves nobody
        odd = [name for name in folders if not re.fullmatch("(sub|ses)-[0-9a-zA-Z]+", name)]
        named = Path(path).name in said or any(f"'{name}'" in said for name in odd)
        assert str(root / path) in used or named, path
    write_index(found.scans, root / "index.json", found.unused)
    assert read_index(root / "index.json") == found


def test_entities_of_the_standard_are_known_by_both_names():
    assert entities()["acquisition"] == entities()["acq"] == "acq"
    assert set(ENTITIES) <= set(entities())


@pytest.mark.parametrize("sessions", [(None,), ("1", "2")])
def test_a_thousand_subjects_are_read_in_seconds(tmp_path, sessions):
    """Not a benchmark: a walk through the whole folder for every image would take minutes."""
    paths = []
    for number in range(1000):
        for session in sessions:
            ends = [f"sub-{number:04}"] + ([f"ses-{session}"] if session else [])
            for name in ("anat/T1w.nii.gz", "anat/T1w.json", "dwi/dwi.nii.gz", "dwi/dwi.bval",
                         "fmap/dir-PA_epi.nii.gz"):  # fmt: skip
                folder, end = name.split("/")
                paths.append("/".join([*ends, folder, "_".join([*ends, end])]))
    make(tmp_path / "bids", [*paths, "dwi.bvec", "dwi.json"])
    begun = time.process_time()
    found = read_bids(tmp_path / "bids", {}, "error", {})
    assert len(found.scans) == 1000 * len(sessions)
    assert all({"bval", "bvec", "json"} <= set(scan.files) for scan in found.scans)
    assert time.process_time() - begun < 20
