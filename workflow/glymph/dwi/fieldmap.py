"""Whose images of the opposite phase encoding are: which may correct a series, and why not."""

from __future__ import annotations

import os
import posixpath
import re

import numpy as np

from glymph.common.bids import applicable, stem
from glymph.common.errors import BadInput
from glymph.common.given import open_image
from glymph.common.gradients import B0_MAX, read_bvals
from glymph.common.sidecars import metadata

SAME_GRID_MM = 0.1
SAME_READOUT = 0.02
"""Share by which the read-out times may differ; the shift is proportional to them."""


def of_series(
    candidates: list[str], files: dict[str, str], shape: tuple[int, int, int], affine: np.ndarray
) -> tuple[list[str], list[str]]:
    """Those of ``candidates`` that may correct a series, and notes on the others.

    ``files``: the series' dwi and, where there is one, json; ``shape`` and ``affine`` its grid. An
    image belongs to the series by B0FieldSource and B0FieldIdentifier, else by IntendedFor; one
    that names other series only is never used, one that names none if it lies on the grid. Whose
    they are counts before the order of ``candidates``.
    """
    own = metadata(*(files[kind] for kind in ("dwi", "json") if kind in files))
    fields = {*_listed(own, "B0FieldSource"), *_listed(own, "B0FieldIdentifier")}
    named, silent, notes = [], [], []
    for path in candidates:
        try:
            said = metadata(path)
            whose = _belongs(said, fields, files["dwi"])
            other = "it names other series" if whose is False else ""
            why = other or _unlike(path, said, own, shape, affine)
        except BadInput as error:  # one that is damaged is no reason to lose the series
            why = str(error)
        if why:
            notes.append(f"{path} is not used for the distortion of this series: {why}")
        else:
            (named if whose else silent).append(path)
    return named + silent, notes


def _belongs(said: dict, fields: set[str], dwi: str) -> bool | None:
    """Whether a fieldmap with this metadata names the series; None where it names none."""
    identifiers, intended = _listed(said, "B0FieldIdentifier"), _listed(said, "IntendedFor")
    if fields & set(identifiers):
        return True
    if intended:
        plain = (re.sub("^bids:[^:]*:", "", place).replace("\\", "/") for place in intended)
        ends = [stem(posixpath.normpath(place).lstrip("/")) for place in plain]
        return any(f"/{stem(os.path.abspath(dwi))}".endswith(f"/{end}") for end in ends)
    return False if identifiers else None


def _unlike(path: str, said: dict, own: dict, shape, affine) -> str:
    """How an image differs from the series it should correct; "" where it does not."""
    image = open_image(path)
    if image.shape[:3] != tuple(shape) or not np.allclose(image.affine, affine, atol=SAME_GRID_MM):
        return "it is not on the DWI's grid"
    times = [m.get("TotalReadoutTime") for m in (said, own)]
    if all(isinstance(t, (int, float)) and t > 0 for t in times):
        one, other = times
        if abs(one - other) > SAME_READOUT * other:
            return f"its read-out time is {one:g} s, the DWI's {other:g} s"
    volume = b0_volume(path)
    if volume is None:
        return "it has no volume with b = 0"
    if volume >= max(1, int(np.prod(image.shape[3:]))):
        return "its b-values are more than its volumes"
    return ""


def b0_volume(path: str) -> int | None:
    """The first volume with b = 0 of an image that may have several; the first of all where no
    b-values apply to it, None where every b-value is above."""
    tables = applicable(path, ".bval")
    if not tables:
        return 0
    low = np.flatnonzero(read_bvals(tables[-1]) <= B0_MAX)
    return int(low[0]) if len(low) else None


def _listed(said: dict, key: str) -> list[str]:
    value = said.get(key) or []
    return [str(item) for item in (value if isinstance(value, list) else [value])]
