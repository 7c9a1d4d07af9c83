"""What a rater corrects of one unit: perivascular spaces, the brain mask, the ALPS regions.

Pure but for the last step (`store.save`): a correction is checked, compared with the automatic
result, and only then written, to exactly the file that the workflow takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from glymph.common.errors import BadInput
from glymph.common.given import volume
from glymph.common.images import array
from glymph.common.names import Unit
from glymph.common.provenance import file_hash, software
from glymph.epvs.census import CONNECTED, SHORTEST_MM, extent
from glymph.epvs.maps import corrected_on
from glymph.review import store
from glymph.review.definitions import columns
from glymph.review.drawing import as_file
from glymph.review.object_ratings import DECISIONS
from glymph.review.objects import FILES, Objects
from glymph.review.ratings import LONGEST
from glymph.review.table import read_rows, tidy

PLACES = {
    "epvs": "corrected/{folder}/anat/{prefix}_label-EPVS_mask.nii.gz",
    "brain": "corrected/{folder}/anat/{prefix}_desc-brain_mask.nii.gz",
}
BRAIN = "desc-brain_mask.nii.gz"


def place_of(kind: str, unit: Unit) -> str:
    """Where the correction of a mask lies, from the review folder."""
    return PLACES[kind].format(folder=unit.folder, prefix=unit.prefix)


@dataclass(frozen=True)
class Mask:
    """A corrected mask (bool) on the grid ``affine``, and what is to be said about it."""

    data: np.ndarray
    affine: np.ndarray
    summary: dict
    about: dict
    changed: bool = True
    decided: list[dict] = field(default_factory=list)


def epvs_mask(start: np.ndarray, found: Objects, decisions: dict[int, str]) -> np.ndarray:
    """The mask ``start`` (bool) after ``decisions`` on labels of ``found``: what is deleted goes
    whole, what is accepted is there whole."""
    known = {row["object"] for row in found.rows}
    for label, decision in decisions.items():
        if label not in known or decision not in DECISIONS:
            raise BadInput(
                f"no decision '{decision}' on an object {label} is possible", "decisions",
                "load the page again",
            )  # fmt: skip
    gone = [label for label, decision in decisions.items() if decision == "delete"]
    kept = [label for label, decision in decisions.items() if decision == "accept"]
    return (start & ~np.isin(found.numbers, gone)) | np.isin(found.numbers, kept)


def present_epvs(folder: Path, unit: Unit, found: Objects) -> tuple[np.ndarray, bool]:
    """The mask that would count at the next run, on the grid of ``found``, and whether it lies on
    another grid on disk: a correction where there is one, else the counted objects."""
    path = folder / place_of("epvs", unit)
    if not path.is_file():
        return found.counted, False
    image = volume(path)
    same = image.shape == found.image.shape and np.allclose(
        image.affine, found.image.affine, atol=1e-3
    )
    if same:
        return array(image) > 0.5, False
    numbers = np.where(found.counted, found.numbers, 0)
    regions = nib.Nifti1Image(found.regions, found.image.affine)
    return corrected_on(image, str(path), numbers, regions), True


def correct_epvs(
    start: np.ndarray, found: Objects, decisions: dict[int, str], drawn: np.ndarray | None
) -> Mask:
    """The perivascular spaces after a rater's ``decisions`` and, where a pen was used, as ``drawn``
    (bool, on the grid of ``found``).

    ``start``: the mask that the rater began with. Raises `BadInput` where the drawing holds the
    whole of an object that was deleted, or nothing of one that was accepted.
    """
    decided = epvs_mask(start, found, decisions)
    mask = decided if drawn is None else drawn
    for label, decision in decisions.items():
        own = mask[found.numbers == label]
        if (decision == "delete" and own.all()) or (decision == "accept" and not own.any()):
            raise BadInput(f"object {label}: the drawing says the opposite of '{decision}'",
                           "drawing", "load the page again")  # fmt: skip
    inside = found.regions > 0
    summary = {
        "deleted": sorted(k for k, v in decisions.items() if v == "delete"),
        "accepted": sorted(k for k, v in decisions.items() if v == "accept"),
        "voxels_added": int((mask & ~found.counted).sum()),
        "voxels_removed": int((found.counted & ~mask).sum()),
        "voxels_drawn": int((mask & ~decided).sum()),
        "voxels_erased": int((decided & ~mask).sum()),
        "voxels_outside_regions": int((mask & ~inside).sum()),
    } | _pieces(mask & inside, found.image.affine)
    rows = {row["object"]: row for row in found.rows}
    chosen = [{"row": rows[label], "decision": what} for label, what in sorted(decisions.items())]
    changed = not np.array_equal(mask, start)
    return Mask(mask, found.image.affine, summary, {}, changed, chosen)


def _pieces(mask: np.ndarray, affine: np.ndarray) -> dict:
    """How many objects the workflow will count, and how many pieces are too short for it."""
    parts, _ = ndimage.label(mask, CONNECTED)
    lengths = [
        extent(np.argwhere(parts[box] == number), affine)
        for number, box in enumerate(ndimage.find_objects(parts), 1)
    ]
    short = sum(length < SHORTEST_MM - 1e-6 for length in lengths)
    return {"objects": len(lengths) - short, "pieces_too_short": short}


def correct_brain(automatic: nib.Nifti1Image, present: nib.Nifti1Image, drawn: np.ndarray) -> Mask:
    """A brain mask as ``drawn`` (bool) on the grid of the ``automatic`` one.

    ``present`` is the one that would count at the next run. Raises `BadInput` for an empty mask.
    """
    if not drawn.any():
        raise BadInput("the brain mask is empty", "drawing", "draw it again")
    before = array(automatic) > 0
    summary = {"voxels_added": int((drawn & ~before).sum()),
               "voxels_removed": int((before & ~drawn).sum())}  # fmt: skip
    changed = not np.array_equal(array(present) > 0.5, drawn)
    return Mask(drawn, automatic.affine, summary, {}, changed)


def save_mask(
    kind: str, mask: Mask, unit: Unit, results: Path, folder: Path, rater: str, based_on: str
) -> dict:
    """Write ``mask`` where the workflow takes it, with its history; returns what was written.

    Raises `store.Taken` where somebody else has saved since. Call it within `store.alone`.
    """
    name, time = place_of(kind, unit), store.moment()
    files = [FILES["numbers"], FILES["probability"]] if kind == "epvs" else [BRAIN]
    sources = {unit.path("anat", file): file_hash(results / unit.path("anat", file))
               for file in files}  # fmt: skip
    about = {
        "Rater": rater, "Time": time, "File": name, "AutomaticResult": sources,
        "Changes": mask.summary, "GeneratedBy": software(),
    }  # fmt: skip
    content = as_file(mask.data, mask.affine)
    table = store.rater_file(folder, "objects", rater)
    store.columns_of(table, columns("objects"))  # before anything is written
    if mask.changed:
        store.save(folder, name, content, about, based_on)
    if mask.decided:
        _record(mask.decided, unit, folder, rater, time)
    return {"file": str(folder / name) if mask.changed else "", "time": time}


def _record(decided: list[dict], unit: Unit, folder: Path, rater: str, time: str) -> None:
    rows = [
        {"participant_id": unit.participant_id, "session_id": unit.session_id,
         "object": one["row"]["object"], "region": one["row"]["region"],
         "decision": one["decision"], "rater": rater, "time": time}
        | {f"{axis}_mm": f"{mm:.2f}" for axis, mm in zip("xyz", one["row"]["centre"], strict=True)}
        for one in decided
    ]  # fmt: skip
    store.append_rows(store.rater_file(folder, "objects", rater), columns("objects"), rows)


def decisions_of(folder: Path, unit: Unit, rater: str) -> list[dict]:
    """A rater's latest decision on every object of a unit, as rows of the table."""
    path = store.rater_file(folder, "objects", rater)
    if not rater or not path.is_file():
        return []
    found: dict[tuple, dict] = {}
    for _, row in read_rows(path, columns("objects")):
        mine = (row["participant_id"], row["session_id"]) == (
            unit.participant_id, unit.session_id or "")  # fmt: skip
        if mine and row["rater"] == rater and row["decision"] in DECISIONS:
            found[row["object"], row["x_mm"], row["y_mm"], row["z_mm"]] = row
    return list(found.values())


def checked_rater(text) -> str:
    """A rater's id as it stands in the tables. Raises `BadInput`."""
    rater = tidy(text) if isinstance(text, str) else ""
    most = LONGEST["rater"]
    if not rater or len(rater) > most or not rater.isprintable():
        reason = f"a rater is needed, of at most {most} characters"
        raise BadInput(reason, "rater", "enter your id")
    return rater
