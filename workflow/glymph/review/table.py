"""Reading the small tables that raters write: every cell checked, each error with its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glymph.common.errors import BadInput
from glymph.common.names import Unit
from glymph.common.tables import MISSING, TableError, read_table

LARGEST_MB = 50
"""Half a million ratings."""


def read_rows(path: str | Path, needed: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row) of a tab-separated table; what is missing is the empty string.

    Raises `BadInput` where the table cannot be read or lacks one of the ``needed`` columns.
    """
    path = Path(path)
    if path.stat().st_size > LARGEST_MB * 1e6:
        raise BadInput(f"larger than {LARGEST_MB} MB", path, "this is no table of a rater")
    try:
        header, rows = read_table(path)
    except TableError as error:
        raise BadInput(str(error)) from None
    missing = [name for name in needed if name not in header]
    if missing:
        raise BadInput(
            f"no column {', '.join(missing)}", path,
            "the table must be separated by tabs, with a header line",
        )  # fmt: skip
    for line, row in rows:
        yield line, {name: tidy(text) for name, text in row.items()}


def check_word(row: dict[str, str], name: str, words, path: str | Path, line: int) -> None:
    """Raises `BadInput` where the cell ``name`` holds none of ``words``."""
    if row[name] not in words:
        raise BadInput(
            f"line {line}: {name} '{row[name][:40]}' is not one of {', '.join(words)}", path,
            "correct the cell",
        )  # fmt: skip


def unit_of(row: dict[str, str], path: str | Path, line: int) -> Unit:
    """The subject-session of a row."""
    subject = row["participant_id"].removeprefix("sub-")
    session = row.get("session_id", "").removeprefix("ses-")
    try:
        return Unit(subject, session or None)
    except ValueError as error:
        raise BadInput(f"line {line}: {error}", path, "correct the row") from None


def tidy(cell: str) -> str:
    """A cell on one line; what means missing is the empty string."""
    cell = " ".join(cell.split())
    return "" if cell.lower() in MISSING else cell
