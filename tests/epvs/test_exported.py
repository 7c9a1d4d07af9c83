"""The script for exported networks of docs/how-to/other-engines.md, as it stands there."""

import re
import shlex
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from glymph.epvs import command, command_line

ROOT = Path(__file__).parents[2]
SHAPE = (30, 34, 32)
INNER = (slice(1, -1),) * 3
"""Voxels whose neighbours all lie in the image: the script sets it into a larger window."""


@pytest.fixture(scope="module")
def network():
    """A small 3D network, two channels in and two classes out, its weights drawn from a seed."""
    torch.manual_seed(4)
    layers = torch.nn.Sequential(
        torch.nn.Conv3d(2, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(4, 2, 1)
    )
    layers[-1].bias.data = torch.tensor([3.0, -1.0])  # the second class is rare, as spaces are
    return layers.eval()


@pytest.fixture
def script(tmp_path):
    page = (ROOT / "docs/how-to/other-engines.md").read_text()
    (text,) = re.findall(r'```python title="exported.py"\n(.*?)```', page, re.DOTALL)
    path = tmp_path / "exported.py"
    path.write_text(text)
    return path


@pytest.fixture
def images(tmp_path):
    rng, affine = np.random.default_rng(1), np.eye(4)
    affine[:3, 3] = -16
    paths = {}
    for name in ("t1w", "t2w"):
        data = rng.uniform(-1, 1, SHAPE).astype(np.float32)
        paths[name] = str(tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(data, affine), paths[name])
    paths["t1w_native"] = paths["t1w"]
    return paths


def by_script(script, model, images) -> np.ndarray:
    template = f"{sys.executable} {shlex.quote(str(script))} {shlex.quote(str(model))} "
    template += "{t1w} {t2w} {output} {threads}"
    program = command_line.Command("epvs.command", template, 0.5)
    command_line.check(program)
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:-4, 4:-4, 4:-4] = 1
    regions = nib.Nifti1Image(labels, nib.load(images["t1w"]).affine)
    found, notes = command.segment(program, images, regions, 1, "the.log")
    assert notes["result"] == "probability cut at 0.5"
    return found


def directly(network, images) -> np.ndarray:
    pair = np.stack([np.asarray(nib.load(images[k]).dataobj) for k in ("t1w", "t2w")])
    with torch.inference_mode():
        return torch.softmax(network(torch.from_numpy(pair[None])), 1)[0, 1].numpy()


def test_torchscript(script, images, network, tmp_path):
    model = tmp_path / "mine.ts"
    torch.jit.trace(network, torch.zeros(1, 2, 96, 96, 96)).save(model)
    found, wanted = by_script(script, model, images), directly(network, images)
    assert np.ptp(wanted) > 0.01 and np.allclose(found[INNER], wanted[INNER], atol=1e-5)


def test_onnx(script, images, network, tmp_path):
    for name in ("onnxruntime", "onnxscript"):
        pytest.importorskip(name, reason=f"{name} is not installed (pip install {name})")
    model = tmp_path / "mine.onnx"
    torch.onnx.export(network, (torch.zeros(1, 2, 96, 96, 96),), model, dynamo=True)
    found, wanted = by_script(script, model, images), directly(network, images)
    assert np.ptp(wanted) > 0.01 and np.allclose(found[INNER], wanted[INNER], atol=1e-5)
