"""Corrections: on the right grid, exactly what was drawn, nobody's work overwritten or lost."""

import base64
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from glymph.common.errors import BadInput
from glymph.common.names import Unit
from glymph.common.tables import read_tsv
from glymph.inputs import cohort
from glymph.inputs.index import CORRECTIONS, Scan, with_corrections
from glymph.review import rois, store
from glymph.review.corrections import PLACES, decisions_of
from glymph.review.definitions import columns, definitions
from glymph.review.desk import Desk
from glymph.review.drawing import as_file, onto, read_drawing
from glymph.review.scene import versions
from tests.conftest import STORAGE, grid
from tests.review import phantom
from tests.workflow.reruns import expand, load

UNIT = Unit("1")
PLACE = "corrected/sub-1/anat/sub-1_label-EPVS_mask.nii.gz"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    results = tmp_path_factory.mktemp("phantom") / "out"
    phantom.make(results)
    return results


@pytest.fixture
def desk(made, tmp_path):
    shutil.copytree(made, tmp_path / "out")
    return Desk(tmp_path / "out", tmp_path / "review")


def send(desk, rater="AB", based_on="", unit="sub-1", kind="epvs", **more):
    entry = {"unit": unit, "kind": kind, "rater": rater, "based_on": based_on} | more
    return desk.save(json.dumps(entry).encode())


def encoded(body: bytes) -> str:
    return base64.b64encode(body).decode()


def counted(desk):
    image = nib.load(desk.results / "sub-1/anat/sub-1_space-T1w_res-1mm_desc-EPVS_dseg.nii.gz")
    return np.asanyarray(image.dataobj), image.affine


def written(desk):
    image = nib.load(desk.folder / PLACE)
    return np.asanyarray(image.dataobj), image.affine


def everything(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def test_files_lie_where_the_workflow_takes_them_and_history_does_not_stop_it(desk):
    assert PLACES["epvs"] == f"corrected/{CORRECTIONS['epvs_mask']}"
    assert PLACES["brain"] == f"corrected/{CORRECTIONS['brain_mask']}"
    send(desk, decisions={"2": "delete"})
    (scan,) = with_corrections([Scan(UNIT)], desk.folder / "corrected")
    assert scan.files["epvs_mask"] == str(desk.folder / PLACE)
    config = {"review": {"folder": str(desk.folder)}, "output_dir": "x"}
    assert store.HISTORY == cohort.HISTORY
    read = cohort._of_raters(config, desk.folder.glob("*"))
    assert {p.relative_to(desk.folder).as_posix() for p in read} == {PLACE, "objects_AB.tsv"}


def test_what_runs_again_is_what_the_tested_table_says():
    table = load()
    said = {line["what"]: line["rules"] for line in table["cohort"]}
    for about in definitions()["corrections"].values():
        expected = expand(said[about["rerun"]], table["groups"])
        others = expand(["$page", "$table"], table["groups"])
        assert about["again"] == [rule for rule in expected if rule not in others]


def test_a_deleted_object_goes_and_nothing_else(desk):
    numbers, affine = counted(desk)
    done = send(desk, decisions={"2": "delete", "3": "accept"})
    data, place = written(desk)
    np.testing.assert_array_equal(data > 0, (numbers > 0) & (numbers != 2))
    np.testing.assert_allclose(place, affine, atol=1e-4)
    assert done["file"] == str(desk.folder / PLACE)
    assert done["summary"]["deleted"] == [2]
    assert done["summary"]["objects"] == 3


def test_one_that_was_not_counted_comes_in_and_a_short_one_is_told(desk):
    done = send(desk, decisions={"5": "accept"})
    data, _ = written(desk)
    assert data[*phantom.SHORT, 30] == 1
    assert done["summary"] == done["summary"] | {
        "accepted": [5], "voxels_added": 1, "voxels_removed": 0, "pieces_too_short": 1,
        "objects": 4,
    }  # fmt: skip


def test_decisions_stand_in_the_raters_table(desk):
    send(desk, rater="A B/..", decisions={"2": "delete", "3": "accept"})
    path = desk.folder / "objects_AB.tsv"
    assert path == store.rater_file(desk.folder, "objects", "A B/..")
    rows = read_tsv(path)
    assert list(rows[0]) == columns("objects")
    assert [(r["object"], r["decision"], r["rater"]) for r in rows] == [
        ("2", "delete", "A B/.."), ("3", "accept", "A B/..")]  # fmt: skip
    seen = {row["object"]: row["centre"] for row in desk.scene({"unit": "sub-1"})["objects"]}
    assert [float(rows[0][f"{a}_mm"]) for a in "xyz"] == pytest.approx(seen[2], abs=0.01)
    assert len(decisions_of(desk.folder, UNIT, "A B/..")) == 2
    assert decisions_of(desk.folder, UNIT, "CD") == []


@pytest.mark.parametrize("axes", [*STORAGE, "oblique LAS"])
def test_a_drawing_in_any_storage_order_lands_on_its_voxels(tmp_path, axes):
    directions = STORAGE.get(axes, phantom.OBLIQUE_LAS)
    desk = Desk(tmp_path / "out", tmp_path / "review")
    phantom.make(desk.results, axes=directions)
    numbers, affine = counted(desk)
    drawn = numbers > 0
    drawn[20, 20, 10:16] = True
    drawn[28, 12, 10:12] = False
    turned = nib.as_closest_canonical(nib.Nifti1Image(drawn.astype(np.uint8), affine))
    for n, image in enumerate((nib.Nifti1Image(drawn.astype(np.uint8), affine), turned)):
        based_on = versions(desk.folder, UNIT)["epvs"]["version"]
        sent = encoded(gzip.compress(image.to_bytes()))
        done = send(desk, drawing=sent, based_on=based_on)
        data, place = written(desk)
        np.testing.assert_array_equal(data > 0, drawn)
        np.testing.assert_allclose(place, affine, atol=1e-4)
        drawn_now = (done["summary"]["voxels_drawn"], done["summary"]["voxels_erased"])
        assert drawn_now == ((6, 2) if n == 0 else (0, 0))


def test_voxels_outside_the_regions_are_told_and_a_dry_run_writes_nothing(desk):
    numbers, affine = counted(desk)
    drawn = numbers > 0
    drawn[0, 0, 0:5] = True
    sent = encoded(phantom.nifti(drawn, affine))
    before = everything(desk.folder.parent)
    told = send(desk, drawing=sent, dry=True)
    assert told["summary"]["voxels_outside_regions"] == 5
    assert told["summary"]["objects"] == 4
    assert everything(desk.folder.parent) == before


def moved(affine):
    away = affine.copy()
    away[:3, 3] += 0.5
    return away


BAD = {
    "wrong grid": lambda m, a: phantom.nifti(m[:-1], a),
    "moved by half a voxel": lambda m, a: phantom.nifti(m, moved(a)),
    "larger voxels": lambda m, a: phantom.nifti(m, a @ np.diag([2, 1, 1, 1])),
    "not binary": lambda m, a: phantom.nifti(m * 3, a),
    "fractions": lambda m, a: nib.Nifti1Image((m * 0.5).astype(np.float32), a).to_bytes(),
    "NaN": lambda m, a: nib.Nifti1Image(np.where(m, np.nan, 0), a).to_bytes(),
    "4D": lambda m, a: nib.Nifti1Image(np.stack([m, m], -1).astype(np.uint8), a).to_bytes(),
    "truncated gzip": lambda m, a: gzip.compress(phantom.nifti(m, a))[:-40],
    "truncated": lambda m, a: phantom.nifti(m, a)[:-4000],
    "nothing": lambda m, a: b"",
    "text": lambda m, a: b"hello",
    "a bomb": lambda m, a: gzip.compress(phantom.nifti(m, a) + bytes(200_000_000)),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_what_is_no_mask_on_the_grid_is_refused(desk, fault):
    numbers, affine = counted(desk)
    before = everything(desk.folder.parent)
    with pytest.raises(BadInput):
        send(desk, drawing=encoded(BAD[fault](numbers > 0, affine)))
    assert everything(desk.folder.parent) == before


def test_an_oversized_drawing_is_refused(desk):
    grid_image = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    with pytest.raises(BadInput, match="too many"):
        read_drawing(bytes(17_000_000), grid_image, "drawing")


@pytest.mark.parametrize("unit", ["sub-1/../..", "..", "sub-1_ses-../x", "/etc", "", None, 3,
                                  "sub-9", "SUB-1", "sub-1\n", "sub-1_"])  # fmt: skip
def test_no_name_leads_out_of_the_results(desk, unit):
    before = everything(desk.folder.parent)
    with pytest.raises(BadInput):
        send(desk, unit=unit, decisions={"2": "delete"})
    with pytest.raises(BadInput):
        desk.scene({"unit": unit} if isinstance(unit, str) else {})
    assert everything(desk.folder.parent) == before


@pytest.mark.parametrize("name", ["../../x", "t1w.nii.gz", "", "sub-1"])
def test_only_known_images_are_read(desk, name):
    with pytest.raises(BadInput, match="no image"):
        desk.image({"unit": "sub-1", "name": name})


def test_a_raters_table_that_has_no_place_for_decisions_stops_the_whole_save(desk):
    path = desk.folder / "objects_AB.tsv"
    path.parent.mkdir()
    path.write_text("object\tdecision\n1\taccept\n")
    before = everything(desk.folder)
    with pytest.raises(BadInput, match="no column participant_id"):
        send(desk, decisions={"2": "delete"})
    assert everything(desk.folder) == before


def test_numbers_of_an_earlier_result_are_not_taken_for_those_of_another(desk):
    seen = desk.scene({"unit": "sub-1"})["result"]
    phantom.renumber(desk.results)
    with pytest.raises(BadInput, match="made this result anew"):
        send(desk, decisions={"2": "delete"}, result=seen)
    assert not (desk.folder / PLACE).exists()
    send(desk, decisions={"2": "delete"}, result=desk.scene({"unit": "sub-1"})["result"])


def test_two_raters_do_not_overwrite_each_other(desk):
    first = send(desk, rater="AB", decisions={"2": "delete"})
    theirs = everything(desk.folder)
    with pytest.raises(store.Taken, match="AB saved another version") as taken:
        send(desk, rater="CD", decisions={"3": "delete"})
    assert everything(desk.folder) == theirs
    assert taken.value.now == first["now"]
    assert (first["now"]["rater"], len(first["now"]["version"])) == ("AB", 12)
    send(desk, rater="CD", based_on=first["now"]["version"], decisions={"3": "delete"})
    numbers, _ = counted(desk)
    np.testing.assert_array_equal(written(desk)[0] > 0, (numbers == 1) | (numbers == 4))
    kept = [p.read_bytes() for p in (desk.folder / "history").rglob("*.nii.gz")]
    assert theirs[desk.folder / PLACE] in kept
    assert len(kept) == 2
    assert decisions_of(desk.folder, UNIT, "AB")


def test_a_correction_that_was_put_there_by_hand_is_kept(desk):
    numbers, affine = counted(desk)
    path = desk.folder / PLACE
    path.parent.mkdir(parents=True)
    path.write_bytes(as_file(numbers == 1, affine))
    with pytest.raises(store.Taken, match="outside of this viewer"):
        send(desk, decisions={"1": "delete"})
    by_hand = path.read_bytes()
    version = versions(desk.folder, UNIT)["epvs"]["version"]
    send(desk, based_on=version, decisions={"2": "accept"})
    assert by_hand in [p.read_bytes() for p in (desk.folder / "history").rglob("*.nii.gz")]
    np.testing.assert_array_equal(written(desk)[0] > 0, (numbers == 1) | (numbers == 2))


def test_the_same_sent_twice_is_written_once(desk):
    send(desk, decisions={"2": "delete"})
    before = everything(desk.folder / "history")
    send(desk, decisions={"2": "delete"})  # the answer to the first was lost
    assert everything(desk.folder / "history") == before
    assert len(decisions_of(desk.folder, UNIT, "AB")) == 1


def test_an_accepted_object_alone_writes_no_mask(desk):
    assert send(desk, decisions={"2": "accept"})["file"] == ""
    assert not (desk.folder / PLACE).exists()
    assert len(decisions_of(desk.folder, UNIT, "AB")) == 1


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_killed_between_write_and_replace_the_old_file_stays(desk, monkeypatch, call):
    first = send(desk, decisions={"2": "delete"})
    before, calls = (desk.folder / PLACE).read_bytes(), []

    def killed(*args):
        calls.append(args)
        if call == "fsync" or str(args[1]).endswith(PLACE):
            raise KeyboardInterrupt
        return os.rename(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, call, killed)
        send(desk, based_on=first["now"]["version"], decisions={"3": "delete"})
    assert calls
    assert (desk.folder / PLACE).read_bytes() == before
    assert versions(desk.folder, UNIT)["epvs"] == first["now"]
    with_corrections([Scan(UNIT)], desk.folder / "corrected")  # what was left there stops no run
    send(desk, based_on=first["now"]["version"], decisions={"3": "delete"})
    numbers, _ = counted(desk)
    np.testing.assert_array_equal(written(desk)[0] > 0, (numbers == 1) | (numbers == 4))


def test_a_killed_process_leaves_a_file_that_stops_no_run(desk):
    first = send(desk, decisions={"2": "delete"})
    before = (desk.folder / PLACE).read_bytes()
    code = f"""
import os, signal
from pathlib import Path
from glymph.review import store
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
store.replace(Path({str(desk.folder / PLACE)!r}), b"half")
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert len(list((desk.folder / PLACE).parent.iterdir())) == 2
    assert (desk.folder / PLACE).read_bytes() == before
    (scan,) = with_corrections([Scan(UNIT)], desk.folder / "corrected")
    assert scan.corrected == ("epvs_mask",)
    send(desk, based_on=first["now"]["version"], decisions={"3": "delete"})


def test_a_correction_can_be_taken_back(desk):
    done = send(desk, decisions={"2": "delete"})
    send(desk, based_on=done["now"]["version"], withdraw=True)
    assert not (desk.folder / PLACE).exists()
    assert len(list((desk.folder / "history").rglob("*.nii.gz"))) == 1


def test_the_automatic_result_is_never_touched(desk):
    before = everything(desk.results)
    send(desk, decisions={"2": "delete"})
    brain = nib.load(desk.results / "sub-1/anat/sub-1_desc-brain_mask.nii.gz")
    data = np.asanyarray(brain.dataobj) > 0
    data[20, :, :] = False
    send(desk, kind="brain", drawing=encoded(phantom.nifti(data, brain.affine)))
    send(desk, kind="roi", shifts={"left_projection": [1, 0, 0]})
    assert everything(desk.results) == before
    saved = nib.load(desk.folder / "corrected/sub-1/anat/sub-1_desc-brain_mask.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(saved.dataobj) > 0, data)
    np.testing.assert_allclose(saved.affine, brain.affine, atol=1e-4)


def test_an_empty_brain_is_refused(desk):
    _, affine = counted(desk)
    empty = encoded(phantom.nifti(np.zeros(phantom.SHAPE), affine))
    with pytest.raises(BadInput, match="empty"):
        send(desk, kind="brain", drawing=empty)


def test_a_shift_is_a_row_and_the_others_stay(desk):
    path = desk.folder / "rois.tsv"
    path.parent.mkdir()
    path.write_text("roi\tparticipant_id\tshift_x_mm\tnote\nleft_projection\tsub-7\t2\tmine\n"
                    "right_projection\tsub-1\t1\tkept\n")  # fmt: skip
    by_hand = path.read_bytes()
    now = versions(desk.folder, UNIT)["roi"]
    send(desk, kind="roi", based_on=now["version"], shifts={"left_association": [0, -2.5, 0]})
    found = rois.read_roi_corrections(desk.folder)
    assert found == {
        "sub-7": {"left_projection": {"shift_mm": [2.0, 0.0, 0.0]}},
        "sub-1": {"right_projection": {"shift_mm": [1.0, 0.0, 0.0]},
                  "left_association": {"shift_mm": [0.0, -2.5, 0.0]}},
    }  # fmt: skip
    rows = {(r["participant_id"], r["roi"]): r for r in read_tsv(path)}
    assert rows["sub-7", "left_projection"]["note"] == "mine"
    assert rows["sub-1", "left_association"]["rater"] == "AB"
    assert by_hand in [p.read_bytes() for p in (desk.folder / "history").rglob("*.tsv")]
    with pytest.raises(store.Taken):
        send(desk, kind="roi", rater="CD", based_on=now["version"],
             shifts={"left_association": [1, 0, 0]})  # fmt: skip
    now = versions(desk.folder, UNIT)["roi"]
    assert now["rater"] == "AB"
    send(desk, kind="roi", based_on=now["version"],
         shifts={"left_association": [0, 0, 0], "right_projection": [0, 0, 0]})  # fmt: skip
    assert list(rois.read_roi_corrections(desk.folder)) == ["sub-7"]


@pytest.mark.parametrize("shifts", [{"liver": [1, 0, 0]}, {"left_projection": [31, 0, 0]}, {},
                                    {"left_projection": [1, 0]}, {"left_projection": "1"},
                                    {"left_projection": [True, 0, 0]}, [1], None,
                                    {"left_projection": [float("nan"), 0, 0]}])  # fmt: skip
def test_a_shift_that_means_nothing_is_refused(desk, shifts):
    with pytest.raises(BadInput):
        send(desk, kind="roi", shifts=shifts)
    assert not (desk.folder / "rois.tsv").exists()


def test_axes_are_turned_by_their_affine_never_by_their_order():
    data = np.arange(24).reshape(2, 3, 4).astype(np.float32)
    affine = grid(STORAGE["PSR"], sizes=(1, 1, 1), shape=data.shape)
    image = nib.Nifti1Image(data, affine)
    turned = nib.as_closest_canonical(image)
    assert turned.shape != image.shape
    np.testing.assert_array_equal(onto(turned, image, "x").get_fdata(), data)
