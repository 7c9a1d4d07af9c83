"""Clocks and times of files that do not tell what happened first."""

import os
import shutil
import time

import pytest

from tests.faults.conftest import change, image, plan, rows, run, tables

pytestmark = pytest.mark.slow
DAY = 86400


def set_time(path, seconds):
    os.utime(path, (seconds, seconds))


def test_changed_files_with_old_times(finished, clean):
    """A changed file is noticed even if its time is older than every result, as after restoring a
    backup; one with the old content is not."""
    people = finished / "bids/participants.tsv"
    for kind in ("T1w", "dwi"):
        path = image(finished, "sub-NC01", kind)
        change(path)
        set_time(path, time.time() - 1000 * DAY)
    people.write_text(people.read_text().replace("\t76\t", "\t77\t"))
    set_time(people, time.time() - 1000 * DAY)
    jobs = plan(finished)
    assert jobs["anat_preproc"] == jobs["dwi_correct"] == jobs["metrics_group"] == 1
    assert jobs["metrics_unit"] == 1
    for kind in ("T1w", "dwi"):
        shutil.copy2(image(clean, "sub-NC01", kind), image(finished, "sub-NC01", kind))
    assert plan(finished) == {"metrics_group": 1, "review_page": 1, "all": 1}
    run(finished)
    before, after = rows(clean), rows(finished)
    assert after[2].pop("age") == "77"
    assert before[2].pop("age") == "76"
    assert before == after


def test_image_from_the_future(finished, clean):
    """An image dated in the future is left out and listed with the cure, and the others finished;
    once it is touched, the tables are those of a clean run."""
    path = image(finished, "sub-NC01", "dwi")
    set_time(path, time.time() + DAY)
    output = run(finished)
    assert f"{path.relative_to(finished)}: it is dated in the future" in output
    listed = {row["participant_id"]: row for row in rows(finished, "exclusions")}["sub-NC01"]
    assert "dated in the future" in listed["reason"]
    assert listed["cure"] == "correct the clock, or touch the file"
    assert "alps_native_mean" not in rows(finished)[0]
    shutil.copy2(image(clean, "sub-NC01", "dwi"), path)
    run(finished)
    assert tables(finished) == tables(clean)


def test_results_from_the_future(finished, clean):
    """Where the clock was set back since results were made, a run is refused: nothing it makes
    would be newer than they are. Without them it goes on."""
    made = [finished / "out/group/metrics.tsv", finished / "out/sub-AD01/sub-AD01_metrics.json"]
    for path in made:
        set_time(path, time.time() + DAY)
    change(image(finished, "sub-AD01", "T1w"))
    output = run(finished, fails=True)
    assert "2 results are dated in the future" in output
    assert "correct the clock, or delete these files" in output
    shutil.copy2(image(clean, "sub-AD01", "T1w"), image(finished, "sub-AD01", "T1w"))
    for path in made:
        path.unlink()
    run(finished)
    assert tables(finished) == tables(clean)


def test_participants_from_the_future(finished):
    """A participants table dated in the future is said at the start."""
    set_time(finished / "bids/participants.tsv", time.time() + DAY)
    output = run(finished, fails=True)
    assert "participants.tsv is dated in the future" in output
    assert "Traceback" not in output
