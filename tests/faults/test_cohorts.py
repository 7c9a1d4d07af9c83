"""Cohorts that change between runs, runs that meet, and a large cohort with many faults."""

import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from glymph.common.errors import read_stop
from glymph.common.sidecars import write_json
from glymph.inputs.check import check_anatomical, check_diffusion
from glymph.inputs.index import read_index
from glymph.metrics.exclusions import exclusions
from glymph.metrics.table import table
from glymph.metrics.unit import unit_record
from tests.faults.conftest import SETTINGS, Run, copy, image, plan, rows, run, tables

pytestmark = pytest.mark.slow


def rename(folder, old, new):
    for path in sorted(folder.rglob(f"*{old}*"), reverse=True):
        path.rename(path.with_name(path.name.replace(old, new)))


def test_subject_removed_renamed_and_added(finished, clean):
    """The tables hold exactly the subjects that there are: none of a removed or renamed one, and
    everyone else's numbers as before."""
    bids = finished / "bids"
    known = {row["participant_id"]: row for row in rows(clean)}
    for place in (bids, bids / "derivatives/lab"):
        copy(place / "sub-AD01", place / "sub-AD02")
        rename(place / "sub-AD02", "sub-AD01", "sub-AD02")
        shutil.rmtree(place / "sub-AD01")
        rename(place, "sub-MCI01", "sub-MCI09")
    people = bids / "participants.tsv"
    people.write_text(people.read_text().replace("sub-MCI01", "sub-MCI09"))
    run(finished)
    found = {row["participant_id"]: row for row in rows(finished)}
    assert list(found) == ["sub-AD02", "sub-MCI09", "sub-NC01"]
    assert found["sub-NC01"] == known["sub-NC01"]
    assert found["sub-MCI09"] == known["sub-MCI01"] | {"participant_id": "sub-MCI09"}
    measured = {key: value for key, value in known["sub-AD01"].items() if "volume" in key}
    assert measured.items() <= found["sub-AD02"].items()
    reasons = [row["reason"] for row in rows(finished, "exclusions")]
    assert "sub-AD01 is in the participants table but has no images" in reasons
    assert "sub-AD02 has images but no row in the participants table" in reasons
    assert plan(finished) == {}


def test_two_runs_at_once(finished, clean, tmp_path):
    """A second run into the same output folder is refused, also from another place and after
    --unlock; a dry run beside a run does it no harm."""
    other = copy(finished, tmp_path / "other", "out", ".snakemake")
    with Run(finished, alps="{min_coverage: 0.45}") as work:
        with work.held("alps_index"):
            output = run(other, "--forcerun", "metrics_group", fails=True, out=finished / "out")
            assert "another run, or a job that one has left behind, is writing" in output
            run(finished, "--unlock")
            output = run(finished, "--forcerun", "metrics_group", fails=True)
            assert "is writing to output_dir" in output
            run(finished, "-n", bids=other / "bids", exclude="[sub-NC01]")
        code, output = work.end()
    assert code == 0, output
    assert tables(finished) == tables(clean)


def values(*shape):
    return np.random.default_rng(0).uniform(50, 900, shape).astype(np.float32)


def save(path, data, affine=None, codes=(1, 1), qform=None):
    image = nib.Nifti1Image(data, np.diag([4.0, 4, 4, 1]) if affine is None else affine)
    image.set_sform(image.affine, codes[0])
    image.set_qform(image.affine if qform is None else qform, codes[1])
    nib.save(image, path)


def patch(path, place, content):
    """Other bytes at one place of an image, compressed anew."""
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[place : place + len(content)] = content
    path.write_bytes(gzip.compress(bytes(raw)))


def with_value(path, value):
    data = values(*SHAPE)
    data[3, 3, 3] = value
    save(path, data)


def flip(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(content)


def without_b0(files):
    files["bval"].write_text(" ".join(["1000"] * 8))
    files["bvec"].write_text(VECTORS.replace("0 0.6", "1 0.6", 1))


SHAPE = (10, 11, 12)
ANATOMICAL = {
    "empty": lambda p: p.write_bytes(b""),
    "not readable": lambda p: p.write_bytes(b"hello" * 99),
    "truncated or damaged": lambda p: p.write_bytes(p.read_bytes()[:-500]),
    "damaged": flip,
    "1 voxels are NaN": lambda p: with_value(p, np.nan),
    "infinite": lambda p: with_value(p, np.inf),
    "constant": lambda p: save(p, np.full(SHAPE, 7, np.float32)),
    "4D image": lambda p: save(p, values(*SHAPE, 3)),
    "only 3 voxels along one axis": lambda p: save(p, values(10, 11, 3)),
    "neither sform nor qform": lambda p: save(p, values(*SHAPE), codes=(0, 0)),
    "put the same voxel": lambda p: save(p, values(*SHAPE), qform=np.diag([4.0, 4, 9, 1])),
    "the header promises": lambda p: patch(p, 42, np.full(3, 30000, "<i2").tobytes()),
}
DIFFUSION = {
    "no .bval file": lambda p: p["bval"].unlink(),
    "no .bvec file": lambda p: p["bvec"].unlink(),
    "not a table of numbers": lambda p: p["bval"].write_text("0 many"),
    "the file is empty": lambda p: p["bvec"].write_text(""),
    "not finite": lambda p: p["bvec"].write_text(p["bvec"].read_text().replace("0.6", "nan", 1)),
    "no volume with b = 0": without_b0,
    "not readable as JSON": lambda p: p["json"].write_text("{"),
    "3D image": lambda p: save(p["dwi"], values(*SHAPE)),
}
VECTORS = """\
0 0.6 0 0.8 0.36 0.48 0.8 0
0 0.8 0.6 0 0.48 0.6 0 0.28
0 0 0.8 0.6 0.8 0.64 0.6 0.96
"""


@pytest.fixture
def crowd(tmp_path):
    """200 people with tiny images, 20 of them broken each in another way: (folder, {name: (kind,
    what the message says)})."""
    bids, broken = tmp_path / "bids", {}
    faults = [*(("T1w", *f) for f in ANATOMICAL.items()), *(("dwi", *f) for f in DIFFUSION.items())]
    first = bids / "sub-001"
    for kind, shape in (("T1w", SHAPE), ("dwi", (*SHAPE, 8))):
        path = image(tmp_path, "sub-001", kind)
        path.parent.mkdir(parents=True)
        save(path, values(*shape))
    stem = str(image(tmp_path, "sub-001", "dwi")).removesuffix(".nii.gz")
    Path(f"{stem}.bval").write_text("0 " + " ".join(["1000"] * 7))
    Path(f"{stem}.bvec").write_text(VECTORS)
    Path(f"{stem}.json").write_text('{"PhaseEncodingDirection": "j-"}')
    for number in range(2, 201):
        rename(copy(first, bids / f"sub-{number:03}"), "sub-001", f"sub-{number:03}")
    for number, (kind, reason, fault) in enumerate(faults):
        name = f"sub-{10 * number + 5:03}"
        path = image(tmp_path, name, kind)
        ends = {k: path.with_name(f"{name}_dwi.{k}") for k in ("bval", "bvec", "json")}
        fault(path if kind == "T1w" else {"dwi": path, **ends})
        broken[name] = (kind, reason)
    assert len(broken) == 20
    (bids / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    return tmp_path, broken


def test_200_subjects_of_whom_20_are_broken(crowd, monkeypatch):
    """Each of 20 broken subjects among 200 is listed with file, reason and cure, nobody else is,
    and nobody is missing from the table.

    The real workflow indexes all 200 and runs the checks of the broken images and of one sound
    subject; the other checks, and the collection of all 200 into the cohort's tables, which would
    take 1,200 jobs, are called as the workflow's scripts call them.
    """
    folder, broken = crowd
    monkeypatch.chdir(folder)
    checks = [f"out/{name}/inputs/{name}_{kind}.json" for name, (kind, _) in broken.items()]
    sound = [f"out/sub-001/inputs/sub-001_{kind}.json" for kind in ("T1w", "dwi")]
    # nobody here has a mask of their own, and a pattern that fits nobody stops the start
    output = run(folder, *checks, *sound, anat="{brain_mask: null}")
    assert "Found 200 subject-sessions (T1w 200, T2w 0, FLAIR 0, dwi 200)." in output
    assert [path for path in checks if not read_stop(path)] == []
    assert [path for path in sound if read_stop(path)] == []

    records = []
    for scan in read_index("out/inputs/index.json").scans:
        name = scan.unit.prefix
        places = {kind: Path(f"out/{name}/inputs/{name}_{kind}.json") for kind in ("T1w", "dwi")}
        for kind, place in places.items():
            if not place.exists():
                check = check_anatomical if kind == "T1w" else check_diffusion
                more = {"b_max": 1500} if kind == "dwi" else {}
                place.parent.mkdir(parents=True, exist_ok=True)
                write_json(check(scan.files if more else scan.files[kind], **more), place)
        records.append(unit_record(scan.unit, [], [str(path) for path in places.values()]))
    alps = {"axes": "native", "placement": "fixed"}
    found, _ = table(records, None, [], alps, [])
    assert [row["participant_id"] for row in found] == [f"sub-{n:03}" for n in range(1, 201)]
    scans = read_index("out/inputs/index.json").scans
    listed = exclusions(scans, records, None, [], {}, {"engine": "none"})
    assert [row["participant_id"] for row in listed] == sorted(broken)
    for row in listed:
        kind, reason = broken[row["participant_id"]]
        assert reason in row["reason"]
        assert Path(row["file"]).name.startswith(f"{row['participant_id']}_{kind}")
        assert row["cure"]
