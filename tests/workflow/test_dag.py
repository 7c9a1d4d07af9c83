"""Which jobs are planned, over datasets and configurations; nothing is computed."""

import textwrap

import pytest

from tests.workflow.conftest import ROOT, planned, settings, snakemake

DWI = ("dwi.nii.gz", "dwi.bval", "dwi.bvec", "dwi.json")


def plan(bids, *more, **config):
    _, output = snakemake("-n", *more, *settings(bids, bids.parent / "out", **config),
                          cwd=bids.parent)  # fmt: skip
    return planned(output), output


def test_t1w_and_dwi(skeleton):
    jobs, _ = plan(skeleton("sub-01", "T1w.nii.gz", *DWI))
    assert jobs == {
        "all": 1, "inputs_check": 2, "inputs_describe": 1, "anat_preproc": 1, "anat_register": 1,
        "anat_segment": 1, "dwi_correct": 1, "dwi_tensor": 1, "dwi_register": 1, "alps_index": 1,
        "dwi_white_matter": 1,
        "metrics_unit": 1, "metrics_group": 1, "qc_page": 1, "epvs_prepare": 1, "epvs_regions": 1,
        "epvs_segment": 1, "epvs_census": 1, "epvs_atlas": 1, "review_ratings": 1, "review_page": 1,
    }  # fmt: skip


def test_dwi_without_t1w_goes_straight_to_the_template(skeleton):
    jobs, _ = plan(skeleton("sub-01", *DWI))
    assert "anat_preproc" not in jobs
    assert (jobs["dwi_register_template"], jobs["alps_index"]) == (1, 1)


def test_t1w_without_dwi(skeleton):
    jobs, _ = plan(skeleton("sub-01", "T1w.nii.gz"))
    assert jobs["anat_segment"] == 1
    assert "alps_index" not in jobs


def test_sessions_and_t2w(skeleton):
    skeleton("sub-01/ses-a", "T1w.nii.gz", "T2w.nii.gz", *DWI)
    jobs, _ = plan(skeleton("sub-01/ses-b", "T1w.nii.gz"))
    assert jobs["inputs_check"] == 4
    assert jobs["metrics_unit"] == 2


@pytest.mark.parametrize(
    "target, absent", [("participant", "metrics_group"), ("group", "inputs_describe")]
)
def test_targets(skeleton, target, absent):
    jobs, _ = plan(skeleton("sub-01", "T1w.nii.gz", *DWI), target)
    assert absent not in jobs
    assert jobs["alps_index"] == 1


def test_t2w_and_flair_are_aligned_and_only_once_each(skeleton):
    bids = skeleton("sub-01", "T1w.nii.gz", "T2w.nii.gz", "FLAIR.nii.gz")
    assert plan(bids)[0]["epvs_align"] == 2
    (bids / "masks").mkdir()
    (bids / "masks/sub-01.nii.gz").touch()
    own = "{lesion_mask: 'masks/{prefix}.nii.gz'}"  # the page shows the mask on the FLAIR
    assert plan(bids, epvs=own)[0]["epvs_align"] == 2


def test_a_program_marks_the_lesions_of_those_who_have_its_scans_and_no_mask(skeleton):
    bids = skeleton("sub-01", "T1w.nii.gz", "T2w.nii.gz", "FLAIR.nii.gz")
    skeleton("sub-02", "T1w.nii.gz", "T2w.nii.gz")
    (bids / "masks").mkdir()
    (bids / "masks/sub-01.nii.gz").touch()
    program = "lesion_command: 'cp {flair} {output}'"
    assert plan(bids, epvs=f"{{{program}}}")[0]["epvs_lesions"] == 1
    optional = program.replace("{flair}", "{t1w} {flair?}")
    assert plan(bids, epvs=f"{{{optional}}}")[0]["epvs_lesions"] == 2
    mask = "lesion_mask: 'masks/{prefix}.nii.gz'"
    assert plan(bids, epvs=f"{{{optional}, {mask}}}")[0]["epvs_lesions"] == 1
    assert "epvs_lesions" not in plan(bids, epvs=f"{{{program}, engine: none}}")[0]


def test_epvs_can_be_left_out(skeleton):
    jobs, _ = plan(skeleton("sub-01", "T1w.nii.gz", "T2w.nii.gz"), epvs="{engine: none}")
    assert not [rule for rule in jobs if rule.startswith("epvs")]


def test_raters_masks_bring_the_agreement(skeleton):
    bids = skeleton("sub-01", "T1w.nii.gz", "T2w.nii.gz")
    assert "epvs_agreement" not in plan(bids)[0]
    for rater in ("anna", "ben"):
        folder = bids / "derivatives" / rater / "sub-01" / "anat"
        folder.mkdir(parents=True)
        (folder / "sub-01_label-EPVS_mask.nii.gz").touch()
    jobs, _ = plan(bids)
    assert (jobs["epvs_agreement"], jobs["metrics_agreement"]) == (1, 1)


def test_training_is_a_target_that_needs_no_dataset(tmp_path):
    """The command of the README as it stands, in an empty folder."""
    files = (ROOT / "config/config.yaml", ROOT / "config/train.yaml")
    _, output = snakemake("-n", "train", "--configfile", *files, cwd=tmp_path)
    assert planned(output) == {"train": 1, "train_network": 3}
    _, output = snakemake("-n", "--configfile", *files, cwd=tmp_path)
    assert planned(output) == {"all": 1}  # and that has nothing to do
    (tmp_path / "mine.yaml").write_text("bids_dir: null")
    code, output = snakemake("-n", "--configfile", files[0], "mine.yaml", cwd=tmp_path, check=False)
    assert code != 0 and "set it to your BIDS dataset" in output


def test_a_table_needs_no_dataset_beside_it(skeleton, tmp_path):
    """With bids_dir: null too, a table of metrics or of paths is what the run starts from."""
    bids = skeleton("sub-01", "T1w.nii.gz")
    (tmp_path / "mine.tsv").write_text("participant_id\tgroup\nsub-01\tNC\nsub-02\tAD\n")
    image = bids / "sub-01/anat/sub-01_T1w.nii.gz"
    (tmp_path / "paths.tsv").write_text(f"participant_id\tT1w\nsub-01\t{image}\n")
    for key, table, rule in [
        ("metrics_table", "mine.tsv", "report_page"), ("path_table", "paths.tsv", "anat_preproc"),
    ]:  # fmt: skip
        (tmp_path / "null.yaml").write_text(f"bids_dir: null\n{key}: {table}\n")
        files = (ROOT / "config/config.yaml", "null.yaml")
        _, output = snakemake("-n", "--configfile", *files, cwd=tmp_path)
        assert planned(output)[rule] == 1


def test_groups_that_only_the_tables_of_sessions_know_are_compared(skeleton):
    for k, group in ((1, "NC"), (2, "AD")):
        bids = skeleton(f"sub-0{k}/ses-1", "T1w.nii.gz")
        table = bids / f"sub-0{k}/sub-0{k}_sessions.tsv"
        table.write_text(f"session_id\tgroup\nses-1\t{group}\n")
    assert plan(bids)[0]["stats_cohort"] == 1


def test_columns_of_people_are_renamed_once(skeleton, tmp_path):
    """The run's own table has the variables' names: what is called site there is no group, though
    participants.tsv calls its groups so."""
    for k in (1, 2):
        bids = skeleton(f"sub-0{k}", "T1w.nii.gz")
    (bids / "participants.tsv").write_text(
        "participant_id\tsite\tscanner\nsub-01\tNC\tA\nsub-02\tAD\tB\n"
    )
    group = tmp_path / "out/group"
    group.mkdir(parents=True)
    rows = (f"sub-{k:02}\t{'NC' if k % 2 else 'AD'}\tA\t1.{k}" for k in range(1, 9))
    head = "participant_id\tgroup\tsite\talps_native_mean"
    (group / "metrics.tsv").write_text("\n".join([head, *rows]) + "\n")
    (group / "rejected.tsv").write_text(
        "participant_id\tsession_id\titem\tleaves\treason\traters\n"
    )
    snakemake(
        "out/group/stats/analysed.tsv", "--allowed-rules", "stats_cohort",
        *settings(bids, "out", participants="{columns: {group: site, site: scanner}}"),
        cwd=tmp_path,
    )  # fmt: skip
    lines = (group / "stats/analysed.tsv").read_text().splitlines()
    place = lines[0].split("\t").index("group")
    assert sorted({line.split("\t")[place] for line in lines[1:]}) == ["AD", "NC"]


def test_finetuning_uses_the_rater_s_subjects(skeleton):
    skeleton("sub-01", "T1w.nii.gz", "T2w.nii.gz")
    bids = skeleton("sub-02", "T1w.nii.gz", "T2w.nii.gz")
    folder = bids / "derivatives" / "rater1" / "sub-02" / "anat"
    folder.mkdir(parents=True)
    (folder / "sub-02_label-EPVS_mask.nii.gz").touch()
    jobs, _ = plan(
        bids, "finetune", "--configfile", ROOT / "config/config.yaml", ROOT / "config/finetune.yaml"
    )
    assert (jobs["train_finetune"], jobs["epvs_regions"]) == (1, 1)


def test_a_folder_that_is_no_bundle_stops_the_start(skeleton):
    bids = skeleton("sub-01", "T1w.nii.gz")
    code, output = snakemake(
        "-n", *settings(bids, "out", epvs="{model: nowhere}"), cwd=bids.parent, check=False
    )
    assert code != 0
    assert "no MONAI bundle" in output
    assert "Traceback" not in output


def test_excluded_subject(skeleton):
    skeleton("sub-01", "T1w.nii.gz")
    jobs, _ = plan(skeleton("sub-02", "T1w.nii.gz"), exclude="[sub-02]")
    assert jobs["metrics_unit"] == 1


def test_a_decision_about_nobody_stops_the_start(skeleton, tmp_path):
    bids = skeleton("sub-01", "T1w.nii.gz")
    (tmp_path / "out/review").mkdir(parents=True)
    table = "participant_id\titem\trating\trater\nsub-1\troi\treject\tA\n"
    (tmp_path / "out/review/ratings_A.tsv").write_text(table)
    code, output = snakemake("-n", *settings(bids, "out"), cwd=tmp_path, check=False)
    assert code != 0
    assert "ratings_A.tsv: names sub-1," in output and "did you mean sub-01?" in output
    assert "Traceback" not in output
    people = "participant_id\tgroup\n1\tNC\n2\tAD\n"  # of this table sub-1 is one
    (tmp_path / "mine.tsv").write_text(people)
    assert plan(bids, metrics_table="mine.tsv")[0]["report_page"] == 1


def test_distortion_by_t1w_needs_the_t1w_first(skeleton):
    bids = skeleton("sub-01", "T1w.nii.gz", *DWI)
    assert "anat_preproc" not in plan(bids, "--until=dwi_correct")[0]
    assert plan(bids, "--until=dwi_correct", dwi="{distortion: t1w}")[0]["anat_preproc"] == 1


def test_path_table(skeleton, tmp_path):
    skeleton("sub-01", "T1w.nii.gz", *DWI)
    stem = "bids/sub-01/dwi/sub-01_dwi"
    (tmp_path / "table.tsv").write_text(
        "participant_id\tT1w\tdwi\tbval\tbvec\n"
        f"sub-X\tbids/sub-01/anat/sub-01_T1w.nii.gz\t{stem}.nii.gz\t{stem}.bval\t{stem}.bvec\n"
    )
    jobs, output = plan(tmp_path / "bids", path_table="table.tsv")
    assert jobs["alps_index"] == 1
    assert "sub-X" in output


def test_user_rois(skeleton, tmp_path):
    names = [f"{h}_{t}" for h in ("left", "right") for t in ("projection", "association")]
    lines = "".join(f"    {n}: {{mask: masks/{n}.nii.gz}}\n" for n in names)
    (tmp_path / "user.yaml").write_text(f"alps:\n  rois: user\n  user_rois:\n{lines}")
    (tmp_path / "masks").mkdir()
    for name in names:
        (tmp_path / "masks" / f"{name}.nii.gz").touch()
    bids = skeleton("sub-01", "T1w.nii.gz", *DWI)
    jobs, _ = plan(bids, "--configfile", tmp_path / "user.yaml")
    assert jobs["alps_index"] == 1
    (tmp_path / "masks" / "left_projection.nii.gz").unlink()
    code, output = snakemake(
        "-n", "--configfile", tmp_path / "user.yaml", *settings(bids, "out"), cwd=tmp_path,
        check=False,
    )  # fmt: skip
    assert code != 0
    assert "masks/left_projection.nii.gz" in output


@pytest.mark.parametrize(
    "config, message",
    [
        ({"alps": "{radius: 5}"}, "alps.radius: unknown key"),
        ({"dwi": "{b_max: high}"}, "dwi.b_max: 'high' is not of type number"),
        ({"bids_dir": "nowhere"}, "bids_dir 'nowhere' is no folder"),
        ({"exclude": "{sub-01: x}"}, "exclude: {'sub-01': 'x'} is not of type array"),
    ],
)
def test_start_is_refused_with_one_message(skeleton, config, message):
    bids = skeleton("sub-01", "T1w.nii.gz")
    code, output = snakemake(
        "-n", *settings(bids, "out"), *(f"{k}={v}" for k, v in config.items()),
        cwd=bids.parent, check=False,
    )  # fmt: skip
    assert code != 0
    assert message in output
    assert "Traceback" not in output


def test_the_message_stands_alone(skeleton):
    """No line of the workflow's own code under it: the fault is in what the user gave."""
    bids = skeleton("sub-01", "T1w.nii.gz")
    code, output = snakemake(
        "-n", *settings(bids, "out"), "bids_dir=nowhere", cwd=bids.parent, check=False
    )
    assert code == 1
    said = output.strip().splitlines()
    assert said[-2:] == [
        "The run cannot start:",
        "bids_dir 'nowhere' is no folder; set bids_dir to your BIDS dataset",
    ]
    assert ".smk" not in output


def test_summary_names_what_is_left_out(skeleton):
    skeleton("sub-01", "run-1_T1w.nii.gz", "run-2_T1w.nii.gz")
    bids = skeleton("sub-02", "T1w.nii.gz")
    (bids / "participants.tsv").write_text(
        textwrap.dedent("""\
        participant_id\tage
        sub-02\told
        sub-03\t70
        """)
    )
    _, output = plan(bids)
    for message in ("2 T1w images and no rule to choose", "age is 'old', not a number",
                    "sub-03 is in the participants table but has no images",
                    "sub-01 has images but no row"):  # fmt: skip
        assert message in output, message


def test_lint_is_clean(skeleton):
    bids = skeleton("sub-01", "T1w.nii.gz", *DWI)
    (bids / "participants.tsv").write_text("participant_id\tgroup\nsub-01\tNC\n")
    _, output = snakemake("--lint", *settings(bids, "out"), cwd=bids.parent, check=False)
    assert "Congratulations" in output, output[-3000:]


def test_a_plan_tells_every_job_in_words(skeleton):
    bids = skeleton("sub-01", "T1w.nii.gz", *DWI)
    output = snakemake("-n", *settings(bids, "out"), cwd=bids.parent)[1]
    assert "N4 and brain extraction of sub-01" in output
    assert "Check the dwi of sub-01" in output
