"""Corrections of the ALPS regions: a shift in mm, or a mask, of one region of one unit."""

from __future__ import annotations

import math
from pathlib import Path

from glymph.common.errors import BadInput
from glymph.common.names import region_names
from glymph.review.table import read_rows, unit_of

SHIFTS = ("shift_x_mm", "shift_y_mm", "shift_z_mm")
FARTHEST_MM = 30.0


def read_roi_corrections(folder: str | Path) -> dict[str, dict[str, dict]]:
    """Corrections of ``folder``/rois.tsv: unit's prefix -> region -> ``shift_mm`` or ``mask``.

    ``shift_mm`` is [x, y, z] in template axes (to the right, to the front, up); ``mask`` the path
    of a mask in the DWI's world, relative to ``folder`` in the table. Raises `BadInput` naming the
    line that means nothing. Without the table there are none.
    """
    path = Path(folder) / "rois.tsv"
    if not path.is_file():
        return {}
    found: dict[str, dict[str, dict]] = {}
    for line, row in read_rows(path, ["participant_id", "roi"]):
        if row["roi"] not in region_names():
            raise BadInput(
                f"line {line}: roi '{row['roi'][:40]}' is not one of {', '.join(region_names())}",
                path, "correct the cell",
            )  # fmt: skip
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
