"""A real nnU-Net v2, trained for a few minutes on simulated subjects, as `epvs.engine: command`.

Only with `make test-nnunet`, which installs it in an environment of its own; GLYMPH_NNUNET is the
folder of its programs. The wrapper is the one of docs/how-to/other-engines.md, as it stands there.
"""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from glymph.epvs.census import on_image
from tests.workflow.conftest import ROOT, settings, snakemake

pytestmark = pytest.mark.slow
PROGRAMS = os.environ.get("GLYMPH_NNUNET")
LEARN, TEST = ("sub-AD01", "sub-MCI01"), "sub-NC01"
DATASET = "Dataset801_EPVS"
MODEL = f"nnUNet_results/{DATASET}/nnUNetTrainer__nnUNetPlans__3d_fullres/fold_0"
BEST = "checkpoint_best.pth"
LONGEST_S = 3600
SMALL = {
    "batch_size": 2,
    "patch_size": [32, 32, 32],
    "architecture": {
        "n_stages": 4,
        "features_per_stage": [8, 16, 32, 64],
        "kernel_sizes": [[3, 3, 3]] * 4,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * 3,
        "n_conv_per_stage": [2] * 4,
        "n_conv_per_stage_decoder": [2] * 3,
    },
}
"""What nnU-Net plans is for a GPU and a day; this is for a processor and a few minutes."""
EPOCHS = 4
"""Of 250 steps: after one of them it still finds nothing."""
LEAST_DICE = 0.2
"""Against the simulated spaces: of so short a training little is asked."""


def norm(subject, kind):
    return f"out/{subject}/anat/{subject}_space-T1w_res-1mm_desc-norm_{kind}.nii.gz"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder with three simulated subjects, their T1w and T2w prepared by the workflow."""
    if not PROGRAMS:
        pytest.skip("needs nnU-Net: only with `make test-nnunet`")
    folder = tmp_path_factory.mktemp("nnunet")
    subprocess.run(
        [sys.executable, "-m", "glymph.simulate", "bids", "truth", "--per-group", "1", "--jobs",
         "2", "--seed", "8", "--modalities", "T1w", "T2w"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"},
        check=True,
    )  # fmt: skip
    started = time.time()
    images = [norm(subject, "T2w") for subject in (*LEARN, TEST)]
    snakemake(*images, *settings("bids", "out"), cwd=folder)
    print(f"prepared three subjects in {time.time() - started:.0f} s")
    return folder


def nnunet(folder, name, *arguments):
    """Start a program of nnU-Net with its three folders, in a process group of its own."""
    names = [f"nnUNet_{kind}" for kind in ("raw", "preprocessed", "results")]
    places = {name: str(folder / name) for name in names}
    calm = {"nnUNet_compile": "f", "nnUNet_n_proc_DA": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [Path(PROGRAMS, name), *map(str, arguments)], cwd=folder, start_new_session=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | places | calm,
    )  # fmt: skip


def train(folder):
    """Train until `EPOCHS` epochs are saved.

    nnU-Net's trainers of few epochs need a torchvision that fits torch: they are found by a search
    that imports it, and on PyPI there is none for torch's CPU build.
    """
    started = time.time()
    training = nnunet(folder, "nnUNetv2_train", 801, "3d_fullres", 0, "-device", "cpu")
    log = folder / MODEL
    try:
        while not any(
            f"Epoch {EPOCHS} " in path.read_text() for path in log.glob("training_log*.txt")
        ):
            assert training.poll() is None and time.time() < started + LONGEST_S
            time.sleep(2)
    finally:
        os.killpg(training.pid, signal.SIGKILL)
        training.wait()
    assert (log / BEST).is_file()
    print(f"nnUNetv2_train, {EPOCHS} epochs of 250 steps: {time.time() - started:.0f} s")


def truth_on(image, folder, subject):
    """The simulated spaces (uint8) on the grid of a prepared ``image``."""
    mask = nib.load(folder / f"truth/{subject}/{subject}_space-T1w_label-EPVS_mask.nii.gz")
    numbers = np.asarray(mask.dataobj).astype(np.uint8)
    return on_image(numbers, mask.affine, image.shape, image.affine)


@pytest.fixture(scope="module")
def trained(lab):
    """The lab's folder with a model of nnU-Net in nnUNet_results."""
    raw = lab / "nnUNet_raw" / DATASET
    for name in ("imagesTr", "labelsTr"):
        (raw / name).mkdir(parents=True)
    for subject in LEARN:
        for channel, kind in enumerate(("T1w", "T2w")):
            case = raw / "imagesTr" / f"{subject}_{channel:04d}.nii.gz"
            shutil.copy(lab / norm(subject, kind), case)
        image = nib.load(lab / norm(subject, "T1w"))
        label = nib.Nifti1Image(truth_on(image, lab, subject), image.affine)
        nib.save(label, raw / "labelsTr" / f"{subject}.nii.gz")
    about = {"channel_names": {"0": "T1w", "1": "T2w"}, "labels": {"background": 0, "EPVS": 1},
             "numTraining": len(LEARN), "file_ending": ".nii.gz"}  # fmt: skip
    (raw / "dataset.json").write_text(json.dumps(about))
    planning = nnunet(lab, "nnUNetv2_plan_and_preprocess", "-d", 801, "-c", "3d_fullres", "-np", 1,
                      "-npfp", 1, "--verify_dataset_integrity")  # fmt: skip
    assert planning.wait() == 0
    prepared = lab / "nnUNet_preprocessed" / DATASET
    plans = json.loads((prepared / "nnUNetPlans.json").read_text())
    chosen = plans["configurations"]["3d_fullres"]
    chosen |= {key: SMALL[key] for key in ("batch_size", "patch_size")}
    chosen["architecture"]["arch_kwargs"] |= SMALL["architecture"]
    (prepared / "nnUNetPlans.json").write_text(json.dumps(plans))
    split = [{"train": list(LEARN), "val": [LEARN[0]]}]
    (prepared / "splits_final.json").write_text(json.dumps(split))
    train(lab)
    return lab


def wrapper():
    """The script of the documentation."""
    page = (ROOT / "docs/how-to/other-engines.md").read_text()
    (script,) = re.findall(r"```bash title=\"nnunet.sh\"\n(.*?)```", page, flags=re.S)
    return script


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_nnunet_finds_simulated_spaces_and_the_workflow_counts_them(trained):
    (trained / "nnunet.sh").write_text(wrapper())
    command = (
        "nnUNet_raw={0}/nnUNet_raw nnUNet_preprocessed={0}/nnUNet_preprocessed "
        "nnUNet_results={0}/nnUNet_results PATH={1}:$PATH "
        "bash nnunet.sh {{t1w}} {{t2w}} {{output}} {{folder}} "
        f"-d 801 -c 3d_fullres -f 0 -chk {BEST} -device cpu -npp 0 -nps 0 --disable_tta "
        "--disable_progress_bar"
    ).format(trained, PROGRAMS)
    content = {"bids_dir": "bids", "output_dir": "out", "exclude": list(LEARN),
               "epvs": {"engine": "command", "command": command}}  # fmt: skip
    (trained / "my.yaml").write_text(yaml.safe_dump(content))
    started = time.time()
    snakemake("--configfile", "my.yaml", cwd=trained)
    print(f"the workflow on {TEST}: {time.time() - started:.0f} s")
    anat = trained / f"out/{TEST}/anat"
    about = json.loads((anat / f"{TEST}_space-T1w_res-1mm_label-EPVS_probseg.json").read_text())
    assert about["Parameters"]["result"] == "mask"
    assert os.path.basename(about["Parameters"]["program"]) == "bash"
    (row,) = rows(trained / "out/group/metrics.tsv")
    found = nib.load(anat / f"{TEST}_space-T1w_res-1mm_desc-EPVS_dseg.nii.gz")
    labels = nib.load(anat / f"{TEST}_space-T1w_res-1mm_desc-region_dseg.nii.gz")
    inside = np.asarray(labels.dataobj) > 0
    ours, truth = np.asarray(found.dataobj) > 0, (truth_on(found, trained, TEST) > 0) & inside
    dice = 2 * (ours & truth).sum() / (ours.sum() + truth.sum())
    print(f"count {row['epvs_total_count']}, voxel Dice against the simulated spaces {dice:.3f}")
    assert int(row["epvs_total_count"]) > 0
    assert dice > LEAST_DICE
