"""Tables and methods as a Word file, since that is where papers are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from docx import Document
from docx.enum.section import WD_ORIENT
from docx.oxml import OxmlElement
from docx.shared import Inches, Pt

from glymph.report import text
from glymph.report.contents import all_tables
from glymph.report.results import Results
from glymph.report.tables import Table

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML, and so a Word file, cannot hold."""


def document(
    results: Results, imaging: dict | None, software: dict[str, str], drawn: Sequence[Path] = ()
):
    """A python-docx document, landscape: main result, who was analysed, tables, figures, methods.

    ``drawn``: PNG files of the figures, named as their captions in `text.CAPTIONS`.
    """
    found = Document()
    section = found.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = section.page_height, section.page_width
    found.styles["Normal"].font.size = Pt(10)
    found.add_heading(_clean(f"Glymphatic imaging in {' / '.join(results.groups)}"), 1)
    missed = [line for lines in text.missed(results).values() for line in lines]
    for line in [*text.main_result(results), *text.who(results), *missed]:
        found.add_paragraph(_clean(line))
    for table in all_tables(results).values():
        if table.rows and not table.folded:
            _add(found, table)
    width = section.page_width - section.left_margin - section.right_margin
    height = section.page_height - section.top_margin - section.bottom_margin - Inches(0.8)
    for number, path in enumerate(drawn, 1):
        image = found.add_picture(str(path))
        scale = min(1, width / image.width, height / image.height)  # a page holds it and its words
        image.width, image.height = int(image.width * scale), int(image.height * scale)
        found.add_paragraph(_clean(f"Figure {number}. {text.CAPTIONS[path.stem]}"), style="Caption")
    found.add_heading("Methods", 2)
    for line in text.methods(results, imaging, software):
        found.add_paragraph(_clean(line))
    found.add_heading("References", 2)
    for line in text.citations(results, imaging):
        found.add_paragraph(line, style="List Bullet")
    return found


def _add(found, table: Table) -> None:
    found.add_heading(_clean(table.title), 3)
    grid = found.add_table(rows=0, cols=len(table.head), style="Light List")
    for cells in [table.head, *table.rows]:
        row = grid.add_row()
        marks = row._tr.get_or_add_trPr()
        marks.append(OxmlElement("w:cantSplit"))
        if cells is table.head:
            marks.append(OxmlElement("w:tblHeader"))  # repeated on every page
        for cell, content in zip(row.cells, cells, strict=True):
            cell.text = _clean(content)
            for paragraph in cell.paragraphs:
                paragraph.paragraph_format.space_after = Pt(0)
                for part in paragraph.runs:
                    part.font.size = Pt(7.5)
    if table.note:
        found.add_paragraph(_clean(table.note))


def _clean(content: str) -> str:
    return CONTROL.sub("", content)
