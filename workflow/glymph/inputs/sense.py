"""Values of the right type that make no sense, or have no effect: beside the schema, at the start.

What a user sets and the run passes over is a fault, as an unknown key is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from fnmatch import fnmatchcase

from glymph.common.registry import metrics


def senseless(config: dict) -> Iterator[str]:
    """A line for every value of a configuration that passed the schema and cannot be meant."""
    yield from _thresholds(config["qc"]["thresholds"])
    yield from _inverted("participants.ranges", config["participants"]["ranges"])


def _thresholds(thresholds: dict) -> Iterator[str]:
    """Patterns of ``qc.thresholds`` that fit no metric, and ranges that hold nothing."""
    for pattern in map(str, thresholds):
        if not any(fnmatchcase(name, pattern) for name in metrics()):
            near = difflib.get_close_matches(pattern, metrics(), n=1)
            hint = f"did you mean '{near[0]}'?" if near else "see resources/metrics.yaml"
            yield f"qc.thresholds.{pattern}: fits no metric; {hint}"
    yield from _inverted("qc.thresholds", thresholds)


def _inverted(place: str, ranges: dict) -> Iterator[str]:
    for name, (low, high) in ranges.items():
        if low is not None and high is not None and low > high:
            yield f"{place}.{name}: [{low}, {high}] holds no value; write the lower one first"
