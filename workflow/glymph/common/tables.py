"""BIDS tables: tab-separated, ``n/a`` for what is missing, numbers to 7 significant digits."""

from __future__ import annotations

import codecs
import csv
import io
import math
from pathlib import Path

from glymph.common.errors import brief, short

MISSING = ("", "n/a", "na", "nan", "none", "null", "#n/a", ".", "-", "?")
"""What people write for a missing value, compared in lower case."""


UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
AS_UTF_8 = (
    "save it in UTF-8: in Excel as Unicode Text or CSV UTF-8, in LibreOffice with that character "
    "set"
)


class NoTextError(ValueError):
    """Bytes that are no text of a known character set; the message says where."""


class TableError(ValueError):
    """A user's table cannot be read; the message names the file, the fault and the cure."""


def decoded(raw: bytes) -> str:
    """The text of a user's table: UTF-8, or UTF-16 where its first bytes say so.

    Other character sets (Excel's "Text (Tab delimited)") are not guessed, unlike in JSON: names of
    groups and sites would be other words. Raises `NoTextError`.
    """
    wide = raw[:2] in UTF_16
    try:
        text = raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        if wide or b"\0" in raw:
            raise NoTextError("damaged, or UTF-16 without its mark") from None
        line = len((raw[: error.start] + b"?").splitlines())
        raise NoTextError(f"line {line} holds letters that are not in UTF-8") from None
    if "\0" in text:
        raise NoTextError("it holds NUL bytes, as UTF-16 without its mark does")
    return text


def read_table(
    path: str | Path, separator: str = "\t"
) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Header of a user's TSV, and its rows: (line number, cells by column, without outer spaces).

    Raises `TableError` for what is no such text, and for what would lose or shift cells in silence:
    quotes that do not close, two columns of one name, rows longer than the header. Shorter rows end
    in empty cells; columns without a name are passed over.
    """
    if Path(path).is_symlink() and not Path(path).exists():
        raise TableError(f"{path}: its content is not here (git-annex?); datalad get {path}")
    try:
        stream = io.StringIO(decoded(Path(path).read_bytes()), newline="")
        reader = csv.reader(stream, delimiter=separator, strict=True)
        lines = [(reader.line_num, [c.strip() for c in line]) for line in reader if any(line)]
    except NoTextError as error:
        raise TableError(f"{path}: not readable as a table ({error}); {AS_UTF_8}") from None
    except (OSError, csv.Error) as error:
        raise TableError(
            f"{path}: not readable as a table ({brief(error)}); write it as UTF-8 text, columns "
            "separated by tabs, without quotes"
        ) from None
    header = lines[0][1] if lines else []
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise TableError(f"{path}: two columns are called {short(', '.join(twice))}; rename one")
    for number, line in lines:
        if any(line[len(header) :]):
            raise TableError(
                f"{path}, line {number}: {len(line)} cells where the header has {len(header)}; "
                "separate cells by one tab each"
            )
    return header, [(number, _by_column(header, line)) for number, line in lines[1:]]


def _by_column(header: list[str], line: list[str]) -> dict[str, str]:
    named = {name: "" for name in header if name}
    return named | {name: text for name, text in zip(header, line, strict=False) if name}


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
