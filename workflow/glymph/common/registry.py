"""The registries: every metric (``resources/metrics.yaml``), and every variable of people
(``resources/participants.yaml``), defined once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

RESOURCES = Path(__file__).resolve().parents[3] / "resources"
REGISTRY = RESOURCES / "metrics.yaml"
PEOPLE = RESOURCES / "participants.yaml"


@dataclass(frozen=True)
class Metric:
    """One column of the metrics table.

    ``plausible`` is the (low, high) range outside which a value is flagged, None for open ends.
    ``may_be_missing``: no value is no fault (the median width of no objects). ``outlier``: on which
    side (low, high, both) a value far from the cohort's median is flagged, "" for none. ``look``:
    what to look at when a value is flagged. ``shown_unit``: the unit in which the report shows it,
    which is ``factor`` times the value.
    """

    name: str
    label: str
    unit: str
    description: str
    source: str
    stage: str
    plausible: tuple[float | None, float | None]
    look: str
    may_be_missing: bool = False
    outlier: str = ""
    shown_unit: str = ""
    factor: float = 1.0

    def sidecar(self) -> dict:
        """Description of the column as BIDS wants it beside a table."""
        low, high = self.plausible
        return {
            "LongName": self.label,
            "Description": self.description,
            "Units": self.unit,
            "PlausibleRange": [low, high],
            "Source": self.source,
        }


@cache
def metrics(path: Path = REGISTRY) -> dict[str, Metric]:
    """All metrics by name, in the registry's order, with ``{placeholders}`` expanded."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    found: dict[str, Metric] = {}
    for entry in content["metrics"]:
        for metric in _expand(entry, content["expansions"]):
            if metric.name in found:
                raise ValueError(f"{path}: metric '{metric.name}' is defined twice")
            found[metric.name] = metric
    return found


def _expand(entry: dict, expansions: dict[str, dict[str, str]]):
    """One `Metric` for each combination of the placeholders in the entry's name.

    In the name stands the key (``left``), in label and description its words.
    """
    used = [key for key in expansions if f"{{{key}}}" in entry["name"]]
    for choice in itertools.product(*(expansions[key].items() for key in used)):
        keys = {name: key for name, (key, _) in zip(used, choice, strict=True)}
        words = {name: text for name, (_, text) in zip(used, choice, strict=True)}
        yield Metric(
            name=entry["name"].format(**keys),
            label=entry["label"].format(**words),
            unit=entry["unit"],
            description=entry["description"].format(**words),
            source=entry["source"],
            stage=entry["stage"],
            plausible=tuple(entry.get("plausible", (None, None))),
            look=entry["look"].format(**words),
            outlier=entry.get("outlier", ""),
            may_be_missing=entry.get("may_be_missing", False),
            shown_unit=entry.get("shown", {}).get("unit", ""),
            factor=entry.get("shown", {}).get("factor", 1.0),
        )


def checked(values: dict[str, float | None]) -> dict[str, float | None]:
    """``values`` unchanged; raises KeyError where the registry does not know one of the names."""
    unknown = set(values) - set(metrics())
    if unknown:
        raise KeyError(f"not in {REGISTRY.name}: {', '.join(sorted(unknown))}")
    return values


@dataclass(frozen=True)
class Variable:
    """What is known of people: a number within ``range`` (lowest, highest; None for words), or
    words, of which ``missing`` are codes for "unknown", or a ``date``. ``known_as``: other names of
    its column."""

    name: str
    description: str
    unit: str | None = None
    range: tuple[float, float] | None = None
    missing: tuple[str, ...] = ()
    known_as: tuple[str, ...] = ()
    date: bool = False


@cache
def severity(path: Path = PEOPLE) -> dict[str, int]:
    """Place from healthy to ill of a group's usual names (lower case, letters and digits only)."""
    ranks = yaml.safe_load(path.read_text(encoding="utf-8"))["severity"]
    return {name: place for place, names in enumerate(ranks) for name in names}


@cache
def variables(path: Path = PEOPLE) -> dict[str, Variable]:
    """All variables of people by name, in the registry's order."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))["variables"]
    return {
        name: Variable(
            name, about["description"], about.get("unit"),
            tuple(about["range"]) if "range" in about else None,
            tuple(map(str, about.get("missing", ()))), tuple(about.get("known_as", ())),
            about.get("date", False),
        )
        for name, about in content.items()
    }  # fmt: skip
