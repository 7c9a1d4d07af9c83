"""The image of the Dockerfile: what it says, and the numbers of a subject run through it."""

import json

import pytest

from tests.container.conftest import OTHER_USER
from tests.workflow.conftest import planned, settings, snakemake

pytestmark = pytest.mark.slow


def asked(folder, out):
    """One subject; each run keeps snakemake's records in a folder of its own."""
    found = settings(folder / "bids", folder / out, participant_label="[NC01]")
    return ["--directory", folder / f"records_of_{out}", "participant", *found]


def metrics(folder, out):
    """The subject's record, without what is installed: here that is more than a run needs."""
    found = json.loads((folder / out / "sub-NC01" / "sub-NC01_metrics.json").read_text())
    return {key: value for key, value in found.items() if not key.startswith("software")}


def owners(folder):
    return {path.stat().st_uid for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def at_home(image, data):
    """The same subject, run on this machine in the environment of the tests."""
    snakemake(*asked(data, "home"), cwd=data)
    return metrics(data, "home")


def test_without_arguments_it_says_how_to_use_it(image, data):
    assert image.about["OCIv1"]["config"]["Cmd"] == ["--help"]
    assert "usage: snakemake" in image.run("--help", folder=data)


def test_it_is_small(image):
    """Without CUDA, which pip takes where no build of torch for CPUs is at hand."""
    number, unit = image.size().split()
    print("image:", image.size())
    assert unit == "GB" and float(number) < 2.5


def test_as_root_it_gives_the_numbers_of_this_machine(image, data, at_home):
    image.run("--cores", 2, *asked(data, "as_root"), folder=data)
    assert metrics(data, "as_root") == at_home


def test_as_an_ordinary_user_too_and_all_files_are_that_users(image, data, at_home):
    image.run("--cores", 2, *asked(data, "as_user"), folder=data, user=OTHER_USER)
    assert metrics(data, "as_user") == at_home
    assert owners(data / "as_user") == {OTHER_USER}


def test_what_this_machine_has_made_the_image_need_not_make_again(image, data, at_home):
    """The repository enters by content, not by place."""
    said = image.run("-n", "--cores", 2, *asked(data, "home"), folder=data)
    assert planned(said) == {}, said[-3000:]
