"""Files that raters write: whole or not at all, every version kept, nobody's work overwritten.

What counts lies where the workflow reads it; ``history`` in the review folder, which the workflow
passes over, keeps every version that ever counted with a JSON beside it: by whom, when, of what.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from glymph.common.errors import BadInput
from glymph.common.provenance import bytes_hash, file_hash
from glymph.common.sidecars import read_json

HISTORY = "history"


class Taken(Exception):
    """Somebody else has saved since; ``now`` says who and when (`made_by`)."""

    def __init__(self, now: dict):
        self.now = now
        who = now["rater"] or "somebody, outside of this viewer,"
        super().__init__(f"{who} saved another version on {now['time']}; nothing was overwritten")


def moment() -> str:
    """Now, as in every table and file of raters."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the review ``folder`` against other servers of it, on this and other machines."""
    place = folder / HISTORY / ".lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (37, 38, 95):  # a file system without locks: ENOLCK, ENOSYS, ...
                raise
        yield


def rater_file(folder: Path, kind: str, rater: str) -> Path:
    """Where a rater's table of this ``kind`` (ratings, objects) stands in the review ``folder``."""
    return folder / f"{kind}_{re.sub(r'[^A-Za-z0-9_-]', '', rater) or 'rater'}.tsv"


def version(path: Path) -> str:
    """What tells this content of a file from every other; empty without the file."""
    return file_hash(path) if path.is_file() else ""


def made_by(folder: Path, name: str) -> dict:
    """Of the file ``name`` (relative to ``folder``): its ``version``, who made it and when.

    ``rater`` is None for a file that was put there by hand; then ``time`` is the file's own.
    """
    path = folder / name
    now = version(path)
    if not now:
        return {"version": "", "rater": None, "time": None}
    stem, _ = _parts(name)
    known = sorted((folder / HISTORY).glob(f"{stem}_*_{now}.json"))
    if known:
        said = read_json(known[-1])
        return {"version": now, "rater": said["Rater"], "time": said["Time"]}
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return {"version": now, "rater": None, "time": written}


def save(folder: Path, name: str, content: bytes, about: dict, based_on: str) -> None:
    """Make ``content`` the file ``name`` of the review ``folder``, and keep it in the history.

    ``based_on``: the `version` that the rater saw. Raises `Taken` where another one lies there by
    now. The same content saved twice is written once. A process that is killed leaves the old file
    or the new one. Call it within `alone`.
    """
    path, now = folder / name, made_by(folder, name)
    if now["version"] == bytes_hash(content):
        return
    if now["version"] != based_on:
        raise Taken(now)
    _keep_by_hand(folder, name, now)
    _keep(folder, name, content, about)
    replace(path, content)


def withdraw(folder: Path, name: str, based_on: str) -> None:
    """Take the file ``name`` away; the history keeps it. Raises `Taken` as `save` does."""
    path, now = folder / name, made_by(folder, name)
    if now["version"] != based_on:
        raise Taken(now)
    _keep_by_hand(folder, name, now)
    path.unlink(missing_ok=True)


def replace(path: Path, content: bytes) -> None:
    """Write ``path`` whole or not at all, on the disk before this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    if path.read_bytes() != content:
        raise OSError(f"{path} cannot be read back as it was written")


def append_rows(path: Path, names: Sequence[str], rows: list[dict], once: bool = True) -> None:
    """Add ``rows`` to a rater's table with the columns ``names``, which may stand there in any
    order. With ``once``, what is there already to the letter is not written again: it was sent
    twice.

    Raises `BadInput` for a table without one of the columns.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    started = path.is_file() and path.stat().st_size > 0
    order = columns_of(path, names)
    known = set(path.read_bytes().splitlines()) if started and once else set()
    new = [] if started else [_line(order)]
    for row in rows:
        line = _line(str(row.get(name) or "n/a") for name in order)
        if line.strip() not in known:
            new.append(line)
    if new:
        _write_at_the_end(b"".join(new), path)


def as_table(names: Sequence[str], rows: list[dict]) -> bytes:
    """``rows`` as a tab-separated table; what is empty becomes n/a."""
    lines = [_line([row.get(name) or "n/a" for name in names]) for row in rows]
    return b"".join([_line(names), *lines])


def _keep_by_hand(folder: Path, name: str, now: dict) -> None:
    """What somebody put there without the viewer is in no history yet; ``now`` as of `made_by`."""
    if now["version"] and now["rater"] is None:
        note = {"Rater": None, "Time": now["time"], "Note": "was put there by hand"}
        _keep(folder, name, (folder / name).read_bytes(), note)


def _keep(folder: Path, name: str, content: bytes, about: dict) -> None:
    """A copy of ``content`` in the history; the JSON last: what it tells of is there."""
    stem, suffix = _parts(name)
    time = "".join(c for c in about["Time"].partition("+")[0] if c.isalnum())
    stem = folder / HISTORY / f"{stem}_{time}_{bytes_hash(content)}"
    replace(Path(f"{stem}{suffix}"), content)
    replace(Path(f"{stem}.json"), json.dumps(about, indent=2, ensure_ascii=False).encode() + b"\n")


def _parts(name: str) -> tuple[str, str]:
    """``corrected/sub-1/anat/sub-1_mask.nii.gz`` -> (``sub-1/anat/sub-1_mask``, ``.nii.gz``)."""
    stem, dot, suffix = name.removeprefix("corrected/").partition(".")
    return stem, dot + suffix


def _line(cells) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8")


def columns_of(path: Path, names: Sequence[str]) -> list[str]:
    """Columns of a rater's table in their order there; ``names`` where nothing stands yet.

    Raises `BadInput` where one of ``names`` is lost.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return list(names)
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        header = [name.strip() for name in stream.readline().split("\t")]
    missing = [name for name in names if name not in header]
    if missing:
        raise BadInput(f"no column {', '.join(missing)}", path, "add it, or rename the file")
    return header


def _write_at_the_end(text: bytes, path: Path) -> None:
    """On a line of its own, whatever an editor left there, and on the disk before it is told."""
    with path.open("a+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - 1, 0))
        if stream.read(1) not in (b"", b"\n"):
            text = b"\n" + text
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
