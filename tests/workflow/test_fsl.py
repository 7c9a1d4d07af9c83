"""FSL at the start of a run, and which jobs its engines bring; nothing is computed."""

import pytest

from tests.fsl_stand_ins import make
from tests.workflow.conftest import planned, settings, snakemake

DWI = ("dwi.nii.gz", "dwi.bval", "dwi.bvec", "dwi.json")


def test_a_missing_fsl_stops_the_start_with_one_message(skeleton, monkeypatch):
    monkeypatch.delenv("FSLDIR", raising=False)
    bids = skeleton("sub-01", "T1w.nii.gz", *DWI)
    arguments = settings(bids, "out", dwi="{tensor: dtifit, motion: eddy}")
    code, output = snakemake("-n", *arguments, cwd=bids.parent, check=False)
    assert code != 0
    assert "dwi.motion: eddy, dwi.tensor: dtifit needs FSL, and FSLDIR is not set" in output
    assert "set FSLDIR to an FSL of version 6.0.6 or newer" in output
    assert "Traceback" not in output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Function that plans a run after one by dtifit of FSL 6.0.7, whose results are empty files."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "bids/sub-01/anat").mkdir(parents=True)
    (folder / "bids/sub-01/dwi").mkdir()
    (folder / "bids/dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    (folder / "bids/sub-01/anat/sub-01_T1w.nii.gz").touch()
    for kind in DWI:
        (folder / f"bids/sub-01/dwi/sub-01_{kind}").touch()
    for version in ("6.0.7", "6.0.8"):
        make(folder / version, {}, version)

    def run(*words, version="6.0.7", anat="{brain: vbnet}", dwi="{tensor: dtifit}"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FSLDIR", str(folder / version))
            given = settings("bids", "out", anat=anat, dwi=dwi, epvs="{engine: none}")
            return snakemake(*words, *given, cwd=folder)[1]

    rows = [line.split("\t") for line in run("-n", "--summary").splitlines() if "\t" in line]
    for path, *_ in rows[1:]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    run("--touch")
    assert planned(run("-n")) == {}
    return lambda **changes: planned(run("-n", **changes))


ANAT = ("anat_preproc", "anat_register", "anat_segment")
WHITE = "dwi_white_matter"
STEPS = (*ANAT, "dwi_correct", "dwi_tensor", "dwi_register", "alps_index", WHITE)


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"version": "6.0.8"}, {"dwi_tensor", "alps_index", WHITE}),
        ({"dwi": "{tensor: dipy}"}, {"dwi_tensor", "alps_index", WHITE}),
        ({"dwi": "{tensor: dtifit, register: flirt}"}, {"dwi_register", "alps_index", WHITE}),
        (
            {"dwi": "{tensor: dtifit, motion: eddy}"},
            {"dwi_correct", "dwi_tensor", "dwi_register", "alps_index", WHITE},
        ),
        (
            {"anat": "{brain: vbnet, registration: {engine: fsl}}"},
            {"anat_register", "anat_segment", "alps_index", WHITE},
        ),
        ({"anat": "{brain: fsl_bet}"}, {*ANAT, "dwi_register", "alps_index", WHITE}),
    ],
)
def test_engines_and_versions_rerun_what_uses_them(made, changes, expected):
    assert set(made(**changes)) & set(STEPS) == expected
