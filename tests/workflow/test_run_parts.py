"""Subjects in runs of their own, side by side, then the cohort alone; as one plan makes it."""

import csv
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.workflow.conftest import planned, settings, snakemake

pytestmark = pytest.mark.slow
NO_EPVS = {"epvs": "{engine: none}"}
NAMES = ("sub-AD01", "sub-MCI01", "sub-NC01")


def run(folder, *more, check=True, **config):
    arguments = [*more, *settings("bids", "out", **NO_EPVS, **config)]
    return snakemake(*arguments, cwd=folder, cores=1, check=check)


def of_subject(folder, name, **config):
    _, output = run(folder, "--nolock", plan="subjects", participant_label=f"[{name}]", **config)
    return planned(output)


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_parts_give_the_tables_of_one_plan(copy_of_finished):
    folder, out = copy_of_finished, copy_of_finished / "out"
    whole = {name: rows(out / "group" / f"{name}.tsv") for name in ("metrics", "exclusions")}
    for made in ("group", "report", "sub-NC01"):
        shutil.rmtree(out / made)
    with ThreadPoolExecutor() as pool:  # at once, as tasks of an array
        jobs = dict(zip(NAMES, pool.map(lambda name: of_subject(folder, name), NAMES), strict=True))
    assert jobs["sub-AD01"] == {"all": 1, "metrics_finished": 1}
    assert jobs["sub-NC01"]["anat_preproc"] == 1
    _, output = run(folder, plan="cohort")
    assert not [rule for rule in planned(output) if rule.startswith(("anat", "dwi", "alps", "qc_"))]
    assert {name: rows(out / "group" / f"{name}.tsv") for name in whole} == whole
    assert (out / "report/qc.html").is_file() and (out / "report/report.html").is_file()
    assert run(folder, "-n", plan="cohort")[1].count("Nothing to be done") == 1


def test_who_is_not_finished_is_listed_and_not_mixed_in(copy_of_finished):
    folder, out = copy_of_finished, copy_of_finished / "out"
    for name in NAMES[:2]:
        of_subject(folder, name)
    (folder / "bids/sub-MCI01/dwi/sub-MCI01_dwi.json").write_text("{}")
    run(folder, plan="cohort")
    assert [row["participant_id"] for row in rows(out / "group/metrics.tsv")] == ["sub-AD01"]
    why = {row["participant_id"]: row["reason"] for row in rows(out / "group/exclusions.tsv")}
    assert "its files changed since" in why["sub-MCI01"]
    assert "not finished" in why["sub-NC01"]
    code, output = run(folder, "-n", plan="cohort", check=False, dwi="{b_max: 900}")
    assert code != 0 and "made with another configuration" in output
