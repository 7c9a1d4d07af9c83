"""The exceptions that users read: `BadInput`, recorded as a `Stop`, and `Fault`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

STOP_MARK = "GLYMPH-STOP "
"""First bytes of an output that could not be made: no image or table reader accepts them."""


def short(text, width: int = 80) -> str:
    """``text`` from a file on one line of at most ``width`` characters, for a message."""
    line = " ".join(str(text).split())
    return line if len(line) <= width else f"{line[: width - 3]}..."


def brief(error: Exception) -> str:
    """Kind and message of a library's exception on one line."""
    return short(f"{type(error).__name__}: {error}", 160)


@dataclass(frozen=True)
class Stop:
    """Why a result does not exist.

    ``file`` names the offending input, ``reason`` what is wrong with it, ``cure`` what the user
    can do, ``stage`` the rule that found it.
    """

    reason: str
    file: str = ""
    cure: str = ""
    stage: str = ""

    def __str__(self) -> str:
        where = f"{self.file}: " if self.file else ""
        todo = f" To do: {self.cure}" if self.cure else ""
        return f"{where}{self.reason}{todo}"


class BadInput(Exception):
    """The subject's data cannot give this result; no rerun will help until the data change.

    Anything else that goes wrong (memory, disk, a bug) is a `Fault` or an ordinary exception: the
    job fails and is tried again by the next run.
    """

    def __init__(self, reason: str, file: str | Path = "", cure: str = "", stage: str = ""):
        self.stop = Stop(reason=reason, file=str(file), cure=cure, stage=stage)
        super().__init__(str(self.stop))


class Fault(Exception):
    """Something went wrong that is no property of the subject's data: a result damaged on disk, a
    file replaced during the run, a network that is not whole. The job fails with this message, and
    the next run tries it again.
    """

    def __init__(self, reason: str, file: str | Path = "", cure: str = ""):
        super().__init__(str(Stop(reason=reason, file=str(file), cure=cure)))


def write_stop(path: str | Path, stop: Stop) -> None:
    """Write ``stop`` in the place of the output ``path``."""
    Path(path).write_text(STOP_MARK + json.dumps(asdict(stop)) + "\n", encoding="utf-8")


def read_stop(path: str | Path) -> Stop | None:
    """The `Stop` that stands in the place of ``path``, or None where ``path`` is a real result.

    A file that only begins like one is left to the reader of its kind.
    """
    mark = STOP_MARK.encode()
    with Path(path).open("rb") as stream:
        if stream.read(len(mark)) != mark:
            return None
        try:
            return Stop(**json.loads(stream.read().decode("utf-8")))
        except (ValueError, TypeError, RecursionError):
            return None


def raised_in(stop: Stop, stage: str) -> Stop:
    """``stop`` with the stage filled in, unless an earlier stage already has."""
    return stop if stop.stage else replace(stop, stage=stage)
