"""The loop learns, stops early, goes on where it was stopped, and writes a bundle."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from glymph.networks.run import load_bundle
from glymph.train.bundle import draw_curve, write_bundle
from glymph.train.fit import Task, make_loss, train

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "network": {"dims": 2, "inputs": 3, "classes": 2, "base": 4, "bottleneck": "1-3-1"},
    "steps": 60, "batch": 4, "rate": 0.005, "focal": 1.0, "gamma": 2.0, "alpha": 0.75, "seed": 1,
    "workers": 0, "bfloat16": False, "validation": 4, "validate_every": 20, "patience": 5,
}  # fmt: skip


def squares(seed):
    """Bright squares on noise: something to learn in seconds."""
    rng = np.random.default_rng(seed)
    while True:
        image, label = rng.normal(-0.5, 0.1, (3, 32, 32)), np.zeros((32, 32))
        x, y = rng.integers(4, 20, 2)
        label[x : x + 8, y : y + 8] = 1
        yield (image + label).astype(np.float32), label


def tiled(stream):
    """Nine samples side by side: as large as a window of the bundle."""
    images, labels = zip(*(next(stream) for _ in range(9)), strict=True)
    return (np.concatenate([np.concatenate(part[k : k + 3], -2) for k in (0, 3, 6)], -1)
            for part in (images, labels))  # fmt: skip


def task(**changes):
    stream = squares(99)
    held_out = [next(stream) for _ in range(4)]
    return Task(SETTINGS["network"], squares, held_out, SETTINGS | changes)


def rows(folder):
    return [line.split("\t") for line in (folder / "curve.tsv").read_text().splitlines()[1:]]


def test_it_learns_and_the_bundle_runs(tmp_path):
    weights = train(task(), tmp_path, threads=1)
    assert float(rows(tmp_path)[-1][2]) > 0.9
    write_bundle("epvs", [weights], SETTINGS, tmp_path / "bundle", "a command")
    bundle = load_bundle(tmp_path / "bundle", threads=1)
    image, label = tiled(squares(5))
    found = bundle.in_slices(image[..., None])[1, ..., 0] > 0.5
    assert 2 * (found & (label > 0)).sum() / (found.sum() + label.sum()) > 0.9
    draw_curve(tmp_path / "curve.tsv", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000


def fading(seed):
    """Squares of a share that their brightness tells; some have no weight and a wrong look."""
    rng = np.random.default_rng(seed)
    for image, label in squares(seed):
        share = rng.uniform(0.1, 1)
        image, label = image + (share - 1) * label.astype(np.float32), share * label
        image[:, :3], label[:3] = 1.0, -1.0
        yield image, label


def test_shares_are_learned_as_shares(tmp_path):
    """The result is the share itself; what has no weight teaches nothing."""
    stream = fading(99)
    held_out = [next(stream) for _ in range(4)]
    settings = SETTINGS | {"shares": True, "focal": 5.0, "steps": 150, "validate_every": 50}
    weights = train(Task(SETTINGS["network"], fading, held_out, settings), tmp_path, threads=1)
    write_bundle("epvs", [weights], settings, tmp_path / "bundle", "a command")
    bundle = load_bundle(tmp_path / "bundle", threads=1)
    assert bundle.settings["shares"]
    image, label = tiled(fading(5))
    found = bundle.in_slices(image[..., None])[1, ..., 0]
    assert np.abs(found - label)[label > 0].mean() < 0.15
    assert float(rows(tmp_path)[-1][2]) > 0.75


def test_for_whole_labels_the_loss_of_shares_is_the_ordinary_one():
    logits = torch.randn(2, 2, 16, 16, generator=torch.manual_seed(0))
    labels = (torch.rand(2, 16, 16, generator=torch.manual_seed(1)) > 0.8).float()
    ordinary = make_loss(SETTINGS)(logits, labels)
    assert make_loss(SETTINGS | {"shares": True})(logits, labels) == pytest.approx(ordinary.item())


def test_the_last_weights_are_kept_where_they_are_asked_for(tmp_path):
    best = train(task(steps=60, rate=0.05), tmp_path / "best", 1)
    last = train(task(steps=60, rate=0.05, keep="last"), tmp_path / "last", 1)
    state = torch.load(tmp_path / "last" / "checkpoint.pt", weights_only=True)
    assert all(torch.equal(last[k], state["average"][k]) for k in last)
    assert all(torch.equal(best[k], state["state"]["weights"][k]) for k in best)


def test_two_runs_give_the_same_weights(tmp_path):
    first, second = (train(task(steps=20), tmp_path / name, 1) for name in "ab")
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_a_stopped_run_goes_on(tmp_path):
    train(task(steps=60, patience=1_000), tmp_path, 1)
    whole = rows(tmp_path)
    train(task(steps=80), tmp_path, 1)
    assert [r[0] for r in rows(tmp_path)] == ["20", "40", "60", "80"]
    assert rows(tmp_path)[:3] == whole


@pytest.mark.parametrize("other", ["code", "rate", "base"])
def test_the_checkpoint_of_another_training_is_not_gone_on_from(tmp_path, other):
    first = train(task(steps=20), tmp_path, 1)
    if other == "code":
        changed = replace(task(steps=20), made_of=("another",))
    elif other == "rate":
        changed = task(steps=20, rate=0.001)
    else:
        changed = replace(task(steps=20), weights=first)
    found = train(changed, tmp_path, 1)
    anew = train(changed, tmp_path / "fresh", 1)
    assert all(torch.equal(found[k], anew[k]) for k in found)
    if other != "code":
        assert not all(torch.equal(found[k], first[k]) for k in found)
    assert [r[0] for r in rows(tmp_path)] == ["20"]


def test_it_stops_when_nothing_gets_better(tmp_path):
    train(task(rate=1e-12, patience=2, steps=400), tmp_path, 1)
    assert int(rows(tmp_path)[-1][0]) < 400


@pytest.mark.parametrize("name", ["epvs", "regions", "brain"])
def test_the_shipped_weights_name_the_configuration_that_is_shipped(name):
    metadata = json.loads((ROOT / f"resources/models/{name}/configs/metadata.json").read_text())
    settings = yaml.safe_load((ROOT / "config/train.yaml").read_text())["train"][name]
    assert metadata["training"]["settings"] == settings
    assert "snakemake train" in metadata["training"]["command"]
