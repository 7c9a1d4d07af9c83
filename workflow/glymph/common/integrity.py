"""Whether files are what they were: sources since the run began, results since they were made.

Modification times do not tell: a restored backup, a clock set back or a flipped bit leave them as
they are or make them older. So the start of a run notes the state of every source (stage inputs,
`sources.json`), each job compares it before and after its work, and what a job makes is recorded
with its checksum, which every job that reads it compares.

The records lie in `<output_dir>/.glymph/`; a file without a record is not judged.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from glymph.common.errors import Fault

RECORDS = ".glymph"
UNFINISHED = "unfinished"
SMALL_BYTES = 1_000_000
"""Files up to this size are known by their content, larger ones by size and time."""
CLOCK_MARGIN_S = 60.0
WHOLE, OF_COHORT = (0, 0), (0, 1)
"""Parts of the lock file (start, length; 0 is to the end): all, and what is of no single unit."""
_held = {}
"""The open lock file of each folder. Never closed: whatever descriptor closes ends its locks."""


def state(path: str | Path) -> str:
    """What tells one version of a source from another, cheap enough for every start."""
    try:
        found = os.stat(path)
        if found.st_size <= SMALL_BYTES:
            return checksum(path)
    except OSError:
        return "absent"
    return f"{found.st_size} bytes of {int(found.st_mtime)}"


def checksum(path: str | Path) -> str:
    """Short sha256 of a file, or of the files of a folder with their names.

    Hidden files do not count: snakemake puts a time stamp of its own into folders.
    """
    path, digest = Path(path), hashlib.sha256()
    inside = [p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")]
    for file in sorted(inside) if path.is_dir() else [path]:
        digest.update(file.name.encode() if path.is_dir() else b"")
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]


def check_sources(states: dict[str, str]) -> None:
    """Raise `Fault` for a source that is no longer what it was when the run began."""
    for path, before in states.items():
        if state(path) != before:
            raise Fault(
                "this file changed while the workflow was running", path,
                "run the same command again: what was made of the old file is made anew",
            )  # fmt: skip


def begin(outputs, folder: str | Path) -> None:
    """Mark ``outputs`` as half-written until `finish`."""
    for path in outputs:
        if record := _record(path, folder):
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(UNFINISHED, encoding="ascii")


def finish(outputs, folder: str | Path) -> None:
    """Record ``outputs`` as they are now."""
    for path in filter(os.path.exists, outputs):
        if record := _record(path, folder):
            record.write_text(checksum(path), encoding="ascii")


def check_results(inputs, folder: str | Path) -> None:
    """Raise `Fault` for a result that is not as the job that made it left it."""
    for path in inputs:
        record = _record(path, folder)
        if not (record and record.is_file() and os.path.exists(path)):
            continue
        made = record.read_text(encoding="ascii")
        if made == UNFINISHED:
            raise Fault(
                "this result is half-written: the job that makes it was stopped", path,
                "delete the file and run the same command again",
            )  # fmt: skip
        if checksum(path) != made:
            raise Fault(
                "this result is not as the workflow made it: it is damaged, or was replaced", path,
                "delete the file and run the same command again; files of your own are given by "
                "the configuration",
            )  # fmt: skip


def _record(path: str | Path, folder: str | Path) -> Path | None:
    """Where the record of a result lies; None for what is not in the output folder."""
    path, folder = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    return folder / RECORDS / path.relative_to(folder) if path.is_relative_to(folder) else None


def hold_alone(folder: str | Path, units: Sequence[str] = ()) -> bool:
    """Hold the output folder until this process ends; False where a run or its jobs hold it.

    With ``units`` (prefixes) only their results are held, so that runs of other subjects may write
    beside this one. The system lets go when the process ends, also by `kill -9`. Where the file
    system knows no locks, nothing is held.
    """
    kinds = (fcntl.LOCK_EX, fcntl.LOCK_SH)
    ranges = [_range(unit) for unit in units] or [WHOLE]
    return all(_hold(folder, kind, part) for kind in kinds for part in ranges)


def hold_with_others(folder: str | Path, unit: str | None = None) -> None:
    """Hold what a job writes, beside the run that it belongs to, and beyond its end.

    ``unit``: prefix of the unit whose job it is; None for a job of the whole cohort.
    """
    if (Path(folder) / RECORDS / "lock").is_file():
        _hold(folder, fcntl.LOCK_SH, _range(unit) if unit else OF_COHORT)


def _range(unit: str) -> tuple[int, int]:
    """Where in the lock file a unit has its byte: far apart, so that no two share one."""
    return 1 + int(hashlib.sha256(unit.encode()).hexdigest()[:15], 16), 1


def _hold(folder: str | Path, kind: int, part: tuple[int, int]) -> bool:
    """Lock ``part`` (start, length) of the lock file, which needs no such bytes for that."""
    place = Path(folder) / RECORDS / "lock"
    if place not in _held:
        place.parent.mkdir(parents=True, exist_ok=True)
        _held[place] = place.open("a+")
    start, length = part
    try:
        fcntl.lockf(_held[place], kind | fcntl.LOCK_NB, length, start)
    except (BlockingIOError, PermissionError):  # POSIX leaves it to the system which of the two
        return False
    except OSError:
        pass
    return True


def in_future(path: str | Path) -> bool:
    """Whether a file's time lies ahead of the clock: then no result can be newer than it."""
    try:
        return os.stat(path).st_mtime > time.time() + CLOCK_MARGIN_S
    except OSError:
        return False


def results_in_future(folder: str | Path, places: Sequence[str] = ("",)) -> list[Path]:
    """The results of which `in_future` holds: the clock was set back since they were made.

    ``places``: the folders within ``folder`` that are looked through.
    """
    records = Path(folder) / RECORDS
    noted = (p for place in places for p in (records / place).rglob("*") if p.is_file())
    results = (Path(folder) / path.relative_to(records) for path in noted)
    return sorted(path for path in results if in_future(path))
