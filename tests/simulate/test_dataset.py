"""Files, repetition, cohort tables and the command line."""

import dataclasses
import hashlib

import numpy as np
import pandas as pd
import pytest

from glymph.simulate import (
    LIGHT_SCAN,
    CohortSpec,
    ScanSpec,
    SubjectSpec,
    draw_cohort,
    ideal,
    simulate_cohort,
    simulate_subject,
)
from glymph.simulate.__main__ import main

CLEAN = ideal(LIGHT_SCAN)
COARSE = dataclasses.replace(
    LIGHT_SCAN, modalities=("dwi",), dwi_voxel=(4.0, 4.0, 4.0), shells=((1000.0, 6),)
)


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_same_description_same_bytes(tmp_path):
    scan = dataclasses.replace(LIGHT_SCAN, dwi_voxel=(4.0, 4.0, 4.0), shells=((1000.0, 6),))
    spec = SubjectSpec("01", 9, scan=scan, raters=("one",))
    for name in "ab":
        simulate_subject(spec, tmp_path / name / "bids", tmp_path / name / "truth")
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


def test_leaving_out_a_modality_changes_no_other(make):
    noisy = dataclasses.replace(CLEAN, snr_anat=30.0, shells=((1000.0, 6),))
    everything = make(scan=noisy)
    only = make(scan=dataclasses.replace(noisy, modalities=("T2w",)))
    name = "anat/sub-01_T2w.nii.gz"
    assert (everything.bids / name).read_bytes() == (only.bids / name).read_bytes()
    assert sorted(p.name for p in only.bids.rglob("*.nii.gz")) == ["sub-01_T2w.nii.gz"]
    assert sorted(p.name for p in everything.bids.rglob("*.nii.gz")) == [
        f"sub-01_{suffix}.nii.gz" for suffix in ("T1w", "T2w", "dwi")
    ]


def test_sessions_share_the_anatomy_but_not_the_noise(make, tmp_path):
    noisy = dataclasses.replace(COARSE, snr_dwi=20.0)
    one, two = (make(root=tmp_path, session=s, scan_seed=k, scan=noisy) for k, s in enumerate("12"))
    keys = ("alps_left", "dxx_projection_left", "gm_volume_mm3", "epvs_volume_total_mm3")
    assert all(one.row[k] == two.row[k] for k in keys)
    assert (one.dwi().data != two.dwi().data).any()
    assert (tmp_path / "bids" / "sub-01" / "ses-1" / "dwi").is_dir()


def test_files_of_others_are_not_touched(tmp_path):
    mine = tmp_path / "bids" / "sub-01" / "anat" / "keep.nii.gz"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="not written by this generator"):
        simulate_subject(SubjectSpec("01", 1, scan=COARSE), tmp_path / "bids", tmp_path / "truth")
    with pytest.raises(FileExistsError, match="did not write"):
        simulate_cohort(CohortSpec(1, 0, 0, scan=COARSE), tmp_path / "bids", tmp_path / "truth")
    assert mine.read_bytes() == b"precious"


def test_cohort_does_not_depend_on_jobs_and_is_not_done_twice(tmp_path):
    spec = CohortSpec(1, 0, 1, seed=4, scan=COARSE, raters=("one",), missing=(("NC01", "dwi"),))
    lines = []
    tables = [
        simulate_cohort(
            spec, tmp_path / n / "bids", tmp_path / n / "truth", jobs, report=lines.append
        )
        for n, jobs in (("a", 1), ("b", 2))
    ]
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    pd.testing.assert_frame_equal(*tables)
    assert len(lines) == 4
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "a" / "bids").rglob("*")}
    again = simulate_cohort(spec, tmp_path / "a/bids", tmp_path / "a/truth", report=lines.append)
    assert "nothing to do" in lines[-1]
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "a" / "bids").rglob("*")}
    pd.testing.assert_frame_equal(again, tables[0])
    check_layout(tmp_path / "a")
    check_repair(spec, tmp_path / "a", hashes(tmp_path / "b"))
    check_replacement(spec, tmp_path / "a")


def check_layout(root):
    participants = pd.read_csv(root / "bids" / "participants.tsv", sep="\t")
    assert list(participants) == [
        "participant_id", "group", "age", "sex", "education", "mmse", "moca",
    ]  # fmt: skip
    truth = pd.read_csv(root / "truth" / "truth.tsv", sep="\t")
    assert list(truth["participant_id"]) == list(participants["participant_id"])
    assert not list((root / "bids").rglob("*truth*"))
    assert not (root / "bids" / "sub-NC01" / "dwi").exists()
    for name in ("dataset_description.json", "README", "participants.json"):
        assert (root / "bids" / name).is_file()


def check_repair(spec, root, expected):
    """A lost file is made again, and with it nothing else changes."""
    next((root / "bids" / "sub-AD01" / "dwi").glob("*.nii.gz")).unlink()
    simulate_cohort(spec, root / "bids", root / "truth", report=lambda line: None)
    assert hashes(root) == expected


def check_replacement(spec, root):
    """Another description needs force, which removes the old subjects."""
    other = dataclasses.replace(spec, n_ad=0, seed=5)
    with pytest.raises(FileExistsError, match="--force"):
        simulate_cohort(other, root / "bids", root / "truth")
    other = dataclasses.replace(other, n_ad=0, n_nc=1)
    simulate_cohort(other, root / "bids", root / "truth", force=True, report=lambda line: None)
    assert [p.name for p in sorted((root / "bids").glob("sub-*"))] == []
    assert [p.name for p in sorted((root / "truth").glob("sub-*"))] == ["sub-NC01"]


def test_groups_resemble_the_study():
    n = 1500
    subjects, table = draw_cohort(CohortSpec(n, n, n, seed=2))
    table = table.assign(
        left=[s.alps_left for s in subjects],
        right=[s.alps_right for s in subjects],
        epvs=[s.epvs_cso + s.epvs_bg + s.epvs_midbrain for s in subjects],
        bg=[s.epvs_bg for s in subjects],
    )
    expected = {
        "AD": (68.75, 7.83, 17.27, 13.38, 1.312, 1.303, 19, 40 / 89),
        "aMCI": (67.25, 8.25, 25.92, 20.88, 1.429, 1.472, 14, 0.5),
        "NC": (65.41, 8.72, 28.59, 27.28, 1.576, 1.565, 12, 12 / 32),
    }
    for label, values in expected.items():
        group = table[table["group"] == label]
        age, education, mmse, moca, left, right, epvs, male = values
        assert group["age"].mean() == pytest.approx(age, abs=1)
        assert group["education"].mean() == pytest.approx(education, abs=0.5)
        assert group["mmse"].mean() == pytest.approx(mmse, abs=0.5)
        assert group["moca"].mean() == pytest.approx(moca, abs=0.6)
        assert group["left"].mean() == pytest.approx(left, abs=0.015)
        assert group["right"].mean() == pytest.approx(right, abs=0.015)
        assert group["epvs"].median() == pytest.approx(epvs, abs=1)
        assert (group["sex"] == "M").mean() == pytest.approx(male, abs=0.05)
        assert group["left"].corr(group["right"]) == pytest.approx(0.7, abs=0.05)
        assert 0.15 < group["left"].corr(group["mmse"]) < 0.45
        assert -0.45 < group["left"].corr(group["epvs"]) < -0.1
        assert 0.5 < group["bg"].sum() / group["epvs"].sum() < 0.65
    spread = table.groupby("group")["left"].std()
    assert spread["AD"] == pytest.approx(0.016 * np.sqrt(89), rel=0.07)
    assert spread["NC"] == pytest.approx(0.031 * np.sqrt(32), rel=0.07)
    assert table["mmse"].between(0, 30).all()
    assert table["moca"].between(0, 30).all()


def test_a_larger_cohort_contains_the_smaller():
    few, _ = draw_cohort(CohortSpec(1, 1, 1, seed=8))
    many, _ = draw_cohort(CohortSpec(3, 2, 4, seed=8))
    assert set(few) <= set(many)


def test_wrong_descriptions_are_refused():
    with pytest.raises(ValueError, match="unknown modalities"):
        ScanSpec(modalities=("T1",))
    with pytest.raises(ValueError, match="storage order"):
        ScanSpec(dwi_storage="RAR")
    with pytest.raises(ValueError, match="letters and digits"):
        SubjectSpec("a_b", 1)
    with pytest.raises(ValueError, match="no such subjects"):
        draw_cohort(CohortSpec(1, 1, 1, missing=(("AD09", "dwi"),)))


def test_command_line(tmp_path, capsys):
    command = [str(tmp_path / "bids"), str(tmp_path / "truth"), "--groups", "0", "0", "1"]
    command += ["--light", "--modalities", "dwi", "--dwi-voxel", "4", "--shells", "1000:6"]
    assert main(command) == 0
    assert "1/1 sub-NC01" in capsys.readouterr().out
    assert main([*command, "--seed", "2"]) == 1
    assert "--force" in capsys.readouterr().err
