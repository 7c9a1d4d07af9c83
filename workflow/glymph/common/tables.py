"""BIDS tables: tab-separated, ``n/a`` for what is missing, numbers to 7 significant digits."""

from __future__ import annotations

import csv
import math
from pathlib import Path

MISSING = ("", "n/a", "na", "nan", "none")
"""What people write for a missing value, compared in lower case."""


def cell(value) -> str:
    """One table cell: ``n/a`` for None and for numbers that are not finite."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "n/a"
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def write_tsv(rows: list[dict], path: str | Path, columns: list[str] | None = None) -> None:
    """Write ``rows``; ``columns`` sets the order and is needed where there may be no row."""
    columns = columns or list(rows[0])
    with Path(path).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_one_line(cell(row.get(name))) for name in columns] for row in rows)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def read_tsv(path: str | Path) -> list[dict[str, str | None]]:
    """Rows of a table, ``n/a`` as None."""
    with Path(path).open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream, delimiter="\t")
        return [{k: None if v == "n/a" else v for k, v in row.items()} for row in rows]
