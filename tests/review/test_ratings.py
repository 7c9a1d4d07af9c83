"""Ratings: what counts, what leaves, who agrees, and one clear message for what is no rating."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glymph.common.errors import BadInput
from glymph.common.registry import metrics
from glymph.common.tables import write_tsv
from glymph.review.definitions import columns, definitions
from glymph.review.ratings import agreement, latest, rating_files, read_ratings, rejected
from glymph.review.rois import read_roi_corrections


def row(subject, item="epvs", rating="reject", rater="AB", comment=None, time=None, session=None):
    return {"participant_id": subject, "session_id": session, "item": item, "rating": rating,
            "rater": rater, "comment": comment, "time": time}  # fmt: skip


def saved(path, *rows):
    write_tsv(list(rows), path, columns("ratings"))
    return path


def test_what_is_written_is_read(tmp_path):
    rows = [row("sub-01", comment="red follows a sulcus", time="2026-01-02T03:04:05+00:00"),
            row("sub-02", session="ses-1", rating="unsure")]  # fmt: skip
    assert read_ratings(saved(tmp_path / "ratings_AB.tsv", *rows)) == rows


def test_subjects_may_stand_without_their_prefix(tmp_path):
    path = saved(tmp_path / "ratings.tsv", row("01", session="a"))
    assert read_ratings(path)[0] | {} == row("sub-01", session="ses-a")


def test_files_are_found_by_their_name(tmp_path):
    for name in ("ratings.tsv", "ratings_AB.tsv", "notes.tsv", "ratings.json"):
        (tmp_path / name).touch()
    assert [path.rpartition("/")[2] for path in rating_files(tmp_path)] == [
        "ratings.tsv", "ratings_AB.tsv"]  # fmt: skip
    assert rating_files(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "change, words",
    [
        ({"item": "liver"}, "item 'liver' is not one of brain"),
        ({"rating": "great"}, "rating 'great' is not one of accept"),
        ({"rater": None}, "no rater"),
        ({"participant_id": "sub-0_1"}, "is no BIDS label"),
        ({"time": "yesterday"}, "is not ISO 8601"),
        ({"comment": "x" * 3000}, "over 2000 characters"),
    ],
)
def test_what_is_no_rating_is_named_with_its_line(tmp_path, change, words):
    path = saved(tmp_path / "ratings.tsv", row("sub-01"), row("sub-02") | change)
    with pytest.raises(BadInput, match=words) as problem:
        read_ratings(path)
    assert "line 3" in str(problem.value)
    assert str(path) in str(problem.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"a,b\n1,2\n", b"\x00\x00", b'"' * 99])
def test_what_is_no_table_gives_one_message(tmp_path, content):
    path = tmp_path / "ratings.tsv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="ratings.tsv"):
        read_ratings(path)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(body=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)),
       header=st.booleans())  # fmt: skip
def test_no_bytes_break_the_readers(tmp_path_factory, body, header):
    folder = tmp_path_factory.mktemp("any")
    for name, reader in (("ratings.tsv", read_ratings), ("rois.tsv", None)):
        names = columns("ratings") if reader else ["participant_id", "roi", "shift_x_mm", "mask"]
        start = "\t".join(names).encode() + b"\n" if header else b""
        (folder / name).write_bytes(start + body)
    for read, argument in ((read_ratings, folder / "ratings.tsv"), (read_roi_corrections, folder)):
        try:
            read(argument)
        except BadInput as problem:
            assert str(folder) in str(problem)


def test_the_latest_rating_of_a_rater_counts():
    old = row("sub-01", rating="accept", time="2026-01-01T12:00:00+00:00")
    new = row("sub-01", rating="reject", time="2026-01-01T11:30:00-02:00")
    undated = row("sub-01", rating="unsure")
    other = row("sub-01", rating="accept", rater="CD")
    assert latest([new, old, undated, other]) == [new, other]


def test_of_undated_ratings_the_last_counts():
    rows = [row("sub-01", rating="accept"), row("sub-01", rating="reject")]
    assert [r["rating"] for r in latest(rows)] == ["reject"]


def test_any_or_all_raters_reject():
    rows = [row("sub-01", comment="lesion"), row("sub-01", rater="CD", rating="accept"),
            row("sub-02", rater="CD"), row("sub-03", rating="unsure")]  # fmt: skip
    found = rejected(rows, "any")
    assert [(r["participant_id"], r["raters"], r["reason"]) for r in found] == [
        ("sub-01", "AB", "lesion"), ("sub-02", "CD", None)]  # fmt: skip
    assert [r["participant_id"] for r in rejected(rows, "all")] == ["sub-02"]
    assert set(found[0]) == set(columns("rejected"))


def test_every_item_takes_out_stages_of_the_registry():
    stages = {metric.stage for metric in metrics().values()}
    for entry in definitions()["items"].values():
        assert set(entry["leaves"]) <= stages


def test_kappa_against_a_worked_example():
    """Two raters, 50 things: 20 both accept, 15 both reject, 5 and 10 apart: kappa 0.4."""
    pairs = ["aa"] * 20 + ["ar"] * 5 + ["ra"] * 10 + ["rr"] * 15
    words = {"a": "accept", "r": "reject"}
    rows = [row(f"sub-{n:02d}", rating=words[letter], rater=rater)
            for n, pair in enumerate(pairs) for letter, rater in zip(pair, ("AB", "CD"),
                                                                     strict=True)]  # fmt: skip
    found = {entry["item"]: entry for entry in agreement(latest(rows))}
    assert found["epvs"]["kappa"] == pytest.approx(0.4)
    assert (found["epvs"]["n"], found["epvs"]["agreement"]) == (50, 0.7)
    assert found["brain"]["kappa"] is None
    assert found["brain"]["reason"] == "nothing was judged by both"
    assert set(found["epvs"]) == set(columns("rating_agreement"))


def test_kappa_of_one_and_the_same_rating_is_no_number():
    rows = [row("sub-01", rater=rater) for rater in ("AB", "CD")]
    entry = next(e for e in agreement(rows) if e["item"] == "epvs")
    assert (entry["agreement"], entry["kappa"]) == (1.0, None)
    assert "one and the same" in entry["reason"]


def rois(folder, *rows):
    names = ["participant_id", "session_id", "roi", "shift_x_mm", "shift_y_mm", "shift_z_mm",
             "mask", "rater", "comment"]  # fmt: skip
    write_tsv([dict(zip(names, r, strict=False)) for r in rows], folder / "rois.tsv", names)
    return folder


def test_roi_corrections(tmp_path):
    (tmp_path / "mine.nii.gz").touch()
    folder = rois(
        tmp_path,
        ("sub-01", None, "left_projection", 2, None, -1.5),
        ("sub-02", "ses-1", "right_association", None, None, None, "mine.nii.gz"),
    )
    assert read_roi_corrections(folder) == {
        "sub-01": {"left_projection": {"shift_mm": [2.0, 0.0, -1.5]}},
        "sub-02_ses-1": {"right_association": {"mask": str(tmp_path / "mine.nii.gz")}},
    }
    assert read_roi_corrections(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    "cells, words",
    [
        (("sub-01", None, "left_thalamus", 1), "roi 'left_thalamus'"),
        (("sub-01", None, "left_projection"), "either a shift or a mask"),
        (("sub-01", None, "left_projection", 1, 0, 0, "x.nii"), "either a shift or a mask"),
        (("sub-01", None, "left_projection", 99), "at most 30 mm"),
        (("sub-01", None, "left_projection", "far"), "a shift of 'far' mm"),
        (("sub-01", None, "left_projection", 0, 0, 0, "x.nii"), "there is no mask"),
    ],
)
def test_a_wrong_roi_correction_is_named_with_its_line(tmp_path, cells, words):
    with pytest.raises(BadInput, match=words) as problem:
        read_roi_corrections(rois(tmp_path, cells))
    assert "line 2" in str(problem.value)


def test_one_correction_per_region(tmp_path):
    twice = ("sub-01", None, "left_projection", 1)
    with pytest.raises(BadInput, match="again"):
        read_roi_corrections(rois(tmp_path, twice, twice))
