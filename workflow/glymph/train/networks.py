"""The networks that are trained here, by name: their samples, training and held-out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

import numpy as np

from glymph.train import samples
from glymph.train.backgrounds import background_slices, load_backgrounds
from glymph.train.fit import Task

STREAMS = {
    "epvs": samples.epvs_slices,
    "regions": samples.region_volumes,
    "brain": samples.head_volumes,
}
HELD_OUT = 1_000_000
"""Added to the seed of held-out samples, so that none is ever trained on."""


def make_task(name: str, settings: dict) -> Task:
    """The task of network ``name`` as ``settings`` (its part of config/train.yaml) say.

    Held-out samples are synthetic throughout, also where real backgrounds are trained on.
    """
    held_out = STREAMS[name](HELD_OUT + settings["seed"])
    validation = list(islice(held_out, settings["validation"]))
    stream = STREAMS[name]
    if settings.get("backgrounds"):
        stream = mixed(load_backgrounds(settings["backgrounds"]), settings["backgrounds_share"])
    return Task(settings["network"], stream, validation, settings)


def wide_task(settings: dict, weights: dict) -> Task:
    """The task of a second network of perivascular spaces, which goes on from the ``weights`` of
    the first and learns wide ones, as ``settings["wide"]`` says.

    A network cannot have both in two hours: wide spaces hold most of the volume, and one that sees
    many of them loses the thin ones.
    """
    own = settings | settings["wide"]
    stream = partial(samples.epvs_slices, wide=own["wide"]["share"])
    validation = list(islice(stream(HELD_OUT + own["seed"]), own["validation"]))
    return Task(own["network"], stream, validation, own, weights)


def mixed(backgrounds: list, share: float) -> Callable[[int], Iterator]:
    """A stream of slices, a ``share`` of them from real brains."""

    def stream(seed: int) -> Iterator:
        rng = np.random.default_rng([seed, 10])
        real, made = background_slices(backgrounds, seed), samples.epvs_slices(seed)
        while True:
            yield next(real) if rng.random() < share else next(made)

    return stream
