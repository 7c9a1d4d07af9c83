"""Runs and jobs that end in the middle of their work."""

import os
import resource
import signal

import pytest

from glymph.simulate.table import draw
from tests.faults.conftest import (
    NAMES,
    Run,
    change,
    change_nc01,
    image,
    plan,
    rows,
    run,
    unlock,
)  # fmt: skip

pytestmark = pytest.mark.slow


def expect(folder, clean, changed_row):
    """The table holds the new numbers of NC01, the old ones of the others, and is complete."""
    assert rows(folder) == [*rows(clean)[:2], changed_row]
    assert plan(folder) == {}


def test_kill_9_of_the_whole_run(finished, clean, changed_row):
    """After `kill -9` of everything at any moment of any stage the same command, after one
    --unlock, goes on and ends with the tables of a clean run."""
    change_nc01(finished)
    for rule in ("dwi_correct", "anat_preproc", "anat_register", "alps_index", "metrics_group"):
        with Run(finished) as work:
            work.job(rule)
        unlock(finished)
    run(finished)
    expect(finished, clean, changed_row)


def test_kill_9_of_a_job_and_lack_of_memory(finished, clean, changed_row):
    """A job that is killed, or gets no memory, fails alone: nothing of it stays, the other subjects
    are finished, and the next run makes what is missing."""
    change_nc01(finished)
    change(image(finished, "sub-AD01", "T1w"))
    before = {name: (finished / f"out/{name}/{name}_qc.html").stat().st_mtime for name in NAMES}
    with Run(finished) as work:
        for rule, job in work.jobs("sub-NC01_anat_register", "dwi_tensor"):
            if rule == "dwi_tensor":
                resource.prlimit(job, resource.RLIMIT_AS, (1 << 20, 1 << 20))
            else:
                os.kill(job, signal.SIGKILL)
        code, output = work.end()
    assert code != 0
    assert "Run the same command again to retry only what is missing" in output
    assert "MemoryError" in output or "Cannot allocate memory" in output
    for name in ("anat/sub-NC01_desc-template_anat.json", "dwi/sub-NC01_desc-tensor_dwi.json"):
        assert not (finished / "out/sub-NC01" / name).exists()
    assert not (finished / "out/group/metrics.tsv").exists() or rows(finished) == rows(clean)
    assert (finished / "out/sub-AD01/sub-AD01_qc.html").stat().st_mtime > before["sub-AD01"]
    jobs = plan(finished)
    assert jobs["anat_register"] == jobs["dwi_tensor"] == jobs["alps_index"] == 1
    assert "anat_preproc" not in jobs
    run(finished)
    assert rows(finished)[1:] == [rows(clean)[1], changed_row]
    assert plan(finished) == {}


def test_kill_9_of_snakemake_alone(finished, clean, changed_row):
    """Where `kill -9` hits snakemake and its jobs live on, no second run starts beside them: it is
    refused until they end."""
    change_nc01(finished)
    with Run(finished) as work:
        with work.held("anat_preproc"):
            os.kill(work.process.pid, signal.SIGKILL)
            work.process.wait()
            unlock(finished)
            output = run(finished, fails=True)
            assert "a job that one has left behind, is writing to output_dir" in output
        work.wait_for_jobs()
    run(finished)
    expect(finished, clean, changed_row)


def test_kill_9_during_statistics_and_report(tmp_path):
    """A run of statistics that is killed half-way to other settings, and is then run with the old
    ones, ends with the old tables and figures: nothing of the other settings stays."""
    draw().to_csv(tmp_path / "table.tsv", sep="\t", index=False, float_format="%.10g")
    settings = tmp_path / "settings.yaml"
    settings.write_text("stats: {permutations: 0, repeats: 1, alpha: 0.05}\n")
    table = {"metrics_table": "table.tsv"}
    run(tmp_path, **table)
    results = sorted(p for p in (tmp_path / "out/group").rglob("*") if p.suffix in (".tsv", ".png"))
    before = [path.read_bytes() for path in results]
    assert len(before) > 20
    settings.write_text(settings.read_text().replace("0.05", "0.01"))
    for rule in ("stats_comparison", "report_figures", "report_page"):
        with Run(tmp_path, **table) as work:
            work.job(rule)
        unlock(tmp_path, **table)
    settings.write_text(settings.read_text().replace("0.01", "0.05"))
    run(tmp_path, **table)
    assert [path.read_bytes() for path in results] == before
    assert plan(tmp_path, **table) == {}
