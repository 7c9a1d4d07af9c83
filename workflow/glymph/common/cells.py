"""Cells and columns of people's tables: which column a variable is, and what a cell says."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from datetime import date

from glymph.common.errors import short
from glymph.common.registry import Variable, variables
from glymph.common.tables import MISSING

ISO_DAY = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ].*)?")
YEARS = (1800, 2100)
"""BIDS asks that anonymised dates lie before 1925."""
NO_DATE = "not a date as 2020-01-31; taken as missing"
TOP_CODED = re.compile(r"(?:(?:>=?|≥)\s*)?(\d+(?:\.\d+)?)\s*\+?")


@dataclass(frozen=True)
class Cell:
    """The value of a cell (None where missing), and what is wrong with it or was made of it."""

    value: str | float | None
    problem: str = ""


def one_spaced(text: str) -> str:
    """``text`` without spaces around it or doubled inside."""
    return " ".join(text.split())


def find_column(header: list[str], wanted: str) -> str | None:
    """The column of ``header`` called ``wanted``, else the only one that differs by case alone."""
    if wanted in header:
        return wanted
    alike = [name for name in header if name.lower() == wanted.lower()]
    return alike[0] if len(alike) == 1 else None


def near_columns(header: list[str], variable: Variable, wanted: str) -> list[str]:
    """Columns that may be meant by ``variable``, whose configured column ``wanted`` is absent."""
    lower = {name.lower(): name for name in header}
    words = [wanted.lower(), variable.name, *variable.known_as]
    found = [lower[word] for word in words if word in lower]
    if len(wanted) > 3:  # "age" is like "dose"
        found += [lower[n] for n in difflib.get_close_matches(wanted.lower(), lower, cutoff=0.75)]
    return list(dict.fromkeys(found))


def read_cell(text: str, variable: Variable, limits: tuple[float, float] | None) -> Cell:
    """What a cell says of ``variable``; ``limits``: lowest and highest value of a number."""
    if text.lower() in MISSING:
        return Cell(None)
    if variable.date:
        return Cell(text) if day_of(text) else Cell(None, f"is '{short(text)}', {NO_DATE}")
    if variable.range is None:
        if any(_equal(text, code) for code in variable.missing):
            return Cell(None, f"is '{short(text)}', a code for unknown; taken as missing")
        return Cell(text)
    coded = TOP_CODED.fullmatch(text)
    value = _number(coded[1] if coded else text)
    if value is None:
        return Cell(None, f"is '{short(text)}', not a number; taken as missing")
    low, high = limits or variable.range
    if not low <= value <= high:
        outside = f"is {short(text)}, outside {low:g} to {high:g}; taken as missing"
        return Cell(None, outside)
    top = coded and not text.replace(".", "").isdecimal()
    return Cell(value, f"is '{short(text)}'; taken as {value:g}" if top else "")


def day_of(text: str) -> date | None:
    """The day of an ISO 8601 date (2020-01-31, 20200131, with or without a time); None for what is
    none, or of no year in which anybody was scanned or to which dates are shifted."""
    found = ISO_DAY.fullmatch(text.strip())
    try:
        day = date(*map(int, found.groups())) if found else None
    except ValueError:
        return None
    return day if day and YEARS[0] <= day.year <= YEARS[1] else None


def _equal(text: str, code: str) -> bool:
    """Whether a cell is a code, as text or as a number (-9 = -9.0)."""
    number = _number(text)
    return text.lower() == code or (number is not None and number == _number(code))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if "_" in text:  # Python's own way to group digits
        return None
    return value if math.isfinite(value) else None


def limits_of(variable: str, ranges: dict) -> tuple[float, float] | None:
    """The configured or the registry's range of a variable."""
    return tuple(ranges[variable]) if variable in ranges else variables()[variable].range
