"""What labs really have, through the workflow itself: said in one message, or planned as meant."""

import subprocess
import sys

import pytest

from tests.workflow.conftest import ROOT, planned, settings, snakemake

DWI = ("dwi.nii.gz", "dwi.bval", "dwi.bvec", "dwi.json")
BRANCH = {"epvs": "{engine: none}"}


@pytest.fixture
def three(skeleton):
    """A dataset of sub-01, sub-02 and sub-AD10 with T1w and DWI."""
    for name in ("sub-01", "sub-02", "sub-AD10"):
        folder = skeleton(name, "T1w.nii.gz", *DWI)
    return folder


def plan(folder, *options, out="out", fails=False, **more):
    """The output of a dry run from the folder beside the dataset."""
    code, output = snakemake("-n", *options, *settings("bids", out, **BRANCH | more),
                             cwd=folder.parent, check=not fails)  # fmt: skip
    assert bool(code) == fails, output[-3000:]
    if fails:
        assert "Traceback" not in output
        assert len(output.split("The run cannot start:\n")[1].strip().splitlines()) == 1
    return output


def units(output):
    return planned(output).get("metrics_unit", 0)


@pytest.mark.parametrize("out", ["bids", "./bids", "bids/results"])
def test_results_among_raw_data_are_refused(three, out):
    before = sorted(three.rglob("*"))
    assert "raw data are not written to" in plan(three, out=out, fails=True)
    assert sorted(three.rglob("*")) == before


@pytest.mark.parametrize("out", ["./out", "out//x/", "a/../out", "bids/derivatives/x"])
def test_a_path_may_be_written_in_many_ways(three, out):
    assert units(plan(three, out=out)) == 3


def test_a_home_folder_is_filled_in(three, monkeypatch):
    monkeypatch.setenv("HOME", str(three.parent / "home"))
    (three.parent / "my.yaml").write_text("output_dir: ~/out\n")
    _, output = snakemake("review_ratings", "--configfile", "my.yaml", "--config", "bids_dir=bids",
                          "epvs={engine: none}", cwd=three.parent)  # fmt: skip
    assert (three.parent / "home/out/group/rejected.tsv").is_file(), output
    assert not (three.parent / "~").exists()


@pytest.mark.parametrize(
    ("labels", "number"),
    [("[01]", 1), ("['01', sub-AD10]", 2), ("[~02]", 2), ("[1, 2]", 2), ("01", 1)],
)
def test_who_takes_part_is_chosen_on_the_command_line(three, labels, number):
    output = plan(three, participant_label=labels)
    assert units(output) == number
    assert f"Found {number} subject-sessions" in output
    assert "Left out:" in output


def test_a_label_that_names_nobody_stops_the_start(three):
    output = plan(three, participant_label="[sub-AD01]", fails=True)
    assert "participant_label: nobody is called 'sub-AD01'; did you mean sub-AD10" in output
    assert "exclude: nobody is called 'sub-03'" in plan(three, exclude="[sub-03]", fails=True)


def test_what_is_missing_or_badly_named_stops_nobody_else(three, skeleton):
    skeleton("sub-04/ses-pre_op", "T1w.nii.gz")
    image = three / "sub-02/anat/sub-02_T1w.nii.gz"
    image.unlink()
    image.symlink_to("../../.git/annex/objects/x")
    output = plan(three)
    assert planned(output)["anat_preproc"] == 2
    assert planned(output)["dwi_correct"] == 3
    assert "To do: datalad get bids/sub-02/anat/sub-02_T1w.nii.gz" in output
    assert "'ses-pre_op' is not used" in output
    assert "1 files or folders are not used" in output


def test_an_unknown_entity_stops_the_start(three):
    output = plan(three, inputs="{filters: {T1w: {acquisitoin: x}}}", fails=True)
    assert "'acquisitoin' is no entity of BIDS; did you mean acquisition?" in output


def test_sessions_whose_order_is_not_known_are_said_at_the_start(three, skeleton):
    for session in ("pre", "post"):
        skeleton(f"sub-05/ses-{session}", "T1w.nii.gz")
    (three / "participants.tsv").write_text("participant_id\tgroup\nsub-01\tA\nsub-02\tB\n")
    assert "the order of sessions post, pre is not known" in plan(three)
    assert "order of sessions" not in plan(three, stats="{sessions: [pre, post]}")
    scans = "filename\tacq_time\nanat/sub-05_ses-{0}_T1w.nii.gz\t{1}-01-01\n"
    for session, year in (("pre", 2020), ("post", 2021)):
        table = three / f"sub-05/ses-{session}/sub-05_ses-{session}_scans.tsv"
        table.write_text(scans.format(session, year))
    assert "order of sessions" not in plan(three)


MODULE = """\
configfile: "my.yaml"
module glymph:
    snakefile: "{0}/Snakefile"
    config: config
use rule * from glymph as glymph_*
"""


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_workflow_as_a_module_of_another(tmp_path, elsewhere):
    """As snakedeploy writes it: from a folder of its own, also with --directory; jobs run."""
    folder = tmp_path / "work" if elsewhere else tmp_path
    folder.mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "glymph.simulate", folder / "bids", folder / "truth",
         "--per-group", "1", "--light", "--seed", "5", "--modalities", "T1w"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (tmp_path / "Snakefile").write_text(MODULE.format(ROOT))
    text = (ROOT / "config/config.yaml").read_text().replace("output_dir: results", "output_dir: o")
    (folder / "my.yaml").write_text(text.replace("engine: vbnet ", "engine: none "))
    options = ["--directory", "work"] if elsewhere else []
    target = "o/sub-AD01/inputs/sub-AD01_T1w.json"
    snakemake(target, "o/dataset_description.json", *options, cwd=tmp_path,
              snakefile=tmp_path / "Snakefile")  # fmt: skip
    assert (folder / target).is_file()
    _, output = snakemake("-n", *options, cwd=tmp_path, snakefile=tmp_path / "Snakefile")
    assert planned(output)["glymph_metrics_unit"] == 3
    assert "glymph_report_page" in planned(output)
