"""Decisions on single perivascular spaces: what counts, what is one object, and who agrees."""

import pytest

from glymph.common.errors import BadInput
from glymph.common.tables import write_tsv
from glymph.review.definitions import columns
from glymph.review.object_ratings import (
    latest_objects,
    object_agreement,
    object_files,
    read_objects,
)


def row(number=1, decision="accept", rater="AB", **more):
    return {"participant_id": "sub-01", "session_id": None, "object": number, "x_mm": 10.0,
            "y_mm": -20.0, "z_mm": 30.0, "region": "bg", "decision": decision, "rater": rater,
            "time": None} | more  # fmt: skip


def saved(path, *rows):
    write_tsv(list(rows), path, columns("objects"))
    return path


def test_what_is_written_is_read(tmp_path):
    rows = [row(time="2026-01-02T03:04:05+00:00"), row(70_000, "delete", session_id="ses-1")]
    assert read_objects(saved(tmp_path / "objects_AB.tsv", *rows)) == rows
    assert [path.rpartition("/")[2] for path in object_files(tmp_path)] == ["objects_AB.tsv"]
    assert object_files(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "change, words",
    [
        ({"decision": "perhaps"}, "decision 'perhaps' is not one of accept, delete"),
        ({"region": "liver"}, "region 'liver' is not one of cso"),
        ({"object": "1.5"}, "object '1.5' is no number"),
        ({"object": -1}, "object '-1' is no number"),
        ({"object": None}, "object '' is no number"),
        ({"x_mm": "far"}, "x_mm of 'far' is no place"),
        ({"y_mm": None}, "y_mm of '' is no place"),
        ({"z_mm": "inf"}, "z_mm of 'inf' is no place"),
        ({"rater": None}, "no rater"),
        ({"participant_id": "sub-0_1"}, "is no BIDS label"),
        ({"time": "yesterday"}, "is not ISO 8601"),
    ],
)
def test_what_is_no_decision_is_named_with_its_line(tmp_path, change, words):
    path = saved(tmp_path / "objects_AB.tsv", row(), row() | change)
    with pytest.raises(BadInput, match=words) as problem:
        read_objects(path)
    assert "line 3" in str(problem.value)
    assert str(path) in str(problem.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"a,b\n1,2\n", b"\x00\x00", b'"' * 99])
def test_what_is_no_table_gives_one_message(tmp_path, content):
    path = tmp_path / "objects.tsv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"objects.tsv"):
        read_objects(path)


def test_the_latest_decision_of_a_rater_on_an_object_counts():
    old = row(time="2026-01-01T12:00:00+00:00")
    new = row(decision="delete", time="2026-01-01T11:30:00-02:00", x_mm=10.3)
    other = row(rater="CD")
    found = latest_objects([new, old, other])
    assert [(r["rater"], r["decision"]) for r in found] == [("AB", "delete"), ("CD", "accept")]
    assert found[0]["thing"] == found[1]["thing"]


def test_an_object_is_known_by_its_place_and_not_by_its_number():
    """Every run numbers the objects anew."""
    found = latest_objects([row(), row(decision="delete", z_mm=31.1), row(session_id="ses-2")])
    assert len({r["thing"] for r in found}) == 3
    near = latest_objects([row(), row(16, rater="CD", z_mm=30.9)])
    assert len({r["thing"] for r in near}) == 1


def test_kappa_against_a_worked_example():
    """50 objects: 20 both accept, 15 both delete, 5 and 10 apart: kappa 0.4; half in each region.

    What only one of them decided on does not count.
    """
    pairs = ["aa"] * 20 + ["ad"] * 5 + ["da"] * 10 + ["dd"] * 15
    words = {"a": "accept", "d": "delete"}
    rows = [row(n, words[letter], rater, x_mm=3 * n, region=("bg", "cso")[n % 2])
            for n, pair in enumerate(pairs) for letter, rater in zip(pair, ("AB", "CD"),
                                                                     strict=True)]  # fmt: skip
    rows += [row(99, rater="AB", x_mm=-9), row(98, rater="CD", x_mm=-5), row(0, rater="EF", x_mm=0)]
    found = {(r["item"], r["rater1"], r["rater2"]): r for r in object_agreement(
        latest_objects(rows))}  # fmt: skip
    both = found["objects", "AB", "CD"]
    assert both["kappa"] == pytest.approx(0.4)
    assert (both["n"], both["agreement"]) == (50, 0.7)
    assert found["objects_bg", "AB", "CD"]["n"] + found["objects_cso", "AB", "CD"]["n"] == 50
    assert ("objects_midbrain", "AB", "CD") not in found
    alone = found["objects", "AB", "EF"]
    assert (alone["n"], alone["kappa"]) == (1, None)
    assert "one and the same" in alone["reason"]
    assert set(both) == set(columns("rating_agreement"))


def test_nobody_or_one_alone_gives_no_rows():
    assert object_agreement([]) == object_agreement(latest_objects([row()])) == []
