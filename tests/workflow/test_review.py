"""What raters decide, through the real workflow: only what depends on it is made again."""

import shutil

import nibabel as nib
import numpy as np
import pytest

from glymph.common.tables import read_tsv, write_tsv
from glymph.review.definitions import columns
from tests.workflow.conftest import COHORT, STATISTICS, planned, settings, snakemake

pytestmark = pytest.mark.slow
ARGUMENTS = settings("bids", "out", epvs="{engine: none}")
UNIT = {"metrics_unit": 1, "qc_page": 1}


def dry(folder):
    _, output = snakemake("-n", *ARGUMENTS, cwd=folder)
    return planned(output)


def rate(folder, *rows):
    place = folder / "out/review"
    place.mkdir(exist_ok=True)
    named = [dict(zip(columns("ratings"), row, strict=False)) for row in rows]
    write_tsv(named, place / "ratings_AB.tsv", columns("ratings"))


def test_a_rejected_item_leaves_the_analysis_and_nothing_else_changes(copy_of_finished):
    out = copy_of_finished / "out"
    before = (out / "group/metrics.tsv").read_text()
    rate(copy_of_finished, ("sub-NC01", None, "roi", "reject", "AB", "in the ventricle"),
         ("sub-AD01", None, "brain", "unsure", "AB"))  # fmt: skip
    jobs = {"all": 1, "review_ratings": 1, "review_page": 1, **STATISTICS}
    assert dry(copy_of_finished) == jobs
    snakemake(*ARGUMENTS, cwd=copy_of_finished)
    assert (out / "group/metrics.tsv").read_text() == before
    analysed = {r["participant_id"]: r for r in read_tsv(out / "group/stats/analysed.tsv")}
    assert analysed.get("sub-NC01", {}).get("alps_native_mean") is None
    assert analysed["sub-AD01"]["alps_native_mean"]
    said = {r["participant_id"]: r["reason"] for r in read_tsv(out / "group/stats/left_out.tsv")}
    assert "roi rejected by AB: in the ventricle" in said["sub-NC01"]
    assert "roi rejected by AB: in the ventricle" in (out / "report/report.html").read_text()
    (gone,) = read_tsv(out / "group/rejected.tsv")
    assert (gone["participant_id"], gone["item"]) == ("sub-NC01", "roi")
    (out / "review/ratings_AB.tsv").unlink()
    assert dry(copy_of_finished) == jobs, "a rating that is taken back counts no more"


def test_a_shifted_roi_reruns_alps_of_its_subject(copy_of_finished):
    folder = copy_of_finished / "out/review"
    folder.mkdir()
    names = ["participant_id", "roi", "shift_x_mm", "shift_y_mm", "shift_z_mm"]
    write_tsv([dict(zip(names, ("sub-NC01", "left_projection", 0, 3, 0), strict=True))],
              folder / "rois.tsv", names)  # fmt: skip
    assert dry(copy_of_finished) == {"all": 1, "alps_index": 1, **UNIT, **COHORT}
    before = {r["participant_id"]: r for r in read_tsv(folder.parent / "group/metrics.tsv")}
    snakemake(*ARGUMENTS, cwd=copy_of_finished)
    after = {r["participant_id"]: r for r in read_tsv(folder.parent / "group/metrics.tsv")}
    assert after["sub-NC01"]["corrected"] == "left_projection"
    assert after["sub-AD01"] == before["sub-AD01"]
    changed = {k for k in after["sub-NC01"] if after["sub-NC01"][k] != before["sub-NC01"][k]}
    assert "alps_native_left" in changed
    assert "alps_native_right" not in changed


def test_a_corrected_brain_mask_replaces_the_automatic_one(copy_of_finished):
    made = copy_of_finished / "out/sub-NC01/anat/sub-NC01_desc-brain_mask.nii.gz"
    image = nib.load(made)
    mask = np.asanyarray(image.dataobj).astype(np.uint8)
    mask[:, :, : np.argwhere(mask)[:, 2].min() + 4] = 0
    place = copy_of_finished / "out/review/corrected/sub-NC01/anat"
    place.mkdir(parents=True)
    nib.save(nib.Nifti1Image(mask, image.affine), place / made.name)
    assert dry(copy_of_finished) == {
        "all": 1, "anat_preproc": 1, "anat_register": 1, "anat_segment": 1, "dwi_register": 1,
        "alps_index": 1, "dwi_white_matter": 1, **UNIT, **COHORT,
    }  # fmt: skip
    snakemake(str(made.relative_to(copy_of_finished)), *ARGUMENTS, cwd=copy_of_finished)
    np.testing.assert_array_equal(np.asanyarray(nib.load(made).dataobj), mask)


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("ratings.tsv", "participant_id\titem\trating\trater\nsub-NC01\tliver\treject\tAB\n",
         "item 'liver' is not one of"),
        ("rois.tsv", "participant_id\troi\tshift_x_mm\nsub-NC01\tleft_projection\tfar\n",
         "a shift of 'far' mm"),
        ("objects_AB.tsv",
         "participant_id\tobject\tx_mm\ty_mm\tz_mm\tregion\tdecision\trater\n"
         "sub-NC01\t1\t0\t0\t0\tbg\tperhaps\tAB\n", "decision 'perhaps' is not one of"),
        ("corrected/sub-NC01/anat/sub-NC01_mask.nii.gz", "", "named as no correction"),
    ],
)  # fmt: skip
def test_a_wrong_file_of_a_rater_stops_the_start_with_one_message(
    copy_of_finished, name, text, words
):
    path = copy_of_finished / "out/review" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    code, output = snakemake("-n", *ARGUMENTS, cwd=copy_of_finished, check=False)
    assert code != 0
    assert words in output
    assert path.name in output
    assert "Traceback" not in output


def test_ratings_of_a_removed_subject_do_no_harm(copy_of_finished):
    rate(copy_of_finished, ("sub-AD01", None, "roi", "reject", "AB"))
    shutil.rmtree(copy_of_finished / "bids/sub-AD01")
    snakemake("group", *ARGUMENTS, cwd=copy_of_finished)
    left = read_tsv(copy_of_finished / "out/group/stats/left_out.tsv")
    assert "sub-AD01" not in {row["participant_id"] for row in left}
