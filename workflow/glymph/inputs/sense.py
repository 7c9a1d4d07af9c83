"""Values of the right type that make no sense, or have no effect: beside the schema, at the start.

What a user sets and the run passes over is a fault, as an unknown key is.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import yaml

from glymph.common.names import HEMISPHERES, TRACTS, region_names
from glymph.common.registry import metrics

HEX = re.compile("#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
DEFAULTS = Path(__file__).resolve().parents[3] / "config" / "config.yaml"

SETS_OF_OURS = ("both", "together", "demographics")
"""Sets of features that the statistics add to those of the configuration."""


def senseless(config: dict) -> Iterator[str]:
    """A line for every value of a configuration that passed the schema and cannot be meant."""
    yield from _unused(config)
    yield from _of_path_table(config)
    yield from _user_rois(config["alps"], bool(config["template"]))
    yield from _thresholds(config["qc"]["thresholds"])
    yield from _inverted("participants.ranges", config["participants"]["ranges"])
    yield from _colours(config["stats"]["colours"])
    for name in SETS_OF_OURS:
        if name in config["stats"]["features"]:
            yield f"stats.features.{name}: the statistics add a set of this name; rename yours"


def _unused(config: dict) -> Iterator[str]:
    """Keys that are set and that the value of another one makes void."""
    anat, epvs, alps = config["anat"], config["epvs"], config["alps"]
    engine = f"epvs.engine is {epvs['engine']}"
    regions = f"epvs.regions is {epvs['regions']}"
    compared = epvs["compare_regions"] and epvs["regions"] == "atlas"
    sees_brain = anat["brain"] == "vbnet" or (anat["compare_brain"] and anat["brain"] == "deepbet")
    made = epvs["engine"] != "none"
    for key, value, used, why, cure in [
        ("alps.user_rois", alps["user_rois"], alps["rois"] == "user",
         f"alps.rois is {alps['rois']}", "set alps.rois: user"),
        ("epvs.epvs_mask", epvs["epvs_mask"], epvs["engine"] == "provided", engine,
         "set epvs.engine: provided"),
        ("epvs.command", epvs["command"], epvs["engine"] == "command", engine,
         "set epvs.engine: command"),
        ("epvs.model", epvs["model"], epvs["engine"] == "vbnet", engine, "set epvs.engine: vbnet"),
        ("epvs.region_labels", epvs["region_labels"], epvs["regions"] == "provided", regions,
         "set epvs.regions: provided"),
        ("epvs.regions_model", epvs["regions_model"], compared or epvs["regions"] == "vbnet",
         regions, "set epvs.regions: vbnet"),
        ("anat.brain_model", anat["brain_model"], sees_brain, f"anat.brain is {anat['brain']}",
         "set anat.brain: vbnet"),
        ("participants.table", config["participants"]["table"], not config["metrics_table"],
         "metrics_table is set", "add its columns to that table"),
    ]:  # fmt: skip
        left_out = key.startswith("epvs.") and not made  # with the whole branch, for this run
        if value and not used and not left_out:
            yield f"{key}: set and not used, because {why}; {cure}, or take {key} out"


def _user_rois(alps: dict, own_template: bool) -> Iterator[str]:
    """Regions of ALPS of the user's own that are not all there, or of the other side."""
    given = alps["user_rois"] or {}
    if alps["rois"] != "user":
        return
    for name in region_names():
        if name not in given:
            yield f"alps.user_rois: lacks {name}; alps.rois is user, and all four are needed"
    centres = {name: entry["centre"][0] for name, entry in given.items() if "centre" in entry}
    yield from _out_of_order(centres) if own_template else _across(centres)


def _across(centres: dict[str, float]) -> Iterator[str]:
    """Centres (x in mm by region) on the other side of MNI space than their name says."""
    for name, x in centres.items():
        if x == 0 or (x < 0) != name.startswith("left"):
            yield (
                f"alps.user_rois.{name}: x = {x:g} lies on the other side or the midline; sides "
                "are anatomical, and x < 0 is left"
            )


def _out_of_order(centres: dict[str, float]) -> Iterator[str]:
    """The same in another template, where x of the midline is not known: who is left of whom."""
    for left, right in ([f"{side}_{tract}" for side in HEMISPHERES] for tract in TRACTS):
        if left in centres and right in centres and centres[left] >= centres[right]:
            yield (
                f"alps.user_rois.{left}: x = {centres[left]:g} is not left of {right} "
                f"({centres[right]:g}); sides are anatomical, and x grows to the right"
            )


def _of_path_table(config: dict) -> Iterator[str]:
    """Keys that find files in a BIDS folder, where a table of paths names every file."""
    if not config["path_table"] or config["metrics_table"]:
        return
    epvs, inputs = config["epvs"], config["inputs"]
    named = {f"epvs.{kind}": epvs[kind] for kind in ("region_labels", "epvs_mask", "lesion_mask")}
    named |= {"anat.brain_mask": config["anat"]["brain_mask"]}
    columns = {key: f"column {key.partition('.')[2]}" for key, value in named.items() if value}
    if epvs["raters"] and epvs["raters"] != default("epvs", "raters"):
        columns["epvs.raters"] = "columns rater_NAME"
    if any(inputs["filters"].values()):
        columns["inputs.filters"] = "one file of each kind"
    if inputs["several"] != default("inputs", "several"):
        columns["inputs.several"] = "one file of each kind"
    for key, column in columns.items():
        yield f"{key}: set and not used, because path_table names the files; give it {column}"
    if config["bids_validator"]:
        yield "bids_validator: set and not used, because path_table is no BIDS dataset; set false"


@cache
def _defaults() -> dict:
    return yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))


def default(*keys: str):
    """What the repository's configuration says: where it does, nobody has set the key."""
    value = _defaults()
    for key in keys:
        value = value[key]
    return value


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


def _colours(colours: dict) -> Iterator[str]:
    """Colours that no figure can be drawn in, and numbers, which are the name of no group."""
    for group, colour in colours.items():
        if not isinstance(group, str):
            yield f"stats.colours.{group}: groups are words; write it in quotes"
        if HEX.fullmatch(colour):
            continue
        from matplotlib.colors import get_named_colors_mapping, is_color_like  # slow to load

        if not is_color_like(colour):
            near = difflib.get_close_matches(colour, get_named_colors_mapping(), n=1)
            hint = f"did you mean '{near[0]}'?" if near else "write a name of matplotlib or #rrggbb"
            yield f"stats.colours.{group}: '{colour}' is no colour; {hint}"
