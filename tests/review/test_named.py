"""Raters' files that name nobody stop the start; those of subjects who left the dataset do not."""

import pytest

from glymph.common.errors import BadInput
from glymph.common.names import Unit
from glymph.review.named import check_units

UNITS = [Unit("01"), Unit("02", "1"), Unit("02", "2"), Unit("AD03")]
RATING = "participant_id\tsession_id\titem\trating\trater\n{}\t{}\troi\treject\tA\n"
OBJECT = (
    "participant_id\tsession_id\tobject\tx_mm\ty_mm\tz_mm\tregion\tdecision\trater\n"
    "{}\t{}\t1\t0\t0\t0\tbg\tdelete\tA\n"
)
ROI = "participant_id\tsession_id\troi\tshift_x_mm\n{}\t{}\tleft_projection\t1\n"
TABLES = [("ratings_a.tsv", RATING), ("objects_a.tsv", OBJECT), ("rois.tsv", ROI)]


def write(folder, name, text=""):
    path = folder / "review" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def check(folder, units=UNITS, **more):
    return check_units(folder / "review", units, folder / "out", **more)


@pytest.mark.parametrize(("name", "table"), TABLES, ids=[name for name, _ in TABLES])
@pytest.mark.parametrize(
    ("who", "session", "hint"),
    [
        ("sub-1", "", "names sub-1, .*did you mean sub-01"),
        ("sub-02", "", "names sub-02, .*did you mean sub-02_ses-1 or sub-02_ses-2"),
        ("sub-02", "ses-01", "names sub-02_ses-01, .*sub-02_ses-1 or"),
        ("sub-01", "ses-1", "names sub-01_ses-1, .*did you mean sub-01"),
        ("sub-ad03", "", "names sub-ad03"),
        ("sub-nobody", "", "names sub-nobody, which is no subject-session of this dataset"),
    ],
)
def test_a_table_that_names_nobody(tmp_path, name, table, who, session, hint):
    write(tmp_path, name, table.format(who, session))
    with pytest.raises(BadInput, match=hint) as error:
        check(tmp_path)
    assert name in str(error.value)


@pytest.mark.parametrize(("name", "table"), TABLES, ids=[name for name, _ in TABLES])
def test_a_table_of_the_dataset(tmp_path, name, table):
    write(tmp_path, name, table.format("02", "2"))
    assert check(tmp_path) == []


@pytest.mark.parametrize("folder", ["sub-1", "sub-02", "sub-02/ses-01"])
def test_a_correction_of_nobody(tmp_path, folder):
    prefix = folder.replace("/", "_")
    name = f"corrected/{folder}/anat/{prefix}_desc-brain_mask.nii.gz"
    write(tmp_path, name)
    with pytest.raises(BadInput, match=f"names {prefix}, which is no subject-session"):
        check(tmp_path)
    assert check(tmp_path, corrections=False) == []


def test_corrections_of_the_dataset(tmp_path):
    write(tmp_path, "corrected/sub-01/anat/sub-01_desc-brain_mask.nii.gz")
    write(tmp_path, "corrected/sub-02/ses-2/anat/sub-02_ses-2_label-EPVS_mask.nii.gz")
    assert check(tmp_path) == []


def test_everybody_who_is_unknown_is_named_at_once(tmp_path):
    write(tmp_path, "ratings_a.tsv", RATING.format("sub-1", ""))
    write(tmp_path, "rois.tsv", ROI.format("sub-2", "ses-1"))
    with pytest.raises(BadInput) as error:
        check(tmp_path)
    assert "ratings_a.tsv: names sub-1," in str(error.value)
    assert "rois.tsv: names sub-2_ses-1," in str(error.value)


def test_who_has_left_the_dataset_since_stops_nobody(tmp_path):
    """Somebody could be judged only where there are results."""
    write(tmp_path, "ratings_a.tsv", RATING.format("sub-07", ""))
    write(tmp_path, "../out/sub-07/sub-07_metrics.json")
    assert check(tmp_path) == ["sub-07"]
    write(tmp_path, "../out/sub-02/sub-02_metrics.json")  # before there were sessions
    write(tmp_path, "ratings_b.tsv", RATING.format("sub-02", ""))
    with pytest.raises(BadInput, match="names sub-02,"):
        check(tmp_path)


def test_a_plan_of_some_subjects_judges_these(tmp_path):
    write(tmp_path, "ratings_a.tsv", RATING.format("sub-77", ""))
    assert check(tmp_path, UNITS[:1], part=True) == []
    write(tmp_path, "ratings_b.tsv", RATING.format("sub-01", "ses-1"))
    with pytest.raises(BadInput, match="names sub-01_ses-1"):
        check(tmp_path, UNITS[:1], part=True)
