"""The networks that are trained here, by name: their samples, training and held-out."""

from __future__ import annotations

from itertools import islice

from glymph.train import samples
from glymph.train.fit import Task

STREAMS = {
    "epvs": samples.epvs_slices,
    "regions": samples.region_volumes,
    "brain": samples.head_volumes,
}
HELD_OUT = 1_000_000
"""Added to the seed of held-out samples, so that none is ever trained on."""


def make_task(name: str, settings: dict) -> Task:
    """The task of network ``name`` as ``settings`` (its part of config/train.yaml) say."""
    held_out = STREAMS[name](HELD_OUT + settings["seed"])
    validation = list(islice(held_out, settings["validation"]))
    return Task(settings["network"], STREAMS[name], validation, settings)
