"""JSON: written whole or not at all, read with what it inherits.

`read_json` is for files of the workflow's own. What a user gives comes through `read_sidecar` and
`metadata`, which raise `BadInput` for all that can be wrong with it.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np

from glymph.common.bids import applicable
from glymph.common.errors import BadInput, brief

DIRECTIONS = ("i", "i-", "j", "j-", "k", "k-")
"""What PhaseEncodingDirection may be."""


def write_json(content: dict, path: str | Path) -> None:
    """Write ``content`` whole or not at all; numbers that are not finite become null."""
    path = Path(path)
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text + "\n", encoding="utf-8")
    scratch.replace(path)


def read_json(path: str | Path) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_sidecar(path: str | Path) -> dict:
    """A user's JSON object, NaN and Infinity as None; raises `BadInput`.

    Text that is no UTF-8 is read as Latin-1: the keys that count are ASCII.
    """
    if Path(path).is_symlink() and not Path(path).exists():
        raise BadInput("its content is not here: a link to nothing (git-annex?)", path,
                       f"datalad get {path}")  # fmt: skip
    try:
        raw = Path(path).read_bytes()
        content = json.loads(_text(raw), parse_constant=lambda _: None)
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"not readable as JSON ({brief(error)})", path, "write it again") from None
    if not isinstance(content, dict):
        raise BadInput("not a JSON object", path, "write it again")
    return content


def _text(raw: bytes) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def metadata(*paths: str | Path) -> dict:
    """The metadata of an image: every JSON that applies to it, the nearest last.

    ``paths``: the image, and JSON files of its own, whose keys come before all others. Of each what
    it inherits counts too. Raises `BadInput` for a file that is no JSON object.
    """
    merged: dict = {}
    done: set[str] = set()
    for path in map(str, paths):
        chain = applicable(path, ".json")
        if path.endswith(".json") and path not in chain:
            chain.append(path)
        for file in chain:
            if file not in done:
                merged |= read_sidecar(file)
            done.add(file)
    return merged


def phase_encoding(*paths: str | Path) -> str | None:
    """PhaseEncodingDirection by the `metadata` of ``paths``; None where it is none of `DIRECTIONS`.

    Raises `BadInput` for a file that is no JSON object.
    """
    stated = metadata(*paths).get("PhaseEncodingDirection")
    return stated if stated in DIRECTIONS else None


def phase_axis(*paths: str | Path) -> int | None:
    """The voxel axis (0, 1, 2) of phase encoding by `metadata`; None where it is unknown.

    Some scanners leave out which way along it: dcm2niix then writes PhaseEncodingAxis alone.
    """
    said = metadata(*paths)
    for key in ("PhaseEncodingDirection", "PhaseEncodingAxis"):
        if said.get(key) in DIRECTIONS:
            return "ijk".index(said[key][0])
    return None


def _plain(value):
    """``value`` with numpy types made Python's own and non-finite numbers made None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
