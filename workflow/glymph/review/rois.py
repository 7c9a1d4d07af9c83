"""Corrections of the ALPS regions: a shift in mm, or a mask, of one region of one unit."""

from __future__ import annotations

import math
from pathlib import Path

from glymph.common.errors import BadInput
from glymph.common.names import Unit, region_names
from glymph.common.tables import read_table
from glymph.review import store
from glymph.review.table import check_word, read_rows, unit_of

SHIFTS = ("shift_x_mm", "shift_y_mm", "shift_z_mm")
FARTHEST_MM = 30.0
TABLE = "rois.tsv"


def read_roi_corrections(folder: str | Path) -> dict[str, dict[str, dict]]:
    """Corrections of ``folder``/rois.tsv: unit's prefix -> region -> ``shift_mm`` or ``mask``.

    ``shift_mm`` is [x, y, z] in template axes (to the right, to the front, up); ``mask`` the path
    of a mask in the DWI's world, relative to ``folder`` in the table. Raises `BadInput` naming the
    line that means nothing. Without the table there are none.
    """
    path = Path(folder) / TABLE
    if not path.is_file():
        return {}
    found: dict[str, dict[str, dict]] = {}
    for line, row in read_rows(path, ["participant_id", "roi"]):
        check_word(row, "roi", region_names(), path, line)
        own = found.setdefault(unit_of(row, path, line).prefix, {})
        if row["roi"] in own:
            raise BadInput(f"line {line}: {row['roi']} again", path, "keep one row of each")
        own[row["roi"]] = _correction(row, path, line)
    return found


def _correction(row: dict[str, str], path: Path, line: int) -> dict:
    shift = [_millimetres(row.get(name, ""), path, line) for name in SHIFTS]
    mask = row.get("mask", "")
    if bool(mask) == any(shift):
        raise BadInput(f"line {line}: give either a shift or a mask", path, "correct the row")
    if not mask:
        return {"shift_mm": shift}
    place = path.parent / mask
    if not place.is_file():
        raise BadInput(f"line {line}: there is no mask {place}", path, "correct the path")
    return {"mask": str(place)}


def _millimetres(cell: str, path: Path, line: int) -> float:
    try:
        value = float(cell or 0)
    except ValueError:
        value = math.nan
    if not abs(value) <= FARTHEST_MM:
        raise BadInput(
            f"line {line}: a shift of '{cell[:40]}' mm", path,
            f"give numbers of at most {FARTHEST_MM:g} mm",
        )  # fmt: skip
    return value


COLUMNS = ("participant_id", "session_id", "roi", *SHIFTS, "mask", "rater", "time")


def rows_of(folder: Path, unit: Unit) -> list[dict[str, str]]:
    """The rows of ``folder``/rois.tsv that are of one unit."""
    path = folder / TABLE
    if not path.is_file():
        return []
    rows = read_rows(path, ["participant_id", "roi"])
    return [row for line, row in rows if unit_of(row, path, line) == unit]


def with_shifts(
    folder: Path, unit: Unit, shifts: dict[str, list[float]], rater: str, time: str
) -> bytes:
    """The table with the regions of one unit at ``shifts`` (mm, template axes); all other rows and
    columns stay. A shift of nothing is no row.

    Raises `BadInput` for a shift that `read_roi_corrections` would refuse, and for a region that a
    mask in the table replaces.
    """
    path = folder / TABLE
    names, rows = _read(path)
    masked = {row["roi"] for row in rows_of(folder, unit) if row.get("mask")}
    for region, shift in shifts.items():
        _check_shift(region, shift, masked, path)
    mine = [row for line, row in rows if unit_of(row, path, line) == unit]
    kept = [row for _, row in rows if row not in mine or row["roi"] not in shifts]
    who = {"participant_id": unit.participant_id, "session_id": unit.session_id}
    new = [
        who | {"roi": region, "rater": rater, "time": time}
        | {name: f"{mm:g}" for name, mm in zip(SHIFTS, shift, strict=True)}
        for region, shift in shifts.items() if any(shift)
    ]  # fmt: skip
    order = [*names, *(name for name in COLUMNS if name not in names)]
    return store.as_table(order, [*kept, *new])


def _read(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    if not path.is_file():
        return [], []
    rows = list(read_rows(path, ["participant_id", "roi"]))
    return read_table(path)[0], rows


def _check_shift(region: str, shift, masked: set[str], path: Path) -> None:
    numbers = isinstance(shift, list) and len(shift) == 3 and not any(
        isinstance(mm, bool) or not isinstance(mm, (int, float)) for mm in shift)  # fmt: skip
    if region not in region_names() or not numbers:
        raise BadInput(f"no shift of a region: {region[:40]}", "shifts", "load the page again")
    if region in masked:
        raise BadInput(f"{region} is replaced by a mask", path, "take that row out to shift it")
    for mm in shift:
        _millimetres(str(mm), path, 0)
