"""What lies in a BIDS folder: the images that this workflow can use, and what it cannot.

Only names are read. Every image of a kind in use is either in the survey or among what is unused,
with its reason.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from glymph.common.bids import DESCRIPTION, IMAGE_ENDINGS, Name, parse
from glymph.common.errors import Stop, short
from glymph.common.names import LABEL, Unit

PLACES = {"T1w": "anat", "T2w": "anat", "FLAIR": "anat", "dwi": "dwi", "epi": "fmap"}
"""The suffixes in use, and the folder in which BIDS has them."""
ELSEWHERE = ("func", "meg", "eeg", "ieeg", "pet", "beh", "perf", "micr", "motion", "nirs", "mrs")
"""Folders of other kinds of data, which may hold very many files."""
OTHER_IMAGES = (".img", ".img.gz", ".mgz", ".mgh", ".mnc", ".nrrd", ".mif", ".mif.gz", ".dcm")
BESIDE = ("sourcedata", "derivatives", "code", "stimuli", "phenotype", "docs", "logs", "rawbids")
"""Folders that a dataset may have beside those of its subjects."""
MP2RAGE = "UNIT1"
"""A T1-weighted image in all but name: the air about the head is noise as bright as the brain."""
MEANT = {word.lower(): word for word in PLACES} | {
    "t1": "T1w", "t2": "T2w", "dti": "dwi", "mprage": "T1w", "spgr": "T1w", "bravo": "T1w",
}  # fmt: skip
"""What people call an image of a kind in use, in lower case."""
ODD_FOLDER = re.compile(r"sub([-_ ]|\d)", re.IGNORECASE)
SESSION = re.compile(r"ses([-_ ]|\d)", re.IGNORECASE)


class DatasetError(ValueError):
    """The dataset as a whole cannot be read; the message names the place and the cure."""


@dataclass(frozen=True)
class Image:
    """An image of a kind in use: its ``path``, and its ``name`` taken apart."""

    path: str
    name: Name

    @property
    def own_unit(self) -> tuple[str | None, str | None]:
        """Subject and session by its name, whatever folder it lies in."""
        return self.name.entities.get("sub"), self.name.entities.get("ses")


@dataclass(frozen=True)
class Unused:
    """A file or folder that no unit uses, and why; ``participant_id`` or the folder's name."""

    participant_id: str
    session_id: str | None
    stop: Stop

    @classmethod
    def of(cls, unit: Unit, stop: Stop) -> Unused:
        return cls(unit.participant_id, unit.session_id, stop)


@dataclass
class Survey:
    """``images`` by unit and suffix (`PLACES`), ``fieldmaps`` of those and of other units, the
    paths of a unit's ``tables`` (sessions, scans), its first image of `MP2RAGE` (``unit1``), and
    what is ``unused``. A unit is what has an image other than a fieldmap."""

    images: dict[Unit, dict[str, list[Image]]] = field(default_factory=dict)
    fieldmaps: dict[Unit, dict[str, list[Image]]] = field(default_factory=dict)
    tables: dict[Unit, list[str]] = field(default_factory=dict)
    unit1: dict[Unit, str] = field(default_factory=dict)
    unused: list[Unused] = field(default_factory=list)


def survey(bids_dir: Path, only: Collection[str] | None = None) -> Survey:
    """Look through every subject's folder, or through those named in ``only``, and nothing else.

    Raises `DatasetError` where there is no dataset.
    """
    if not bids_dir.is_dir():
        raise DatasetError(f"bids_dir '{bids_dir}' is no folder; set bids_dir to your BIDS dataset")
    if not (bids_dir / DESCRIPTION).is_file():
        raise DatasetError(
            f"{bids_dir}/{DESCRIPTION} is missing; every BIDS dataset has one "
            '(at least {"Name": "...", "BIDSVersion": "1.10.0"})'
        )
    found = Survey()
    for entry in _entries(bids_dir, only):
        if re.fullmatch(f"sub-{LABEL}", entry.name) and entry.is_dir():
            _subject(Path(entry.path), found)
        elif re.fullmatch(f"sub-{LABEL}", entry.name) and entry.is_symlink():
            stop = Stop(
                "it is a link to nothing", entry.path, f"datalad get {entry.path}", "inputs"
            )
            found.unused.append(Unused(entry.name, None, stop))
        elif _seems_subject(entry):
            found.unused.append(Unused(short(entry.name), None, _odd_name(entry, "a subject")))
    _without_images(found)
    if not found.images:
        first = f" The first that is not used: {found.unused[0].stop}" if found.unused else ""
        raise DatasetError(
            f"{bids_dir} holds no sub-*/ folder with a T1w, T2w, FLAIR or dwi image; is it a BIDS "
            f"dataset?{first}"
        )
    return found


def _seems_subject(entry: os.DirEntry) -> bool:
    """Whether what lies beside the subjects' folders looks like a subject named otherwise."""
    if not entry.is_dir():
        return bool(ODD_FOLDER.match(entry.name)) and _is_image(entry.name)
    if entry.name in BESIDE or entry.name.startswith("."):
        return False
    inside = [inner.name for inner in _entries(Path(entry.path))[:20]]
    return bool(ODD_FOLDER.match(entry.name)) or any(
        name in ("anat", "dwi") or SESSION.match(name) for name in inside
    )


def _without_images(found: Survey) -> None:
    """List sessions that hold nothing but fieldmaps, or no image in use but MP2RAGE."""
    for unit in (unit for unit in found.unit1 if unit not in found.images):
        found.unused.append(Unused.of(unit, no_t1w(found.unit1[unit])))
    for unit in (unit for unit in found.fieldmaps if unit not in found.images):
        if unit.session is None and any(u.subject == unit.subject for u in found.images):
            continue  # of all sessions
        for image in found.fieldmaps[unit]["epi"]:
            stop = Stop("a fieldmap without any image is not used", image.path, "", "inputs")
            found.unused.append(Unused.of(unit, stop))


def _entries(folder: Path, only: Collection[str] | None = None) -> list[os.DirEntry]:
    try:
        found = (entry for entry in os.scandir(folder) if only is None or entry.name in only)
        return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _odd_name(entry: os.DirEntry, whose: str) -> Stop:
    if not entry.is_dir():
        return Stop("an image outside the subjects' folders is not used", entry.path,
                    "move it to sub-<label>/anat or sub-<label>/dwi", "inputs")  # fmt: skip
    prefix = "ses" if whose == "a session" else "sub"
    return Stop(
        f"{whose}'s folder is called {prefix}- and a label of letters and digits only, so that "
        f"'{short(entry.name)}' is not used", entry.path, "rename the folder and its files",
        "inputs",
    )  # fmt: skip


def _subject(folder: Path, found: Survey) -> None:
    subject = folder.name.removeprefix("sub-")
    before = [len(found.images), len(found.unit1), len(found.unused)]
    for entry in _entries(folder):
        if not entry.is_dir():
            _outside(entry, Unit(subject), found)
        elif re.fullmatch(f"ses-{LABEL}", entry.name):
            unit = Unit(subject, entry.name.removeprefix("ses-"))
            for inner in _entries(Path(entry.path)):
                (_datatype if inner.is_dir() else _outside)(inner, unit, found)
        elif SESSION.match(entry.name):
            found.unused.append(Unused(folder.name, None, _odd_name(entry, "a session")))
        else:
            _datatype(entry, Unit(subject), found)
    if [len(found.images), len(found.unit1), len(found.unused)] == before:
        stop = Stop("it holds no T1w, T2w, FLAIR or dwi image, and is not used", str(folder),
                    "add the images, if they were acquired", "inputs")  # fmt: skip
        found.unused.append(Unused(folder.name, None, stop))


def _outside(entry: os.DirEntry, unit: Unit, found: Survey) -> None:
    """A file directly in the folder of a subject or session."""
    name = parse(entry.name)
    if name and name.ending == ".tsv" and name.suffix in ("sessions", "scans"):
        found.tables.setdefault(unit, []).append(entry.path)
    elif _kind(entry.name, ""):
        stop = _unusable(entry.path, "")
        found.unused.append(Unused.of(unit, stop))


def _datatype(folder: os.DirEntry, unit: Unit, found: Survey) -> None:
    if folder.name in ELSEWHERE:
        return
    if folder.name not in PLACES.values():
        _lost(folder.path, unit, found)
        return
    own: dict[str, list[Image]] = {}
    for entry in _entries(Path(folder.path)):
        if entry.is_dir():
            _lost(entry.path, unit, found)
            continue
        if folder.name == "anat" and _is_unit1(entry.name):
            found.unit1.setdefault(unit, entry.path)
        kind = _kind(entry.name, folder.name)
        stop = kind and _unusable(entry.path, folder.name)
        if stop:
            found.unused.append(Unused.of(unit, stop))
        elif kind:
            own.setdefault(kind, []).append(Image(entry.path, parse(entry.name)))
    place = found.images if own.keys() - {"epi"} else found.fieldmaps
    if own:
        place.setdefault(unit, {}).update(own)


def _is_unit1(name: str) -> bool:
    known = parse(name)
    return known is not None and known.suffix == MP2RAGE and known.ending in IMAGE_ENDINGS


def no_t1w(unit1: str) -> Stop:
    """Why there is no T1w where there is the image ``unit1`` of MP2RAGE."""
    wanted = os.path.basename(unit1).replace(f"_{MP2RAGE}.", "_T1w.")
    return Stop(
        f"no T1w image; {MP2RAGE} (MP2RAGE) is not taken for one, as the air about the head is "
        "noise in it", unit1, f"add a copy with this noise removed as {wanted}", "inputs",
    )  # fmt: skip


def _lost(folder: str, unit: Unit, found: Survey) -> None:
    """List the images in a folder that BIDS does not have."""
    paths = [os.path.join(place, n) for place, _, names in os.walk(folder) for n in sorted(names)]
    for path in paths:
        if _kind(os.path.basename(path), ""):
            stop = _unusable(path, os.path.basename(os.path.dirname(path)) + "/")
            found.unused.append(Unused.of(unit, stop))


def _is_image(name: str) -> bool:
    known = name.lower().endswith((*IMAGE_ENDINGS, *OTHER_IMAGES))
    return known and not name.startswith(".")


def _kind(name: str, folder: str) -> str | None:
    """The suffix in use that a file has or seems to mean; "image" for one in ``folder`` anat or dwi
    that has no BIDS name at all; None for what is of no use here."""
    if not _is_image(name):
        return None
    known = parse(name)
    if known and known.suffix in PLACES:
        return known.suffix
    word = re.split("[_.]", name[: name.index(".")])[-1].lower()
    if word in MEANT:
        return MEANT[word]
    return "image" if known is None and folder in ("anat", "dwi") else None


def _unusable(path: str, folder: str) -> Stop | None:
    """Why an image that lies in ``folder`` of a subject is not used; None where it is."""
    name = parse(os.path.basename(path))
    path = path.encode(errors="replace").decode()  # a name that is no text
    if not path.endswith(IMAGE_ENDINGS):
        return Stop(
            "it is no .nii or .nii.gz, and is not used", path, "convert or rename it", "inputs"
        )
    if name is None or name.suffix not in PLACES:
        return Stop("its name is no BIDS name, so that it is not used", path,
                    "rename it, as sub-01_T1w.nii.gz or sub-01_dwi.nii.gz", "inputs")  # fmt: skip
    place = PLACES[name.suffix]
    if folder != place:
        return Stop(f"it lies outside the folder {place}/, and is not used", path,
                    f"move it to {place}/", "inputs")  # fmt: skip
    return None
