"""The training loop: seeded, resumable, with weight averaging and early stopping."""

from __future__ import annotations

import csv
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from monai.losses import DiceLoss, FocalLoss
from torch.utils.data import DataLoader, IterableDataset

from glymph.networks.vbnet import VBNet

AVERAGING = 0.995
CLIP = 1.0
REPORT_EVERY = 10


class Stream(IterableDataset):
    """Samples of ``make(seed)``; every worker and every restart draws others, always the same."""

    def __init__(self, make: Callable[[int], Iterator], seed: int, start: int):
        self.make, self.seed, self.start = make, seed, start

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        number = worker.id if worker else 0
        seed = int(np.random.SeedSequence([self.seed, self.start, number]).generate_state(1)[0])
        for image, label in self.make(seed):
            yield (
                torch.from_numpy(np.ascontiguousarray(image, np.float32)),
                torch.from_numpy(np.ascontiguousarray(label).astype(np.float32)),
            )


def make_loss(settings: dict) -> Callable:
    """Soft Dice over the batch plus ``focal`` times the focal loss, of (logits, labels).

    With ``settings["shares"]`` the result shall be the label's share itself and not only on its
    side of one half: `share_loss`.
    """
    if settings.get("shares"):
        return partial(share_loss, settings)
    dice = DiceLoss(softmax=True, include_background=False, batch=True)
    focal = FocalLoss(
        use_softmax=True, include_background=True, gamma=settings["gamma"], alpha=settings["alpha"]
    )

    def loss(logits, labels):
        target = one_hot(labels, logits.shape[1])
        return dice(logits, target) + settings["focal"] * focal(logits, target)

    return loss


def share_loss(settings: dict, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Loss of two-class ``logits`` (batch, 2, *size) against shares ``labels`` (batch, *size);
    negative labels are not judged.

    Dice by the semimetric that is least at the share itself (Wang 2023, arXiv 2303.16296) and the
    focal loss in its form for soft labels (Li 2020, arXiv 2006.04388). For labels of 0 and 1 both
    are the ordinary ones.
    """
    judged = (labels >= 0).float()
    share = labels.clamp(min=0)
    found = torch.softmax(logits, dim=1)[:, 1]
    dice = DiceLoss(batch=True, soft_label=True)(
        (found * judged)[:, None], (share * judged)[:, None]
    )
    log = torch.log_softmax(logits, dim=1)
    entropy = -(share * log[:, 1] + (1 - share) * log[:, 0])
    weight = settings["alpha"] * share + (1 - settings["alpha"]) * (1 - share)
    focal = judged * weight * (share - found).abs() ** settings["gamma"] * entropy
    return dice + settings["focal"] * focal.mean() / 2  # MONAI's mean is over both classes


def one_hot(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Labels (batch, *size) as (batch, classes, *size); for two classes they may be shares."""
    if classes == 2:
        return torch.stack([1 - labels, labels], dim=1)
    return torch.stack([(labels == c).float() for c in range(classes)], dim=1)


@dataclass
class Task:
    """What is trained: a network, its samples, and the held-out ones (image, label) to stop by.

    ``weights``: what to start from, None for random ones. ``made_of``: fingerprints of the code and
    the files behind the samples.
    """

    network: dict
    stream: Callable[[int], Iterator]
    validation: list
    settings: dict
    weights: dict | None = None
    made_of: tuple[str, ...] = ()

    def identity(self) -> str:
        """What a checkpoint must share to be gone on from: all but how long the training takes."""
        length = ("steps", "patience")
        settings = {k: v for k, v in self.settings.items() if k not in length}
        text = json.dumps([self.network, settings, self.made_of], sort_keys=True)
        found = hashlib.sha256(text.encode())
        for _, tensor in sorted((self.weights or {}).items()):
            found.update(tensor.cpu().numpy().tobytes())
        return found.hexdigest()[:12]


def train(task: Task, folder: Path, threads: int, device: str = "cpu") -> dict[str, torch.Tensor]:
    """Train until ``settings["steps"]`` or until ``patience`` validations bring nothing better.

    Writes ``folder``/checkpoint.pt, from which a later call for the same `Task.identity` goes on,
    and curve.tsv; those of another task are deleted. Returns the averaged weights of the best
    validation, or the last ones where ``settings["keep"]`` is "last".
    """
    settings = task.settings
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    torch.manual_seed(settings["seed"])
    net = VBNet(**task.network).to(device)
    if task.weights:
        net.load_state_dict(task.weights)
    optimizer = torch.optim.AdamW(net.parameters(), lr=settings["rate"], weight_decay=0.01)
    state = {"step": 0, "best": -1.0, "since": 0, "weights": None}
    average = {k: v.detach().clone() for k, v in net.state_dict().items()}
    path, identity = folder / "checkpoint.pt", task.identity()
    saved = torch.load(path, map_location=device, weights_only=True) if path.is_file() else {}
    if saved.get("identity") != identity:
        path.unlink(missing_ok=True)
        (folder / "curve.tsv").unlink(missing_ok=True)
    else:
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        average, state = saved["average"], saved["state"]
        print(f"going on from step {state['step']}", flush=True)
    loss_of, losses, begun = make_loss(settings), [], time.time()
    batches = iter(_loader(task, state["step"]))
    while state["step"] < settings["steps"] and state["since"] < settings["patience"]:
        net.train()
        _set_rate(optimizer, settings, state["step"])
        image, label = (part.to(device) for part in next(batches))
        optimizer.zero_grad()
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=settings["bfloat16"]):
            logits = net(image)
        loss = loss_of(logits.float(), label)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimizer.step()
        state["step"] += 1
        losses.append(loss.item())
        _average(average, net, state["step"])
        if state["step"] % REPORT_EVERY == 0:
            spent = (time.time() - begun) / len(losses)
            recent = np.mean(losses[-REPORT_EVERY:])
            place = f"step {state['step']}/{settings['steps']}"
            print(f"{place}: loss {recent:.4f}, {spent:.2f} s a step", flush=True)
        if state["step"] % settings["validate_every"] == 0:
            score = validate(task, average, device)
            better = score > state["best"]
            state["since"] = 0 if better else state["since"] + 1
            if better:
                state["best"] = score
                state["weights"] = {k: v.clone() for k, v in average.items()}
            _note(folder, state["step"], np.mean(losses[-settings["validate_every"] :]), score)
            torch.save(
                {"net": net.state_dict(), "optimizer": optimizer.state_dict(),
                 "average": average, "state": state, "identity": identity}, path,
            )  # fmt: skip
    last = settings.get("keep") == "last" or not state["weights"]
    return {k: v.cpu() for k, v in (average if last else state["weights"]).items()}


def device_of(wanted: str) -> str:
    """ "cuda" or "cpu"; for "auto" a GPU where there is one."""
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def _loader(task: Task, start: int) -> DataLoader:
    settings = task.settings
    return DataLoader(
        Stream(task.stream, settings["seed"], start),
        batch_size=settings["batch"],
        num_workers=settings["workers"],
        prefetch_factor=4 if settings["workers"] else None,
    )


def _set_rate(optimizer, settings: dict, step: int) -> None:
    """Linear warm-up over 50 steps, then cosine decay to a hundredth."""
    share = min(1.0, step / settings["steps"])
    rate = settings["rate"] * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * share)))
    for group in optimizer.param_groups:
        group["lr"] = float(rate * min(1.0, (step + 1) / 50))


def _average(average: dict, net, step: int) -> None:
    """Running mean of the weights; short at first, so that the start is forgotten."""
    keep = min(AVERAGING, step / (step + 10))
    for name, value in net.state_dict().items():
        average[name].mul_(keep).add_(value.detach(), alpha=1 - keep)


@torch.no_grad()
def validate(task: Task, weights: dict, device: str) -> float:
    """Mean Dice over the classes, counted over the whole held-out set at once; of shares their
    overlap, the smaller of the two in every voxel."""
    net = VBNet(**task.network).to(device)
    net.load_state_dict(weights)
    net.eval()
    classes, shares = task.network["classes"], bool(task.settings.get("shares"))
    both, sizes = np.zeros(classes), np.zeros(classes)
    for first in range(0, len(task.validation), task.settings["batch"]):
        part = task.validation[first : first + task.settings["batch"]]
        image = torch.from_numpy(np.stack([p[0] for p in part]).astype(np.float32)).to(device)
        found = torch.softmax(net(image).float(), dim=1).cpu().numpy()
        label = np.stack([p[1] for p in part])
        for c in range(1, classes):
            mine, theirs = _class_shares(found, label, c, shares)
            both[c] += 2 * np.minimum(mine, theirs).sum(dtype=float)
            sizes[c] += mine.sum(dtype=float) + theirs.sum(dtype=float)
    return float(np.mean(both[1:] / np.maximum(sizes[1:], 1)))


def _class_shares(found: np.ndarray, label: np.ndarray, number: int, shares: bool):
    """What (batch, *size) belongs to class ``number`` by the network and by the labels."""
    if shares:
        return found[:, 1] * (label >= 0), np.clip(label, 0, 1)
    if found.shape[1] == 2:
        label = label > 0.5
    return found.argmax(1) == number, label == number


def _note(folder: Path, step: int, loss: float, score: float) -> None:
    path = folder / "curve.tsv"
    new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        if new:
            writer.writerow(["step", "loss", "validation_dice"])
        writer.writerow([step, f"{loss:.5f}", f"{score:.5f}"])
    print(f"step {step}: held-out Dice {score:.4f}", flush=True)
