"""The SLURM profile: the numbers of a local run, and a job killed for memory."""

import pytest

from tests.slurm import cluster

pytestmark = pytest.mark.slow
COLUMNS = ("JobId", "JobState", "NumCPUs", "MinMemoryNode", "TimeLimit", "RunTime")


def show(title, jobs):
    """The job table, for the record (pytest -s, or the captured output)."""
    print(title, *("\t".join(job[c] for c in COLUMNS) for job in jobs), sep="\n")


def test_the_cluster_gives_the_numbers_of_a_local_run(lab):
    """One submission per subject and one for the cohort, as an ordinary user; same table."""
    before = len(cluster.jobs())
    output = lab.on_slurm("on_slurm")
    jobs = cluster.jobs()[before:]
    show("\t".join(COLUMNS), jobs)
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert all(job["UserId"].startswith("glymphtest(") for job in jobs)
    # the region atlas, a job for each of three subjects, and one for the cohort
    assert [job["NumCPUs"] for job in jobs] == ["1", "2", "2", "2", "2"], output
    lab.snakemake("local", "--cores", 2)
    assert lab.rows("on_slurm") == lab.rows("local")
    assert len(lab.rows("local")) == 3


def test_an_array_of_subjects_gives_the_numbers_of_a_local_run(lab):
    """Two tasks for three subjects, each with a plan of its own, then the cohort."""
    before = len(cluster.jobs())
    lab.as_array("in_parts")
    jobs = cluster.jobs()[before:]
    show("\t".join(COLUMNS), jobs)
    assert [job["JobState"] for job in jobs] == ["COMPLETED"] * 3
    if not (lab.folder / "local").is_dir():
        lab.snakemake("local", "--cores", 2)
    assert lab.rows("in_parts") == lab.rows("local")
    assert len(lab.rows("in_parts")) == 3


def test_a_job_killed_for_memory_comes_back_with_more(lab):
    """400 MB are too little for the networks: SLURM kills the job, the profile gives it more."""
    before = len(cluster.jobs())
    mask = "killed/sub-NC01/anat/sub-NC01_desc-brain_mask.nii.gz"
    growing = "mem_mb=400*attempt**2"
    lab.on_slurm("killed", mask, "--set-resources", f"inputs_check:{growing}",
                 f"anat_preproc:{growing}")  # fmt: skip
    jobs = cluster.jobs()[before:]
    show("\t".join(COLUMNS), jobs)
    assert [job["MinMemoryNode"] for job in jobs][:2] == ["400M", "1600M"]
    assert jobs[0]["JobState"] in ("FAILED", "OUT_OF_MEMORY")
    assert jobs[-1]["JobState"] == "COMPLETED"
    assert (lab.folder / mask).stat().st_size > 1000
