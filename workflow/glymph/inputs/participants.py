"""Reading participants.tsv: every row checked, nobody dropped in silence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from glymph.common.errors import Stop, short
from glymph.common.tables import MISSING, TableError, read_table

NUMERIC = ("age", "education", "mmse", "moca", "brain_volume_mm3")


@dataclass(frozen=True)
class Participants:
    """``rows`` maps participant_id to its variables (str, float, or None where missing).

    ``problems`` maps participant_id to what is wrong with its row; such rows keep what is sound.
    ``unusable`` names the participants whose row must not be used at all.
    """

    rows: dict[str, dict[str, str | float | None]]
    problems: dict[str, list[Stop]]
    unusable: frozenset[str]


class ParticipantsError(ValueError):
    """The table as a whole cannot be read."""


def read_participants(path: str | Path, columns: dict[str, str], groups: list[str] | None):
    """Read and check a participants table.

    ``columns`` maps the workflow's variables (group, age, sex, education, mmse, moca, site,
    brain_volume_mm3) to the table's column names; ``groups`` lists the allowed groups, None for
    any. Further columns are ignored. Raises `ParticipantsError`.
    """
    path = Path(path)
    if not path.is_file():
        raise ParticipantsError(
            f"{path} does not exist; write one with a participant_id column, or name it in "
            "participants.table"
        )
    try:
        header, table = read_table(path)
    except TableError as error:
        raise ParticipantsError(str(error)) from None
    if "participant_id" not in header:
        raise ParticipantsError(
            f"{path}: no participant_id column in a header of {len(header)} columns; the table "
            "must be separated by tabs, with a header line"
        )
    rows, problems = {}, {}
    for number, row in table:
        name = _participant_id(row["participant_id"])
        if not name:
            raise ParticipantsError(
                f"{path}, line {number}: participant_id is empty; fill it in, or remove the line"
            )
        values, found = _check_row(row, name, columns, groups, path, number)
        if name in rows:
            found = [_duplicate(name, path, number), *problems.get(name, [])]
        rows.setdefault(name, values)
        if found:
            problems[name] = found
    unusable = frozenset(n for n, f in problems.items() if any("rows for" in s.reason for s in f))
    return Participants(rows, problems, unusable)


def _participant_id(cell: str) -> str:
    return cell if not cell or cell.startswith("sub-") else f"sub-{cell}"


def _duplicate(name: str, path: Path, number: int) -> Stop:
    return Stop(
        f"several rows for {short(name)} (again on line {number})",
        str(path),
        "keep one row",
        "inputs",
    )


def _check_row(row, name, columns, groups, path, number):
    values, found = {}, []
    for variable, column in columns.items():
        cell = row.get(column, "") if column else ""
        if cell.lower() in MISSING:
            values[variable] = None
        elif variable in NUMERIC:
            values[variable] = _number(cell, variable == "brain_volume_mm3")
            if values[variable] is None:
                found.append(
                    Stop(f"{short(name)}, line {number}: {column} is '{short(cell)}', not a "
                         f"{'volume' if variable == 'brain_volume_mm3' else 'number'}; taken as "
                         "missing", str(path), "correct the cell or write n/a", "inputs")
                )  # fmt: skip
        else:
            values[variable] = cell
    group = values.get("group")
    if groups and group is not None and group not in groups:
        found.append(
            Stop(f"{short(name)}, line {number}: group '{short(group)}' is not one of "
                 f"{short(', '.join(groups))}; taken as missing", str(path),
                 "correct it, or add it to participants.groups", "inputs")
        )  # fmt: skip
        values["group"] = None
    return values, found


def _number(cell: str, positive: bool) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and (value > 0 or not positive) else None
