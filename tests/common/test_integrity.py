"""Sources and results that are not what they were; one holder of an output folder."""

import os
import subprocess
import sys

import pytest

from glymph.common import integrity
from glymph.common.errors import Fault
from tests.conftest import ROOT


def test_small_files_are_known_by_content_and_large_ones_by_size_and_time(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"a")
    large.write_bytes(bytes(integrity.SMALL_BYTES + 1))
    before = integrity.state(small), integrity.state(large)
    for path in (small, large):
        os.utime(path, (1e9, 1e9))
    assert integrity.state(small) == before[0]
    assert integrity.state(large) != before[1]
    small.write_bytes(b"b")
    assert integrity.state(small) != before[0]
    assert integrity.state(tmp_path / "nothing") == "absent"


def test_a_changed_source_is_named(tmp_path):
    path = tmp_path / "T1w"
    path.write_text("a")
    states = {str(path): integrity.state(path)}
    integrity.check_sources(states)
    path.unlink()
    with pytest.raises(Fault, match="T1w: this file changed .* run the same command again"):
        integrity.check_sources(states)


def test_results_are_compared_with_their_records(tmp_path):
    made, foreign = tmp_path / "sub" / "fa.nii.gz", tmp_path / "sub" / "own.nii.gz"
    made.parent.mkdir()
    foreign.write_text("x")
    integrity.begin([made], tmp_path)
    made.write_text("half")
    with pytest.raises(Fault, match="half-written"):
        integrity.check_results([made], tmp_path)
    made.write_text("whole")
    integrity.finish([made], tmp_path)
    integrity.check_results([made, foreign, "/elsewhere/file"], tmp_path)
    made.write_text("other")
    with pytest.raises(Fault, match="not as the workflow made it.* delete the file"):
        integrity.check_results([made], tmp_path)


def test_a_folder_is_compared_file_by_file(tmp_path):
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / "a.png").write_text("a")
    integrity.begin([figures], tmp_path)
    integrity.finish([figures], tmp_path)
    (figures / ".snakemake_timestamp").touch()
    integrity.check_results([figures], tmp_path)
    (figures / "a.png").rename(figures / "b.png")
    with pytest.raises(Fault):
        integrity.check_results([figures], tmp_path)


def holder(*arguments, call="hold_alone(sys.argv[1], sys.argv[2:])"):
    """A process that holds what ``call`` says until its input ends; it prints the answer first."""
    program = (
        "import sys; from glymph.common import integrity; "
        f"print(integrity.{call}, flush=True); sys.stdin.read()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT / "workflow")},
    )  # fmt: skip


def test_one_run_holds_a_folder_and_lets_go_when_it_ends(tmp_path):
    with holder(tmp_path) as first:
        assert first.stdout.readline() == "True\n"
        with holder(tmp_path) as second:
            assert second.stdout.readline() == "False\n"
        first.kill()
    with holder(tmp_path) as third:
        assert third.stdout.readline() == "True\n"


def test_runs_of_single_subjects_stand_side_by_side(tmp_path):
    """Each holds its own; a run of all of them, or of the same subject, finds the folder taken."""

    def holds(*units):
        process = holder(tmp_path, *units)
        return process, process.stdout.readline() == "True\n"

    def ends(process):
        process.communicate()
        return True

    one, held = holds("sub-01", "sub-02")
    two, held_too = holds("sub-03")
    assert held and held_too
    for units in ([], ["sub-02"], ["sub-04", "sub-03"]):
        other, found = holds(*units)
        assert ends(other) and not found
    assert ends(one) and ends(two)
    whole, held = holds()
    other, found = holds("sub-01")
    assert held and not found
    assert ends(whole) and ends(other)


def test_a_job_that_is_left_behind_holds_its_subject_only(tmp_path):
    (tmp_path / integrity.RECORDS).mkdir()
    (tmp_path / integrity.RECORDS / "lock").touch()
    with holder(tmp_path, call="hold_with_others(sys.argv[1], 'sub-01')") as job:
        job.stdout.readline()
        assert integrity.hold_alone(tmp_path, ["sub-02"])
        assert not integrity.hold_alone(tmp_path, ["sub-01"])
        assert not integrity.hold_alone(tmp_path)


def test_a_time_stamp_of_snakemake_is_no_change_of_a_folder(tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "one.png").write_bytes(b"1")
    before = integrity.checksum(folder)
    (folder / ".snakemake_timestamp").touch()
    assert integrity.checksum(folder) == before
    (folder / "one.png").write_bytes(b"2")
    assert integrity.checksum(folder) != before
