"""BIDS: names of files, and which metadata files apply to an image (the inheritance principle).

A metadata file applies to an image that lies in its folder or below it, has its suffix, and has all
of its entities with the same values. Of JSON files all that apply are merged, nearer ones first; of
bval and bvec the nearest counts (BIDS 1.11, "The Inheritance Principle").
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glymph.common.errors import BadInput

IMAGE_ENDINGS = (".nii.gz", ".nii")
ENDINGS = (*IMAGE_ENDINGS, ".json", ".bval", ".bvec", ".tsv")
DESCRIPTION = "dataset_description.json"


@dataclass(frozen=True)
class Name:
    """A BIDS file name: ``entities`` by short name in the order of the file, suffix, ending."""

    entities: dict[str, str]
    suffix: str
    ending: str


def parse(name: str) -> Name | None:
    """The parts of a BIDS file ``name`` (without folders); None where it is none."""
    ending = next((end for end in ENDINGS if name.endswith(end)), None)
    if ending is None:
        return None
    *pairs, suffix = name.removesuffix(ending).split("_")
    entities = {}
    for pair in pairs:
        found = re.fullmatch(r"([a-z]+)-([0-9a-zA-Z+]+)", pair)
        if not found or found[1] in entities:
            return None
        entities[found[1]] = found[2]
    return Name(entities, suffix, ending) if re.fullmatch("[0-9a-zA-Z]+", suffix) else None


def same(one, other) -> bool:
    """Whether two labels or indices are equal: as text, or as numbers (1 = 01)."""
    if one is None or other is None:
        return one is other
    one, other = str(one), str(other)
    return one == other or (one.isdecimal() and other.isdecimal() and int(one) == int(other))


def stem(path: str) -> str:
    """``path`` without the ending of an image or JSON file."""
    ending = next((end for end in ENDINGS if path.endswith(end)), "")
    return path.removesuffix(ending)


def listing(folder: str) -> list[str]:
    """Names in a folder; none where it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def applicable(
    path: str,
    ending: str,
    root: str | None = None,
    names: Callable[[str], list[str]] = listing,
) -> list[str]:
    """The files with this ``ending`` that apply to the image ``path``, the nearest last.

    ``root``: the dataset's folder, by default the nearest above with a dataset_description.json;
    without one only the file beside the image counts. ``names`` lists a folder. Raises `BadInput`
    where two files of one folder apply equally.
    """
    folder, name = os.path.split(stem(path))
    wanted = parse(name + ending)
    root = root or dataset_of(folder)
    if wanted is None or root is None:
        beside = stem(path) + ending
        return [beside] if os.path.lexists(beside) else []
    found = []
    for level in _levels(root, folder):
        fitting = [n for n in names(level) if n.endswith(ending) and _applies(parse(n), wanted)]
        fitting.sort(key=lambda n: len(parse(n).entities))
        numbers = [len(parse(n).entities) for n in fitting]
        if len(set(numbers)) < len(numbers):
            raise BadInput(
                f"{' and '.join(fitting)} apply to it equally", path,
                "keep one of them, or name them by what tells their images apart",
            )  # fmt: skip
        found += [os.path.join(level, n) for n in fitting]
    return found


def dataset_of(folder: str) -> str | None:
    """The nearest folder at or above ``folder`` that describes a dataset."""
    for place in (Path(folder or "."), *Path(folder or ".").absolute().parents):
        if (place / DESCRIPTION).is_file():
            return str(place)
    return None


def _levels(root: str, folder: str) -> list[str]:
    """``root`` and the folders from there down to ``folder``."""
    steps = [step for step in os.path.relpath(folder or ".", root).split(os.sep) if step != "."]
    return [os.path.join(root, *steps[:n]) for n in range(len(steps) + 1)]


def _applies(name: Name | None, wanted: Name) -> bool:
    return (
        name is not None
        and name.suffix == wanted.suffix
        and all(same(wanted.entities.get(k), v) for k, v in name.entities.items())
    )
