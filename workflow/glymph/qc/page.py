"""The page of one subject-session: numbers with their flags, and pictures to judge them by."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from glymph.common.names import ALPS_AXES, PLACEMENTS, alps_version
from glymph.common.registry import metrics
from glymph.metrics.flags import FEWEST

TEMPLATES = Path(__file__).parent


@dataclass(frozen=True)
class Figure:
    """A picture with its title and what to look for in it.

    ``other``: the same slices of the image that it should coincide with, to flip to;
    ``names``: what the two are.
    """

    title: str
    caption: str
    picture: bytes
    other: bytes | None = None
    names: tuple[str, str] = ("", "")

    @property
    def sources(self) -> list[str]:
        """The pictures as data URLs, one or two."""
        return [data_url(p) for p in (self.picture, self.other) if p]


@dataclass(frozen=True)
class Slice:
    """One slice of several images by name (T1w, T2w), with the outlines of what was found there
    (``marked``) and without (``plain``)."""

    title: str
    plain: dict[str, bytes]
    marked: dict[str, bytes]

    @property
    def views(self) -> list[tuple[str, str, str, list[tuple[str, str]]]]:
        """(class, what is shown, what a click gives, (name, data URL) of each image)."""
        shown = ("with outlines", self.marked), ("without outlines", self.plain)
        return [
            (order, words, other, [(name, data_url(picture)) for name, picture in images.items()])
            for order, (words, images), (other, _) in zip(
                ("first", "second"), shown, shown[::-1], strict=True
            )
        ]


@dataclass(frozen=True)
class Closeup:
    """Slices through one region, the words beside them, or those on why there are none."""

    title: str
    caption: str
    slices: list[Slice]


def data_url(picture: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(picture).decode("ascii")


def render(record: dict, figures: list[Figure | Closeup]) -> str:
    """The HTML page, self-contained, of one record of stage metrics.

    All text from files is escaped; nothing is loaded from elsewhere.
    """
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    environment.filters["number"] = _number
    flagged = {flag["metric"]: flag["message"] for flag in record["flags"]}
    rows = [
        {"metric": metric, "value": record["values"][name], "flag": flagged.get(name)}
        for name, metric in metrics().items()
        if name in record["values"]
    ]
    return environment.get_template("page.html.j2").render(
        record=record,
        title=" ".join(filter(None, (record["participant_id"], record["session_id"]))),
        index=_index_table(record["values"]),
        moves=_moves(record),
        stages=_by_stage(rows),
        figures=figures,
        fewest=FEWEST,
    )


def _index_table(values: dict) -> list[dict]:
    """ALPS by version and side, for the head of the page."""
    rows = []
    for placement, axes in product(PLACEMENTS, ALPS_AXES):
        stem = f"alps_{alps_version(placement, axes)}"
        if f"{stem}_mean" in values:
            sides = {side: values[f"{stem}_{side}"] for side in ("left", "right", "mean")}
            rows.append({"placement": placement, "axes": axes} | sides)
    return rows


def _moves(record: dict) -> list[list[str]]:
    """Rows for ``review/rois.tsv`` that would move the regions to where placement found them."""
    who = [record["participant_id"], record["session_id"] or "n/a"]
    return [
        [*who, roi, *(f"{mm:.1f}" for mm in shift)]
        for roi, shift in record["placement_shifts_mm"].items()
        if any(abs(mm) >= 0.05 for mm in shift)
    ]


def _by_stage(rows: list[dict]) -> dict[str, list[dict]]:
    stages: dict[str, list[dict]] = {}
    for row in rows:
        stages.setdefault(row["metric"].stage, []).append(row)
    return stages


def _number(value: float | None, digits: int = 4) -> str:
    if value is None:
        return "n/a"
    return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:.{digits}g}"
