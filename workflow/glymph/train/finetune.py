"""Fine-tuning the network of perivascular spaces on a lab's own masks, split by subject."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from glymph.common.errors import BadInput
from glymph.epvs.agreement import compare
from glymph.epvs.census import marked_by
from glymph.epvs.segment import by_network, channels_of, reading_of
from glymph.networks.bundle import CHANNELS
from glymph.networks.run import Bundle
from glymph.train import samples
from glymph.train.fit import Task

LEAST_SUBJECTS = 4
SYNTHETIC = 0.3
"""Share of synthetic samples in a batch: a few real masks alone make a network forget."""
WIDE = 0.07
"""Share of their perivascular spaces that are wide: the first of the shipped networks, which is
gone on from, hardly sees those of 3 mm, and the fine-tuned one stands alone."""


@dataclass(frozen=True)
class Example:
    """One subject-session at 1 mm: images in [-1, 1], the rater's mask, region labels."""

    subject: str
    t1w: np.ndarray
    t2w: np.ndarray
    mask: np.ndarray
    labels: np.ndarray


def split(subjects: list[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Subjects to train on and to hold out, by subject: sessions of one person stay together.

    Raises `BadInput` for fewer than four subjects.
    """
    names = sorted(set(subjects))
    if len(names) < LEAST_SUBJECTS:
        raise BadInput(
            f"masks of {len(names)} subjects are too few to train on some and test on others", "",
            f"draw masks of at least {LEAST_SUBJECTS} subjects",
        )  # fmt: skip
    drawn = np.random.default_rng(seed).permutation(names)
    count = min(len(names) - 2, max(2, round(share * len(names))))
    return sorted(map(str, drawn[count:])), sorted(map(str, drawn[:count]))


def check_base(bundle: Bundle) -> None:
    """`BadInput` for a network that cannot learn from these samples."""
    if bundle.settings["channels"] != list(CHANNELS) or not bundle.settings["shares"]:
        raise BadInput(
            "the network to start from does not give shares from T1w, T2w and their lines",
            bundle.title, "start from the shipped one (finetune.base: null), or one made from it",
        )  # fmt: skip


def make_task(examples: list[Example], weights: dict, network: dict, settings: dict):
    """(`Task`, held-out examples) from the rater's masks and the weights to start from.

    A voxel that the rater marks counts as filled: volumes become the rater's.
    """
    training, held_out = split(
        [e.subject for e in examples], settings["held_out"], settings["seed"]
    )
    mine = [e for e in examples if e.subject in training]
    # The loop stops by slices of one training subject, so that the held-out ones stay unseen.
    stopping, mine = mine[:1], mine[1:]
    validation = list(islice(crops(stopping, settings["seed"]), settings["validation"]))

    def stream(seed: int) -> Iterator:
        rng = np.random.default_rng([seed, 7])
        real, made = crops(mine, seed), samples.epvs_slices(seed, WIDE)
        while True:
            yield next(made) if rng.random() < SYNTHETIC else next(real)

    kept = [e for e in examples if e.subject in held_out]
    return Task(network, stream, validation, settings | {"shares": True}, weights), kept


def crops(examples: list[Example], seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Crops (3, 96, 96) of all planes with masks, two thirds about a marked voxel, else in the
    regions."""
    rng = np.random.default_rng([seed, 8])
    marked = [np.argwhere(e.mask & (e.labels > 0)) for e in examples]
    inside = [np.argwhere(e.labels > 0) for e in examples]
    seen = [channels_of(e.t1w, e.t2w if e.t2w.max() > -1 else None, CHANNELS) for e in examples]
    while True:
        number = int(rng.integers(len(examples)))
        places = marked[number] if len(marked[number]) and rng.random() < 2 / 3 else inside[number]
        window = samples.draw_window(rng, places)
        image = np.stack([samples.crop(volume, *window, -1.0) for volume in seen[number]])
        spread = rng.uniform(0.9, 1.1, (3, 1, 1)) * (image + 1) - 1 + rng.uniform(-0.08, 0.08)
        image = np.where(image > -1, np.clip(spread, -1, 1), -1).astype(np.float32)
        mask = samples.crop(examples[number].mask, *window, 0).astype(np.uint8)
        yield samples.flipped(rng, image, mask)


def judge(bundle: Bundle, examples: list[Example], name: str) -> list[dict]:
    """Agreement with the rater on each held-out example, one row each."""
    rows = []
    for example in examples:
        t2w = example.t2w if example.t2w.max() > -1 else None
        given = by_network(example.t1w, t2w, example.labels, bundle)
        found = marked_by(given, example.labels, reading_of(bundle))
        measured = compare(found, example.mask, example.labels, np.eye(4))
        rows.append({"participant_id": example.subject, "network": name} | measured)
    return rows
