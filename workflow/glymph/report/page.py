"""The report as one self-contained HTML page."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from glymph.report import text
from glymph.report.contents import SECTIONS, all_tables
from glymph.report.results import Results

TEMPLATES = Path(__file__).parent


@dataclass(frozen=True)
class Picture:
    """A figure for the page: its ``source`` is a data URI."""

    name: str
    caption: str
    source: str


def picture(path: Path) -> Picture:
    """A PNG file with its caption."""
    return Picture(path.stem, text.CAPTIONS[path.stem], _data_uri("image/png", path.read_bytes()))


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def render(
    results: Results,
    pictures: dict[str, Picture],
    imaging: dict | None,
    provenance: dict,
    pages: list[tuple[str, str]],
) -> str:
    """The page. ``imaging``: configuration of the images' processing or None; ``provenance`` holds
    "sources", "software" and "parameters"; ``pages``: (subject, relative link) of subject pages.

    All text from tables is escaped; nothing is loaded from elsewhere.
    """
    cited = text.citations(results, imaging)
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    tables = all_tables(results)
    missed = text.missed(results)
    sections = []
    for title, (names, figures) in SECTIONS.items():
        shown = [tables[n] for n in names if n in tables and tables[n].rows]
        drawn = [pictures[n] for n in figures if n in pictures]
        lines = missed.get(title, [])
        if shown or drawn or lines:
            anchor = re.sub(r"\W+", "-", title.lower())
            sections.append(
                {"title": title, "id": anchor, "tables": shown, "figures": drawn, "missed": lines}
            )
    return environment.get_template("report.html.j2").render(
        groups=" / ".join(results.groups),
        main=text.main_result(results),
        who=text.who(results),
        flow=text.flow(results),
        sections=sections,
        methods=text.methods(results, imaging, provenance["software"]),
        citations=cited,
        bibtex=_data_uri("application/x-bibtex", text.bibtex(cited).encode()),
        provenance=provenance,
        pages=pages,
    )
