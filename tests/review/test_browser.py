"""The page of the cohort in a real browser: no judgement of a rater is lost, whatever happens."""

import json
import threading
import time

import pytest

from glymph.review.page import page_data, render
from glymph.review.ratings import read_ratings
from glymph.review.serve import append, make_server

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: make dev")
sync_api.expect.set_options(timeout=30_000)
SUBJECTS = ("sub-1", "sub-2", "sub-3")
SUBJECT_PAGE = "<!doctype html><title>one</title><p id=inner>pictures</p><div style=height:3000px>"
RATING = {"participant_id": "sub-2", "item": "brain", "rating": "reject", "rater": "AB",
          "comment": "half of it", "time": "2026-01-01T00:00:00.000Z"}  # fmt: skip


class Cohort:
    """An output folder of three subjects with its server, which can die and come back."""

    def __init__(self, folder):
        self.results, self.review = folder / "out", folder / "review"
        (self.results / "report").mkdir(parents=True)
        table = [{"participant_id": name, "session_id": None, "group": "HC", "corrected": None,
                  "dwi_snr": str(10 + k)} for k, name in enumerate(SUBJECTS)]  # fmt: skip
        data = page_data([(name, None, name) for name in SUBJECTS], table, [], [], [], {})
        (self.results / "report/qc.html").write_text(render(data), encoding="utf-8")
        for name in SUBJECTS:
            (self.results / name).mkdir()
            (self.results / name / f"{name}_qc.html").write_text(SUBJECT_PAGE, encoding="utf-8")
        self.server, self.port = None, 0

    def start(self):
        self.server = make_server(self.results, self.review, self.port)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}/"

    def rows(self):
        return [(row["participant_id"], row["item"], row["rating"], row["comment"])
                for path in sorted(self.review.glob("ratings*.tsv"))
                for row in read_ratings(path)]  # fmt: skip

    def wait_for(self, *expected):
        end = time.monotonic() + 30
        while self.rows() != [*expected] and time.monotonic() < end:
            time.sleep(0.05)
        assert self.rows() == [*expected]


@pytest.fixture
def cohort(tmp_path):
    cohort = Cohort(tmp_path)
    cohort.start()
    yield cohort
    cohort.stop()


@pytest.fixture
def context(browser):
    """A browser of its own; any error of the page's script fails the test."""
    context = browser.new_context(viewport={"width": 1300, "height": 800}, locale="en")
    context.set_default_timeout(30_000)
    errors = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    context.close()
    assert errors == []


@pytest.fixture
def page(cohort, context):
    return opened(context, cohort.address)


def opened(context, address, rater="AB"):
    page = context.new_page()
    page.goto(address)
    if rater:
        page.fill("#rater", rater)
        page.press("#rater", "Escape")
    return page


def row(page, name):
    return page.locator("#list .row", has_text=name)


def mark(page, name, item="brain"):
    return row(page, name).locator(".mark", has_text=item)


def comment(page, item="Brain mask"):
    return page.get_by_label(f"comment on {item}")


def expect(locator):
    return sync_api.expect(locator)


def test_keys_rate_the_open_subject(cohort, page):
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.keyboard.press("r")
    cohort.wait_for(("sub-1", "brain", "reject", None))
    expect(page.locator("#state")).to_contain_text("saved")
    page.keyboard.press("2")
    page.keyboard.press("a")
    page.keyboard.press("j")
    page.keyboard.press("u")
    cohort.wait_for(("sub-1", "brain", "reject", None), ("sub-1", "registration", "accept", None),
                    ("sub-2", "registration", "unsure", None))  # fmt: skip


def test_ratings_given_faster_than_they_are_saved_all_arrive(cohort, page):
    row(page, SUBJECTS[0]).click()
    for _ in SUBJECTS:
        for key in "1r2a3u4a":
            page.keyboard.press(key)
        page.keyboard.press("j")
    given = [("brain", "reject"), ("registration", "accept"), ("roi", "unsure"), ("epvs", "accept")]
    cohort.wait_for(*((name, *pair, None) for name in SUBJECTS for pair in given))
    expect(page.locator("#count")).to_contain_text("3 rated by you")


def test_no_key_rates_what_is_not_open(cohort, page):
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(mark(page, "sub-1")).not_to_have_class("mark accept")
    expect(page.locator("#notice")).to_contain_text("Enter")
    page.keyboard.press("Enter")
    page.keyboard.press("2")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(mark(page, "sub-1", "reg.")).not_to_have_class("mark reject")
    page.keyboard.press("Enter")
    page.keyboard.press("u")
    cohort.wait_for(("sub-1", "registration", "unsure", None))


def test_a_click_right_after_a_comment_counts(cohort, page):
    row(page, "sub-1").click()
    page.get_by_role("button", name="reject").first.click()
    comment(page).fill("neck")
    page.get_by_role("button", name="accept").nth(1).click()
    said = ("sub-1", "brain", "reject", None), ("sub-1", "brain", "reject", "neck")
    cohort.wait_for(*said, ("sub-1", "registration", "accept", None))
    comment(page).fill("eyes")
    row(page, "sub-3").click()
    expect(page.locator("#detail b").first).to_have_text("sub-3")


def test_a_click_right_after_the_rater_counts(page):
    page.locator("#rater").fill("CD")
    row(page, "sub-2").click()
    expect(page.locator("#detail b").first).to_have_text("sub-2")


def test_a_comment_typed_before_its_rating_goes_with_it(cohort, page):
    row(page, "sub-1").click()
    comment(page).fill("ventricle")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(comment(page)).to_have_value("ventricle")
    page.reload()
    row(page, "sub-1").click()
    expect(comment(page)).to_have_value("ventricle")
    page.keyboard.press("r")
    cohort.wait_for(("sub-1", "brain", "reject", "ventricle"))


def test_a_comment_typed_before_the_rater_is_kept(cohort, context):
    page = opened(context, cohort.address, rater=None)
    row(page, "sub-1").click()
    comment(page).fill("ventricle")
    page.get_by_role("button", name="reject").first.click()
    expect(page.locator("#rater")).to_be_focused()
    page.keyboard.type("AB")
    page.get_by_role("button", name="reject").first.click()
    cohort.wait_for(("sub-1", "brain", "reject", "ventricle"))


def test_a_comment_in_the_making_survives_the_closing_of_the_page(cohort, page):
    row(page, "sub-1").click()
    page.keyboard.press("r")
    cohort.wait_for(("sub-1", "brain", "reject", None))
    comment(page).press_sequentially("neck")
    page.close(run_before_unload=True)
    cohort.wait_for(("sub-1", "brain", "reject", None), ("sub-1", "brain", "reject", "neck"))


def test_the_page_shows_what_the_tables_on_disk_say(cohort, browser, context):
    append(json.dumps(RATING).encode(), cohort.review)
    page = opened(context, cohort.address)
    expect(mark(page, "sub-2")).to_have_class("mark reject")
    row(page, "sub-2").click()
    expect(comment(page)).to_have_value("half of it")
    append(json.dumps(RATING | {"rating": "unsure", "rater": "CD"}).encode(), cohort.review)
    second = browser.new_context()
    other = opened(second, cohort.address, "CD")
    expect(mark(other, "sub-2")).to_have_class("mark unsure")
    other.check("#others")
    expect(mark(other, "sub-2")).to_have_text("brain·r")
    second.close()
    (cohort.review / "ratings_AB.tsv").unlink()
    page.reload()
    expect(page.locator("#count")).to_contain_text("3 of 3")
    expect(mark(page, "sub-2")).to_have_class("mark ")


def test_a_table_that_cannot_be_read_is_named(cohort, context):
    append(json.dumps(RATING).encode(), cohort.review)
    (cohort.review / "ratings_CD.tsv").write_text("what\n1\n", encoding="utf-8")
    page = opened(context, cohort.address)
    expect(mark(page, "sub-2")).to_have_class("mark reject")
    expect(page.locator("#problems")).to_contain_text("ratings_CD.tsv")


def test_what_a_dead_server_misses_is_sent_when_it_is_back(cohort, page):
    row(page, "sub-1").click()
    cohort.stop()
    page.keyboard.press("r")
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(page.locator("#state")).to_contain_text("2 not saved yet")
    with page.expect_download() as download:
        page.locator("#save").click()
    rows = read_ratings(download.value.path())
    assert [(r["participant_id"], r["rating"]) for r in rows] == [
        ("sub-1", "reject"), ("sub-2", "accept")]  # fmt: skip
    cohort.start()
    cohort.wait_for(("sub-1", "brain", "reject", None), ("sub-2", "brain", "accept", None))
    expect(page.locator("#state")).to_have_text("all ratings are saved")
    expect(page.locator("#save")).to_be_hidden()


def test_what_waits_outlives_the_page(cohort, context, page):
    row(page, "sub-1").click()
    cohort.stop()
    page.keyboard.press("r")
    expect(page.locator("#state")).to_contain_text("1 not saved yet")
    page.close()
    cohort.start()
    page = opened(context, cohort.address, rater="CD")
    cohort.wait_for(("sub-1", "brain", "reject", None))
    expect(mark(page, "sub-1")).to_have_class("mark ")


def test_what_waits_for_one_folder_never_goes_into_another(cohort, context, page, tmp_path):
    row(page, "sub-1").click()
    cohort.stop()
    page.keyboard.press("r")
    expect(page.locator("#state")).to_contain_text("1 not saved yet")
    other = Cohort(tmp_path / "other")
    other.port = cohort.port
    other.start()
    expect(page.locator("#state")).to_contain_text("another folder")
    second = opened(context, other.address)
    expect(second.locator("#state")).to_have_text("all ratings are saved")
    other.stop()
    assert other.rows() == []
    cohort.start()
    cohort.wait_for(("sub-1", "brain", "reject", None))


def test_two_tabs_do_not_overwrite_each_other(cohort, context, page):
    second = opened(context, cohort.address)
    cohort.stop()
    for tab, name in ((page, "sub-1"), (second, "sub-2")):
        row(tab, name).click()
        tab.keyboard.press("r")
        expect(tab.locator("#state")).to_contain_text("not saved yet")
        tab.close()
    cohort.start()
    opened(context, cohort.address)
    cohort.wait_for(("sub-1", "brain", "reject", None), ("sub-2", "brain", "reject", None))


def test_a_second_tab_shows_what_the_first_saved_and_sends_nothing(cohort, context, page):
    second = opened(context, cohort.address)
    row(page, "sub-1").click()
    for key in "1a2r3u":
        page.keyboard.press(key)
    expect(mark(second, "sub-1", "ROI")).to_have_class("mark unsure")
    second.wait_for_timeout(500)
    cohort.wait_for(("sub-1", "brain", "accept", None), ("sub-1", "registration", "reject", None),
                    ("sub-1", "roi", "unsure", None))  # fmt: skip
    expect(mark(second, "sub-1")).to_have_class("mark accept")


def test_a_rating_that_the_server_refuses_stays_and_holds_up_no_other(cohort, context):
    page = opened(context, cohort.address, rater="NA")
    row(page, "sub-1").click()
    page.keyboard.press("a")
    expect(page.locator("#state")).to_contain_text("rater 'NA' means")
    page.fill("#rater", "AB")
    page.get_by_role("button", name="reject").first.click()
    cohort.wait_for(("sub-1", "brain", "reject", None))
    expect(page.locator("#state")).to_contain_text("1 not saved yet")


# At a load of 15 on two processors Chromium 156 opened 9 of about 750 of these files with an empty
# or stale localStorage; two of three that were loaded once more had it again.
@pytest.mark.flaky(reruns=2, only_rerun="AssertionError")
def test_a_file_keeps_ratings_until_a_table_has_them(cohort, context):
    place = f"file://{cohort.results}/report/qc.html"
    page = opened(context, place)
    row(page, "sub-1").click()
    comment(page).fill('"eyes" and 2" of neck')
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(page.locator("#state")).to_contain_text("1 in this browser only")
    page.reload()
    expect(mark(page, "sub-1")).to_have_class("mark reject")
    with page.expect_download() as download:
        page.locator("#save").click()
    name = download.value.suggested_filename
    assert name.startswith("ratings_AB_") and name.endswith(".tsv")
    (given,) = read_ratings(download.value.path())
    assert given["comment"] == '"eyes" and 2" of neck'
    data = page_data([("sub-1", None, "sub-1")], [{"participant_id": "sub-1", "session_id": None}],
                     [], [], [given], {})  # fmt: skip
    (cohort.results / "report/qc.html").write_text(render(data), encoding="utf-8")
    page.reload()
    expect(mark(page, "sub-1")).to_have_class("mark reject")
    expect(page.locator("#save")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_keys_work_after_a_click_into_the_subjects_page(cohort, context, scheme):
    places = {"http": cohort.address, "file": f"file://{cohort.results}/report/qc.html"}
    page = opened(context, places[scheme])
    row(page, "sub-1").click()
    for key in "rj":
        page.frame_locator("iframe").locator("#inner").click()
        page.wait_for_timeout(300)  # a hand takes longer from the mouse to the keys
        page.keyboard.press(key)
    expect(mark(page, "sub-1")).to_have_class("mark reject")
    expect(page.locator("#detail b").first).to_have_text("sub-2")


def test_after_closing_the_next_subject_follows(page):
    row(page, "sub-2").click()
    page.keyboard.press("Escape")
    expect(row(page, "sub-2")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("j")
    expect(row(page, "sub-3")).to_have_attribute("aria-selected", "true")


def test_the_list_names_its_active_row_and_focus_is_never_lost(page):
    where = "() => document.activeElement.id"
    page.keyboard.press("j")
    active = page.locator("#list").get_attribute("aria-activedescendant")
    expect(page.locator(f"#{active}")).to_contain_text("sub-1")
    assert page.evaluate(where) == "list"
    page.keyboard.press("Enter")
    assert page.evaluate(where) == "detail"
    page.get_by_role("button", name="next", exact=True).click()
    assert page.evaluate(where) == "detail"
    accept = page.get_by_role("button", name="accept").first
    accept.click()
    expect(accept).to_be_focused()
    page.keyboard.press("Escape")
    assert page.evaluate(where) == "list"


TOO_WIDE = """() => [...document.querySelectorAll("html, header, main, #list, #detail")]
    .filter(e => e.scrollWidth > e.clientWidth).map(e => e.tagName + e.id)"""
TOO_SMALL = """() => [...document.querySelectorAll("body *")]
    .filter(e => e.innerText && parseFloat(getComputedStyle(e).fontSize) < 12)
    .map(e => e.innerText)"""


@pytest.mark.parametrize("width", [420, 1300])
def test_nothing_is_too_small_or_too_wide(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate(TOO_WIDE) + page.evaluate(TOO_SMALL) == []
    row(page, "sub-1").click()
    assert page.evaluate(TOO_WIDE) + page.evaluate(TOO_SMALL) == []
