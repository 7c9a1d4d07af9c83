"""One job's frame: logs, threads, stops handed on, real faults raised."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from glymph.common.errors import BadInput, Stop, read_stop, write_stop
from glymph.common.images import load, save
from glymph.common.integrity import checksum
from glymph.common.sidecars import read_json, write_json

ROOT = Path(__file__).resolve().parents[2]


def job(folder, body, *, inputs=(), pass_stops=True, sources=None):
    """Run ``body`` as main(snakemake) in a process of its own; returns (exit code, log, output)."""
    script = textwrap.dedent(f"""
        from types import SimpleNamespace
        from glymph.common.errors import BadInput
        from glymph.common.job import run

        def main(snakemake):
        {textwrap.indent(textwrap.dedent(body), "    ")}

        class Listed(list):
            pass

        run(main, SimpleNamespace(
            input={list(map(str, inputs))!r}, output=["out.json", "out.nii.gz"], log=["job.log"],
            threads=3, rule="stage_step", wildcards=SimpleNamespace(prefix="sub-01"),
            params=SimpleNamespace(sources={sources or {}!r}), config=dict(output_dir=".")),
            pass_stops={pass_stops})
    """).replace("        {", "{")
    (folder / "script.py").write_text(textwrap.dedent(script))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT / "workflow"), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    log = folder / "job.log"
    return done.returncode, log.read_text() if log.is_file() else "", done.stdout + done.stderr


def test_all_output_goes_to_the_log_also_of_child_processes(tmp_path):
    code, log, console = job(tmp_path, "import os; print('python'); os.system('echo child >&2')")
    assert code == 0
    assert "python" in log
    assert "child" in log
    assert console == ""


def test_threads_are_set_before_libraries_load(tmp_path):
    _, log, _ = job(tmp_path, "import os; print(os.environ['ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS'],"
                              " os.environ['OMP_NUM_THREADS'])")  # fmt: skip
    assert "3 3" in log


def test_bad_input_becomes_a_stop_in_every_output(tmp_path):
    code, log, _ = job(tmp_path, "raise BadInput('is odd', 'x.nii.gz', 'make it even')")
    assert code == 0
    assert "x.nii.gz: is odd To do: make it even" in log
    expected = Stop("is odd", "x.nii.gz", "make it even", "stage_step")
    assert read_stop(tmp_path / "out.json") == expected
    assert read_stop(tmp_path / "out.nii.gz") == expected


def test_a_stop_is_handed_on_with_its_first_stage(tmp_path):
    first = Stop("is odd", "x.nii.gz", "make it even", "inputs_check")
    write_stop(tmp_path / "in.json", first)
    code, _, _ = job(tmp_path, "raise RuntimeError('must not run')", inputs=["in.json"])
    assert code == 0
    assert read_stop(tmp_path / "out.json") == first


def test_collecting_jobs_look_for_themselves(tmp_path):
    write_stop(tmp_path / "in.json", Stop("is odd"))
    _, log, _ = job(tmp_path, "print('ran')", inputs=["in.json"], pass_stops=False)
    assert "ran" in log


def test_a_fault_fails_the_job_and_leaves_no_stop(tmp_path):
    code, log, _ = job(tmp_path, "raise MemoryError('no room')")
    assert code == 1
    assert "MemoryError: no room" in log
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("body", ["pass", "raise OSError('3 bytes missing')",
                                  "raise BadInput('is odd')"])  # fmt: skip
def test_a_source_replaced_during_the_job_is_the_reason(tmp_path, body):
    """Whatever the work makes of a file that is half old, half new: a result, an error, a stop."""
    source = tmp_path / "T1w.nii.gz"
    source.write_text("old")
    code, log, _ = job(tmp_path, f"open('T1w.nii.gz', 'w').write('new'); {body}",
                       sources={source.name: checksum(source)})  # fmt: skip
    assert code == 1
    assert "FAILED in stage_step: T1w.nii.gz: this file changed while the workflow was run" in log


def test_stop_reads_like_a_sentence():
    problem = BadInput("is odd", "x.nii.gz", "make it even")
    assert str(problem) == "x.nii.gz: is odd To do: make it even"


def test_no_nan_is_ever_written(tmp_path):
    with pytest.raises(ValueError, match="not finite"):
        save(np.full((2, 2, 2), np.nan), np.eye(4), tmp_path / "x.nii.gz")


def test_saved_image_has_both_forms_and_a_sidecar(storage, tmp_path):
    _, affine = storage
    data = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    save(data, affine, tmp_path / "x.nii.gz", {"Units": "mm2/s", "list": np.arange(2)})
    image = load(tmp_path / "x.nii.gz")
    np.testing.assert_allclose(image.get_sform(), affine, atol=1e-5)
    np.testing.assert_allclose(image.get_qform(), affine, atol=1e-4)
    assert read_json(tmp_path / "x.json") == {"Units": "mm2/s", "list": [0, 1]}


def test_json_has_no_nan(tmp_path):
    write_json({"a": float("nan"), "b": np.float32(1.5), "c": np.int64(2)}, tmp_path / "x.json")
    assert read_json(tmp_path / "x.json") == {"a": None, "b": 1.5, "c": 2}


def test_a_log_that_cannot_be_written_does_not_hide_the_reason(tmp_path):
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); print('lost')"
    code, log, console = job(tmp_path, full + "; raise RuntimeError('the reason')")
    assert code != 0
    assert log == ""
    assert "RuntimeError: the reason" in console


def test_a_full_disk_is_named_whatever_failed_of_it(tmp_path):
    full = "import shutil; shutil.disk_usage = lambda folder: SimpleNamespace(free=4096)"
    code, log, console = job(tmp_path, full + "; raise RuntimeError('a library says little')")
    assert code == 1
    assert "a library says little" in log
    assert "No space left on device To do: make space, then run the same command again" in log
    assert console == ""
