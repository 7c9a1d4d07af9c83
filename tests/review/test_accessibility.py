"""axe-core finds nothing serious on the pages: of the cohort, of a subject, of the report.

`axe.min.js` is axe-core 4.14.1 (npm) as published, Mozilla Public License 2.0; the licences of what
it holds are in `axe-third-party-licences.txt`.
"""

import hashlib
from pathlib import Path

import pytest

from glymph.qc.closeup import closeups
from glymph.qc.page import Figure, render
from glymph.report import figures as report_figures
from glymph.report import page as report_page
from tests.qc.test_closeup import subject
from tests.qc.test_page import RECORD
from tests.report.test_report import report_on  # noqa: F401
from tests.review import test_browser, test_browser_cohort
from tests.stats.conftest import draw, make  # noqa: F401

context, opened = test_browser.context, test_browser.opened
cohort = test_browser_cohort.cohort
AXE = Path(__file__).with_name("axe.min.js")
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
RUN = """() => axe.run(document, {iframes: false, resultTypes: ["violations"]}).then(found =>
    found.violations.filter(v => ["serious", "critical"].includes(v.impact)).map(v =>
    `${v.id}: ${v.help}: ` + v.nodes.slice(0, 5).map(n => n.html.slice(0, 200)).join(" | ")))"""


def serious(page):
    """What axe-core finds of serious or critical impact, in words."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    return page.evaluate(RUN)


def test_axe_is_the_published_one_with_its_licence():
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() == SHA256
    assert "Mozilla Public\n * License, v. 2.0" in AXE.read_text(encoding="utf-8")[:600]


def test_axe_finds_what_is_wrong(context):
    page = context.new_page()
    page.set_content("<html lang=en><title>x</title><img src=x><button></button>")
    assert [found.partition(":")[0] for found in serious(page)] == ["button-name", "image-alt"]


@pytest.mark.parametrize("width", [420, 1300])
def test_the_page_of_the_cohort(cohort, context, width):
    test_browser_cohort.save(cohort, rater="CD")
    page = opened(context, cohort.address)
    page.set_viewport_size({"width": width, "height": 800})
    assert serious(page) == []
    page.check("#groups")
    page.check("#others")
    for key in "jjf":
        page.keyboard.press(key)
    assert serious(page) == []
    for key in ("Enter", "f", "a", "2", "r", "3", "u"):
        page.keyboard.press(key)
    assert serious(page) == []


@pytest.mark.parametrize("width, flags", [(420, RECORD["flags"]), (1300, [])])
def test_the_page_of_a_subject(context, tmp_path, width, flags):
    stop = {"stage": "dwi", "reason": "no bval", "file": "a.nii.gz", "cure": "give one"}
    picture = closeups(*subject("RAS"))[2].slices[0].plain["T1w"]
    figures = [*closeups(*subject("RAS")), Figure("Title", "What to see", picture),
               Figure("Title", "What to see", picture, picture, ("T2w", "T1w"))]  # fmt: skip
    record = RECORD | {"flags": flags, "stops": [stop] if flags else [], "notes": ["said"]}
    (tmp_path / "page.html").write_text(render(record, figures), encoding="utf-8")
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"file://{tmp_path}/page.html")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert serious(page) == []
    page.locator(".flip input").first.focus()
    page.keyboard.press("Space")
    assert serious(page) == []


@pytest.mark.parametrize("scheme, width", [("light", 420), ("dark", 1300)])
def test_the_page_of_the_report(report_on, context, tmp_path, scheme, width):  # noqa: F811
    """With tables, folds, what is missed, and two figures."""
    frame = draw({"AD": 15, "NC": 15}, shift=-0.5).drop(columns="moca")
    results = report_on(frame)
    drawn = report_figures.draw_all(results)
    for name in list(drawn)[:2]:
        report_figures.save(drawn[name], tmp_path, name)
    pictures = {path.stem: report_page.picture(path) for path in tmp_path.glob("*.png")}
    about = {"sources": ["mine.tsv"], "software": {"glymph": "1"}, "parameters": "{}"}
    shown = report_page.render(results, pictures, None, about, [("sub-1", "../sub-1/qc.html")])
    (tmp_path / "page.html").write_text(shown, encoding="utf-8")
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"file://{tmp_path}/page.html")
    assert serious(page) == []
    page.locator("th").first.press("Enter")
    assert page.locator("th").first.get_attribute("aria-sort") == "ascending"
    page.evaluate("() => document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert serious(page) == []
