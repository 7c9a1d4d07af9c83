"""Which of several images of one kind a unit uses."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from glymph.common.bids import same
from glymph.common.errors import Stop
from glymph.inputs.survey import DatasetError, Image

NO_MAGNITUDE = ("phase", "real", "imag")
"""Values of the entity part of images that are no magnitude: used only where a filter asks."""


@dataclass(frozen=True)
class Rule:
    """``filters``: per kind the entities (short names) and values that its file must have;
    ``several``: error, first or last, between those that fit."""

    filters: dict[str, dict]
    several: str

    def fits(self, image: Image, kind: str) -> bool:
        """Whether an image has what the filters ask for; None asks that there is no such entity."""
        has = image.name.entities | {"suffix": image.name.suffix}
        if self.is_half(image, kind):
            return False
        return all(same(has.get(k), v) for k, v in self.filters.get(kind, {}).items())

    def is_half(self, image: Image, kind: str) -> bool:
        """Whether an image is no magnitude, and no filter names its part."""
        return no_magnitude(image) and "part" not in self.filters.get(kind, {})

    def written(self, kind: str) -> str:
        """The filter of ``kind`` as in the configuration."""
        pairs = (f"{k}: {v}" for k, v in self.filters.get(kind, {}).items())
        return f"inputs.filters.{kind} {{{', '.join(pairs)}}}"

    def passed_over(self, image: Image, chosen: Image) -> Stop:
        """Why ``image`` is not used where ``chosen`` is."""
        kind = image.name.suffix
        if self.is_half(image, kind):
            return half(image)
        why = f"inputs.several: {self.several}" if self.fits(image, kind) else self.written(kind)
        may = ", and may serve to correct its distortion" if kind == "dwi" else ""
        return Stop(f"not used: {Path(chosen.path).name} was chosen by {why}{may}", image.path, "",
                    "inputs")  # fmt: skip

    def not_asked_for(self, images: list[Image]) -> list[Stop]:
        """Why some of ``images`` of one kind are none to choose from, where others are."""
        if not any(self.fits(image, image.name.suffix) for image in images):
            return []
        return [
            half(image) if no_magnitude(image) else
            Stop(f"not used: it does not fit {self.written(image.name.suffix)}", image.path, "",
                 "inputs")
            for image in images if not self.fits(image, image.name.suffix)
        ]  # fmt: skip


@lru_cache(maxsize=1)
def entities() -> dict[str, str]:
    """Short name of every BIDS entity by its long and its short name."""
    from bidsschematools.schema import load_schema

    known = load_schema().objects.entities
    names = {long: known[long].name for long in known}
    return names | {short: short for short in names.values()}


def settled(filters: dict) -> dict[str, dict]:
    """``filters`` with the short names of entities. Raises `DatasetError` for what is no entity."""
    return {
        kind: {_short(kind, entity): value for entity, value in wanted.items()}
        for kind, wanted in filters.items()
    }


def _short(kind: str, entity: str) -> str:
    if entity == "suffix":
        return entity
    if entity not in entities():
        near = difflib.get_close_matches(entity, entities(), n=1)
        hint = f"did you mean {near[0]}?" if near else "see the entities of BIDS, say acq, run, dir"
        raise DatasetError(f"inputs.filters.{kind}: '{entity}' is no entity of BIDS; {hint}")
    return entities()[entity]


def no_magnitude(image: Image) -> bool:
    """Whether the name of an image says that it is the phase, or half of a complex image."""
    return image.name.entities.get("part") in NO_MAGNITUDE


def half(image: Image) -> Stop:
    """Why a phase, or half of a complex image, is not used."""
    return Stop("not used: it is no magnitude image (part)", image.path, "", "inputs")


def stranger(image: Image) -> Stop:
    """Why an image is nobody's whose name is of another unit than its folder."""
    return Stop(
        "it lies in the folder of another subject or session than its name says", image.path,
        "find out whose image it is; rename or move it", "inputs",
    )  # fmt: skip


def choose(bids_dir: Path, kind: str, images: list[Image], rule: Rule) -> Image | Stop:
    """The image of ``kind`` that a unit uses, of those that are its own, or why it uses none."""
    if not images:
        return Stop(f"no {kind} image", str(bids_dir), "add the image if it was acquired", "inputs")
    fitting = [image for image in sorted(images, key=_natural) if rule.fits(image, kind)]
    names = ", ".join(Path(image.path).name for image in fitting or images)
    number = f"{len(images)} {kind} image{'s' * (len(images) > 1)}"
    if not fitting and not rule.filters.get(kind):
        return Stop(f"{number}, none a magnitude (part-mag): {names}", images[0].path,
                    "add the magnitude image", "inputs")  # fmt: skip
    if not fitting:
        return Stop(f"{number}, none fits {rule.written(kind)}: {names}", images[0].path,
                    f"correct inputs.filters.{kind}, or the file names", "inputs")  # fmt: skip
    if len(fitting) > 1 and rule.several == "error":
        return Stop(
            f"{len(fitting)} {kind} images and no rule to choose: {names}", fitting[0].path,
            f"set inputs.filters.{kind} (say, run: 1) or inputs.several to first or last", "inputs",
        )  # fmt: skip
    return fitting[-1] if rule.several == "last" else fitting[0]


def _natural(image: Image) -> list:
    """Sorts run-2 before run-10."""
    parts = re.split(r"(\d+)", image.path)
    return [int(part) if part.isdecimal() else part for part in parts]
