"""Each line of reruns.yaml by dry runs on a finished cohort; the page and the keys are complete.

Whether a rule runs again depends on times, states, parameters and snakemake's notes, not on what is
in the results. So the cohort is finished by `snakemake --touch`: its results are empty files that
snakemake has noted as made. That a cohort which was computed has nothing to do the second time is
tested in test_run.py, test_run_epvs.py and test_run_table.py.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.workflow import reruns
from tests.workflow.conftest import ROOT, copy_of_repository, planned

TABLE = reruns.load()
SCHEMA = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
DWI = ("dwi.nii.gz", "dwi.bval", "dwi.bvec", "dwi.json")
SUBJECTS = {
    "sub-01": ("T1w.nii.gz", "T2w.nii.gz", "FLAIR.nii.gz", *DWI),
    "sub-02": DWI,
    "sub-03": ("T1w.nii.gz",),
}
OWN = [f"bids/own/sub-01_{name}.nii.gz" for name in ("brain", "regions", "epvs", "lesions")]
PATHS = {kind: f"{{name}}/anat/{{name}}_{kind}.nii.gz" for kind in ("T1w", "T2w", "FLAIR")}
PATHS |= {kind: f"{{name}}/dwi/{{name}}_dwi.{kind}" for kind in ("bval", "bvec", "json")}
PATHS |= {"dwi": "{name}/dwi/{name}_dwi.nii.gz"}
PATHS |= {f"rater_{rater}": f"derivatives/{rater}/{{name}}/anat/{{name}}_label-EPVS_mask.nii.gz"
          for rater in ("anna", "ben")}  # fmt: skip
REVIEW = "mine/corrected/sub-01/anat/sub-01_"
CORRECTED = ("desc-brain_mask", "space-T1w_res-1mm_desc-region_dseg", "label-EPVS_mask")
PEOPLE = """\
participant_id\tgroup\tage\tdiagnosis\tyears\tcentre\tvolume\tscanned
sub-01\tNC\t60\tNC\t60\ta\t1000000\t2020-01-01
sub-02\tAD\t61\tMCI\t61\ta\t1000000\t2020-01-01
sub-03\tAD\t62\tAD\t62\tb\t1000000\t2020-01-01
"""
SCANS = "filename\tacq_time\nanat/sub-01_T1w.nii.gz\t2020-01-01\n"


def snakemake(folder, *options, root=ROOT):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", root / "Snakefile", "--cores", "1", *options],
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def make_empty(folder, paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def make_cohort(folder):
    """Empty images of one subject of each kind, and everything that a line of the table names."""
    make_empty(folder, [
        f"bids/{name}/{'dwi' if kind.startswith('dwi') else 'anat'}/{name}_{kind}"
        for name, kinds in SUBJECTS.items() for kind in kinds
    ])  # fmt: skip
    make_empty(folder, [f"bids/sub-02/fmap/sub-02_epi.{end}" for end in ("nii.gz", "json")])
    mask = "anat/sub-01_label-EPVS_mask.nii.gz"
    make_empty(folder, [f"bids/derivatives/{rater}/sub-01/{mask}" for rater in ("anna", "ben")])
    make_empty(folder, [f"template/{name}.nii.gz" for name in ("t1w", "gm", "wm")])
    rois = TABLE["bases"]["own"]["alps"]["user_rois"].values()
    make_empty(folder, [*OWN, *(roi["mask"] for roi in rois)])
    shutil.copytree(ROOT / "resources/models", folder / "models")
    make_empty(folder, [f"{REVIEW}{name}.nii.gz" for name in CORRECTED])
    (folder / "mine/ratings_AB.tsv").write_text("participant_id\titem\trating\trater\n")
    (folder / "mine/objects_AB.tsv").write_text(
        "participant_id\tobject\tx_mm\ty_mm\tz_mm\tregion\tdecision\trater\n"
    )
    (folder / "mine/rois.tsv").write_text(
        "participant_id\troi\tshift_x_mm\nsub-01\tleft_projection\t1\n"
    )
    (folder / "bids/dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    for name in ("bids/participants.tsv", "people.tsv", "mine.tsv"):
        (folder / name).write_text(PEOPLE)
    (folder / "bids/dwi.json").write_text("{}")
    (folder / "bids/sub-01/sub-01_scans.tsv").write_text(SCANS)
    for name in ("engine.sh", "lesions.sh"):
        (folder / name).write_text("exit 1\n")
    (folder / "paths.tsv").write_text(path_table(folder))
    shutil.copytree(folder / "bids", folder / "moved")


def finish(folder, base, root=ROOT):
    """Empty results of the configuration ``base``, noted by snakemake as made just now."""
    common = {"bids_dir": "bids", "output_dir": "out"}
    (folder / "base.yaml").write_text(yaml.safe_dump(common | TABLE["bases"][base]))
    summary = snakemake(folder, "--summary", "--configfile", "base.yaml", root=root)
    lines = [line.split("\t") for line in summary.splitlines() if "\t" in line]
    make_empty(folder, [line[0] for line in lines if line[0] not in ("output_file", figures())])
    (folder / figures()).mkdir(exist_ok=True)
    snakemake(folder, "--touch", "--forceall", "--configfile", "base.yaml", root=root)


def figures():
    return "out/group/figures"


def rerun(folder, *options, root=ROOT):
    """(rules that would run, subjects for whom)."""
    output = snakemake(folder, "-n", "--configfile", "base.yaml", *options, root=root)
    jobs = re.findall(r"^Job \d+: (.*)$", output, flags=re.M)
    units = {name for job in jobs for name in re.findall(r"sub-\w+", job)}
    return set(planned(output)) - {"all"}, units


def change(path, text=None):
    """Another content, a little later; weights with the checksum that their bundle names."""
    path.write_bytes(text.encode() if text else path.read_bytes() + b"#")
    os.utime(path, (time.time() + 2, time.time() + 2))
    if path.name == "model.pt":
        metadata = path.parents[1] / "configs/metadata.json"
        content = json.loads(metadata.read_text())
        content["weights"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        metadata.write_text(json.dumps(content))


def path_table(folder):
    """The cohort as a table of paths."""
    lines = [["participant_id", *PATHS]]
    for name in SUBJECTS:
        paths = [f"bids/{path.format(name=name)}" for path in PATHS.values()]
        lines.append([name, *(path if (folder / path).is_file() else "n/a" for path in paths)])
    return "".join("\t".join(line) + "\n" for line in lines)


def nested(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Function: the folder of a finished cohort with this base."""
    made = {}

    def folder_of(base):
        if base not in made:
            made[base] = tmp_path_factory.mktemp(base)
            make_cohort(made[base])
            finish(made[base], base)
        return made[base]

    return folder_of


@pytest.fixture
def changed(bases):
    """Function: change a file of a base's cohort until the end of the test; returns the folder."""
    undo = []

    def apply(base, name, text=None):
        folder = bases(base)
        assert rerun(folder) == (set(), set())
        place = folder / name
        whole = place.parents[1] if place.name == "model.pt" else place
        kept = folder / "kept"
        (shutil.copytree if whole.is_dir() else shutil.copy2)(whole, kept)
        undo.append((whole, kept))
        change(place, text)
        return folder

    yield apply
    for whole, kept in undo:
        shutil.rmtree(whole) if whole.is_dir() else whole.unlink()
        shutil.move(kept, whole)


def expected(line):
    return set(reruns.expand(line["rules"], TABLE["groups"]))


@pytest.mark.slow
@pytest.mark.parametrize("line", TABLE["cohort"], ids=lambda line: line["file"])
def test_a_file_of_the_cohort(changed, line):
    rules, units = rerun(changed(line.get("base", "study"), line["file"], line.get("text")))
    assert rules == expected(line)
    if "units" in line:
        assert units == set(line["units"])


KEYS = [(key, line) for line in TABLE["configuration"] for key in line["keys"]]


@pytest.mark.slow
@pytest.mark.parametrize(("key", "line"), KEYS, ids=[key for key, _ in KEYS])
def test_a_key_of_the_configuration(bases, stand_ins, tmp_path, key, line):
    if line.get("fsl"):
        stand_ins()
    overlay = tmp_path / "change.yaml"
    value = line["keys"][key]
    if key in ("train", "finetune"):
        value = yaml.safe_load((ROOT / value).read_text())[key]
    overlay.write_text(yaml.safe_dump(nested(key, value) | line.get("with", {})))
    rules, _ = rerun(bases(line.get("base", "study")), str(overlay))
    assert rules == expected(line)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """(a copy of the repository, a cohort finished with it)."""
    root, folder = tmp_path_factory.mktemp("repository"), tmp_path_factory.mktemp("cohort")
    copy_of_repository(root)
    make_cohort(folder)
    finish(folder, "study", root)
    return root, folder


@pytest.mark.slow
@pytest.mark.parametrize("line", TABLE["repository"], ids=lambda line: line["file"])
def test_a_file_of_the_repository(repository, line):
    root, folder = repository
    path = root / line["file"]
    kept = path.read_bytes(), path.stat()
    mark = b"{# #}\n" if path.suffix == ".j2" else b"\n# a comment\n"
    path.write_bytes(kept[0] + mark)
    try:
        assert rerun(folder, root=root)[0] == expected(line)
    finally:
        path.write_bytes(kept[0])
        os.utime(path, ns=(kept[1].st_atime_ns, kept[1].st_mtime_ns))


@pytest.mark.slow
def test_a_repository_elsewhere_changes_nothing(repository, tmp_path):
    """What belongs to the repository counts by its content, never by its place or its times."""
    _, folder = repository
    elsewhere = copy_of_repository(tmp_path / "elsewhere")
    for path in filter(Path.is_file, elsewhere.rglob("*")):
        os.utime(path, (time.time() + 2, time.time() + 2))
    assert rerun(folder, root=elsewhere)[0] == set()


def test_every_key_of_the_schema_has_a_line():
    def leaves(node, place=()):
        for key, rules in node["properties"].items():
            if "properties" in rules and key not in ("train", "finetune"):
                yield from leaves(rules, (*place, key))
            else:
                yield ".".join((*place, key))

    assert set(leaves(SCHEMA)) == {key for key, _ in KEYS}


def test_every_rule_is_in_the_table():
    rules = re.findall(
        r"^rule (\w+):", "".join(p.read_text() for p in (ROOT / "workflow/rules").glob("*.smk")),
        flags=re.M,
    )  # fmt: skip
    lines = [line for part in ("cohort", "configuration", "repository") for line in TABLE[part]]
    known = {rule for line in lines for rule in reruns.expand(line["rules"], TABLE["groups"])}
    assert set(rules) - known == {"train_network", "train_finetune"}


def test_the_page_is_that_of_the_table():
    assert reruns.PAGE.read_text(encoding="utf-8") == reruns.page(), (
        "run: python -m tests.workflow.reruns"
    )
