"""Reading the small tables that raters write: every cell checked, each error with its line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from glymph.common.errors import BadInput
from glymph.common.names import Unit
from glymph.common.tables import MISSING

LARGEST = 50_000_000
"""Bytes: half a million ratings."""


def read_rows(path: str | Path, needed: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row) of a tab-separated table; what is missing is the empty string.

    Raises `BadInput` where the table cannot be read or lacks one of the ``needed`` columns.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST // 1_000_000} MB")
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, delimiter="\t")
            header, rows = reader.fieldnames or [], [(reader.line_num, row) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise BadInput(
            f"this table cannot be read ({str(error).splitlines()[0]})", path,
            "write it again, tab-separated, in UTF-8",
        ) from None  # fmt: skip
    missing = [name for name in needed if name not in header]
    if missing:
        raise BadInput(
            f"no column {', '.join(missing)}", path,
            "the table must be separated by tabs, with a header line",
        )  # fmt: skip
    for line, row in rows:
        yield line, {k: _tidy(v) for k, v in row.items() if isinstance(k, str)}


def unit_of(row: dict[str, str], path: str | Path, line: int) -> Unit:
    """The subject-session of a row."""
    subject = row["participant_id"].removeprefix("sub-")
    session = row.get("session_id", "").removeprefix("ses-")
    try:
        return Unit(subject, session or None)
    except ValueError as error:
        raise BadInput(f"line {line}: {error}", path, "correct the row") from None


def _tidy(cell: str | None) -> str:
    cell = " ".join((cell or "").split())
    return "" if cell.lower() in MISSING else cell
