"""Writing a trained network as a MONAI bundle, with its learning curve and pictures."""

from __future__ import annotations

import csv
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

import glymph
from glymph.networks.bundle import CHANNELS, NETWORK
from glymph.networks.run import joined, load_bundle
from glymph.train.samples import HEAD_SHAPE, LABEL_SHARE, REGION_SHAPE

ABOUT = {
    "epvs": {
        "task": "Segmentation of enlarged perivascular spaces on T1w and T2w brain MRI",
        "learned_from": "synthetic images",
        "inputs": {"0": "T1w", "1": "T2w, or -1 throughout where there is none",
                   "2": "lines of both in three dimensions (glymph.epvs.ridge)"},
        "outputs": {"0": "rest of the voxel",
                    "1": "share of the voxel that is perivascular space"},
        "planes": ["axial", "coronal", "sagittal"],
        "window": [96, 96],
        "overlap": 0.25,
        "size": None,
        "voxel_mm": 1.0,
        "intensity": "[-1, 1] between the brain's 1st and 99th percentile, -1 outside the brain",
    },
    "regions": {
        "task": "Outlines of centrum semiovale, basal ganglia and midbrain on T1w brain MRI",
        "learned_from": "synthetic images",
        "inputs": {"0": "T1w"},
        "outputs": {"0": "background", "1": "outline of the centrum semiovale",
                    "2": "outline of the basal ganglia", "3": "outline of the midbrain"},
        "window": None,
        "overlap": 0.0,
        "size": REGION_SHAPE,
        "voxel_mm": 2.0,
        "intensity": "[-1, 1] between the brain's 1st and 99th percentile, -1 outside the brain",
    },
    "brain": {
        "task": "Brain extraction from T1w head MRI",
        "learned_from": "synthetic images and two public heads (resources/heads)",
        "inputs": {"0": "T1w"},
        "outputs": {"0": "not brain", "1": "brain (share of the voxel)"},
        "window": None,
        "overlap": 0.0,
        "size": HEAD_SHAPE,
        "voxel_mm": 2.0,
        "intensity": "[-1, 1] between 0 and the 99th percentile of the middle half of the head",
    },
}  # fmt: skip


def write_bundle(
    name: str, members: list[dict], settings: dict, folder: Path, command: str
) -> None:
    """Write network ``name``, the weights of its ``members``, trained with ``settings``, as a
    bundle."""
    about = ABOUT[name]
    for part in ("configs", "models", "docs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    model = folder / "models" / "model.pt"
    torch.save({k: v.contiguous() for k, v in joined(members).items()}, model)
    inference = {
        "network_def": {"_target_": NETWORK, **settings["network"]},
        **(_slices(about, settings) if "planes" in about else {}),
        "window": about["window"],
        "overlap": about["overlap"],
        "size": about["size"],
        "voxel_mm": about["voxel_mm"],
        **({"members": len(members)} if len(members) > 1 else {}),
    }
    metadata = {
        "name": f"glymph-{name}",
        "version": glymph.__version__,
        "changelog": {glymph.__version__: f"trained on {about['learned_from']}"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch").split("+")[0],
        "numpy_version": version("numpy"),
        "task": about["task"],
        "description": f"VB-Net, {settings['network']['dims']}D, trained on "
                       f"{about['learned_from']}.",
        "authors": "the glymph workflow's authors",
        "copyright": "BSD-3-Clause",
        "intended_use": "Research. Not a medical device.",
        "network_data_format": {
            "inputs": {"image": {"channel_def": about["inputs"], "spacing_mm": about["voxel_mm"],
                                 "orientation": "RAS", "value_range": about["intensity"]}},
            "outputs": {"pred": {"channel_def": about["outputs"], "is_patch_data": False}},
        },
        "weights": {"file": "models/model.pt",
                    "sha256": hashlib.sha256(model.read_bytes()).hexdigest()},
        "training": {"command": command, "settings": settings},
    }  # fmt: skip
    for file, content in (("inference", inference), ("metadata", metadata)):
        text = json.dumps(content, indent=2) + "\n"
        (folder / "configs" / f"{file}.json").write_text(text, encoding="utf-8")
    load_bundle(folder, threads=1)  # what was written can be read


def _slices(about: dict, settings: dict) -> dict:
    """How a 2D network is run: its planes, what it sees and what its result is."""
    return {
        "planes": about["planes"],
        "channels": list(CHANNELS[: settings["network"]["inputs"]]),
        "shares": bool(settings.get("shares")),
    }


def draw_curve(table: Path, picture: Path) -> None:
    """The learning curve of `glymph.train.fit.train`."""
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    steps = [int(r["step"]) for r in rows]
    figure, left = plt.subplots(figsize=(6, 3.6), layout="constrained")
    left.plot(steps, [float(r["loss"]) for r in rows], color="#555555")
    left.set(xlabel="step", ylabel="training loss")
    right = left.twinx()
    right.plot(steps, [float(r["validation_dice"]) for r in rows], color="#0072b2")
    right.set_ylabel("held-out Dice", color="#0072b2")
    figure.savefig(picture, dpi=120)
    plt.close(figure)


def draw_examples(name: str, folder: Path, samples: list, picture: Path) -> None:
    """Held-out samples: image, truth (green) and what the network finds (red)."""
    bundle = load_bundle(folder, threads=1)
    shown = samples[:8]
    figure, axes = plt.subplots(
        2, len(shown), figsize=(2.2 * len(shown), 4.6), layout="constrained"
    )
    for column, (image, label) in zip(axes.T, shown, strict=True):
        ground, truth, found = _middle(name, bundle, image, label)
        column[0].imshow(ground.T, origin="lower", cmap="gray", vmin=-1, vmax=1)
        column[1].imshow(ground.T, origin="lower", cmap="gray", vmin=-1, vmax=1)
        for mask, colour in ((truth, "#2ca02c"), (found, "#ff2f5e")):
            if mask.any():
                column[1].contour(mask.T, [0.5], colors=colour, linewidths=0.8)
        for axis in column:
            axis.set_axis_off()
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def _middle(name: str, bundle, image: np.ndarray, label: np.ndarray):
    """A slice to show: image, truth and result (bool)."""
    if name == "epvs":
        views = [one.in_slices(image[..., None])[1, ..., 0] for one in bundle.alone()]
        found = np.max(views, axis=0) > LABEL_SHARE
        return image[1] if image[1].max() > -1 else image[0], label > LABEL_SHARE, found
    found = bundle.probabilities(image)
    found = found[1] > 0.5 if len(found) == 2 else found.argmax(0) > 0
    truth = label > 0.5
    level = image.shape[1] // 2 - (6 if name == "regions" else 0)
    return image[0, level], truth[level], found[level]
