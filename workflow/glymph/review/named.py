"""Whom raters' files name: everybody must be of the dataset, so that no decision goes unseen."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from pathlib import Path

from glymph.common.bids import same
from glymph.common.errors import BadInput, Stop, short
from glymph.common.names import CORRECTED, Unit
from glymph.review.object_ratings import object_files, read_objects
from glymph.review.ratings import rating_files, read_ratings
from glymph.review.rois import TABLE, read_roi_corrections

RECORD = "metrics.json"
"""Of a unit whose results were made, and whom somebody may so have judged."""


def named_units(folder: Path, corrections: bool = True) -> Iterator[tuple[Path, Unit]]:
    """(file, whom it names) of all files of raters; without ``corrections`` of tables that judge.

    Raises `BadInput` for a table that means nothing.
    """
    for files, read in ((rating_files, read_ratings), (object_files, read_objects)):
        for path in files(folder):
            for row in read(path):
                yield Path(path), Unit.from_ids(row["participant_id"], row["session_id"])
    if corrections:
        for prefix in read_roi_corrections(folder):
            yield folder / TABLE, Unit.from_prefix(prefix)
        top = folder / CORRECTED
        for path in sorted(p for p in top.rglob("*") if p.is_file() and p.name[0] != "."):
            # what lies otherwise than sub-X/[ses-Y/]anat/file was refused before
            yield path, Unit.from_prefix("_".join(path.relative_to(top).parts[:-2]))


def check_units(
    folder: Path,
    units: Collection[Unit],
    results: Path,
    corrections: bool = True,
    part: bool = False,
) -> list[str]:
    """Raise `BadInput` where raters' files in ``folder`` name a unit that is none of ``units``.

    Returns the names of those who have gone since: no longer in the dataset, with a record in
    ``results``. ``part``: ``units`` are those of some subjects, and others are not judged here.
    """
    units, subjects = set(units), {unit.subject for unit in units}
    unknown: dict[Unit, Path] = {}
    for path, unit in named_units(folder, corrections):
        if unit not in units and (unit.subject in subjects or not part):
            unknown.setdefault(unit, path)
    gone = [u for u in unknown if u.subject not in subjects and _was_made(u, results)]
    strangers = [(path, unit) for unit, path in unknown.items() if unit not in gone]
    if strangers:
        raise BadInput("\n".join(str(_stop(path, unit, units)) for path, unit in strangers))
    return [unit.prefix for unit in gone]


def _was_made(unit: Unit, results: Path) -> bool:
    return (results / unit.path("", RECORD)).is_file()


def _stop(path: Path, unit: Unit, units: Collection[Unit]) -> Stop:
    """Why a name fits nobody, and who may be meant."""
    own = sorted(other.prefix for other in units if other.subject == unit.subject)
    alike = sorted(other.prefix for other in units if same(other.subject, unit.subject))
    names = [other.prefix for other in units]
    near = own or alike or difflib.get_close_matches(unit.prefix, names, n=3, cutoff=0.7)
    reason = f"names {unit.prefix}, which is no subject-session of this dataset"
    hint = f" (did you mean {short(' or '.join(near), 200)}?)" if near else ""
    return Stop(reason, str(path), f"correct it{hint}, or take it out")
