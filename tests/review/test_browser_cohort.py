"""The page of the cohort in a real browser: flags in words, progress, blinding, a second rater."""

import json

import pytest

from glymph.review.page import page_data, render
from glymph.review.serve import append
from tests.review import test_browser
from tests.review.test_browser import RATING, SUBJECTS, TOO_SMALL, TOO_WIDE, expect, mark, row

context, opened = test_browser.context, test_browser.opened
SENTENCE = "Noise of the DWI is 3, plausible is at least 8"
ADVICE = "the coil and the averages"


@pytest.fixture
def cohort(tmp_path):
    """As in `test_browser`, with two groups, and two flags and a gap of the second subject."""
    cohort = test_browser.Cohort(tmp_path)
    table = [
        {
            "participant_id": name,
            "session_id": None,
            "group": group,
            "corrected": None,
            "dwi_snr": value,
        }
        for name, group, value in zip(SUBJECTS, ("HC", "MCI", "HC"), ("10", "3", "11"), strict=True)
    ]
    who = {"participant_id": "sub-2", "session_id": None}
    flags = [
        who
        | {
            "metric": "dwi_snr",
            "value": "3",
            "kind": "range",
            "z": None,
            "message": SENTENCE,
            "look": ADVICE,
        },
        who
        | {
            "metric": "brain_volume_mm3",
            "value": "9e5",
            "kind": "outlier",
            "z": "-4.12",
            "message": "The brain is small",
            "look": "the mask",
        },
    ]
    gone = [who | {"branch": "epvs", "reason": "no T2w", "cure": "give one"}]
    units = [(name, None, name) for name in SUBJECTS]
    page = render(page_data(units, table, flags, gone, [], {"dwi_snr": [8, None]}))
    (cohort.results / "report/qc.html").write_text(page, encoding="utf-8")
    cohort.start()
    yield cohort
    cohort.stop()  # fmt: skip


@pytest.fixture
def page(cohort, context):
    return opened(context, cohort.address)


def save(cohort, **change):
    append(json.dumps(RATING | change).encode(), cohort.review)


def test_flags_are_chips_and_their_sentences_a_key_away(page):
    chips = row(page, "sub-2").locator(".chip")
    expect(chips).to_have_text(["epvs missing", "SNR of b = 0 low", "Brain volume z −4.1"])
    expect(page.get_by_text(SENTENCE)).to_have_count(0)
    for key in "jjf":
        page.keyboard.press(key)
    expect(row(page, "sub-2")).to_contain_text(SENTENCE)
    expect(row(page, "sub-2")).to_contain_text(ADVICE)
    expect(page.locator("#said")).to_contain_text(SENTENCE)
    page.keyboard.press("f")
    expect(row(page, "sub-2")).not_to_contain_text(SENTENCE)
    chips.first.click()
    expect(row(page, "sub-2")).to_contain_text(SENTENCE)
    expect(page.locator("#detail")).to_be_hidden()
    assert page.evaluate("() => document.activeElement.id") == "list"
    page.keyboard.press("Enter")
    panel = page.locator("#detail .box")
    expect(panel.get_by_text(ADVICE)).to_be_hidden()
    page.keyboard.press("f")
    expect(panel.get_by_text(ADVICE)).to_be_visible()


def test_few_people_give_no_outliers_and_the_page_says_so(page):
    expect(page.locator("#notes")).to_contain_text("Fewer than 20 subject-sessions")


def test_progress_counts_the_raters_own_ratings(cohort, page):
    expect(page.locator("#count")).to_contain_text("0 of 3 rated by you")
    row(page, "sub-1").click()
    for key in "1a2a3r4u":
        page.keyboard.press(key)
    expect(page.locator("#count")).to_contain_text("1 of 3 rated by you")
    page.keyboard.press("j")
    page.keyboard.press("1")
    page.keyboard.press("a")
    expect(page.locator("#progress span").first).to_have_text("brain 2 of 3")
    expect(page.locator("#progress span").last).to_have_text("EPVS 1 of 3")
    save(cohort, rater="CD", participant_id="sub-3")
    page.reload()
    expect(page.locator("#progress span").first).to_have_text("brain 2 of 3")
    page.fill("#rater", "CD")
    expect(page.locator("#progress span").first).to_have_text("brain 1 of 3")


def test_next_unrated_goes_on_and_round(page):
    title = page.locator("#detail b").first
    page.keyboard.press("n")
    expect(title).to_have_text("sub-1")
    for key in "1a2a3a4an":
        page.keyboard.press(key)
    expect(title).to_have_text("sub-2")
    for key in "1ajj":
        page.keyboard.press(key)
    expect(title).to_have_text("sub-3")
    page.get_by_role("button", name="next unrated").click()
    expect(title).to_have_text("sub-2")
    expect(page.locator(".item.now")).to_contain_text("2 Registration")
    for key in "2a3a4an1a2a3a4an":
        page.keyboard.press(key)
    expect(page.locator("#notice")).to_have_text("All that is shown is rated by you.")


def test_groups_are_hidden_until_somebody_asks_and_that_is_said(page):
    first = row(page, "sub-1")
    expect(first).to_contain_text("sub-1", use_inner_text=True)
    expect(first).not_to_contain_text("HC", use_inner_text=True)
    expect(page.locator("#group")).to_be_hidden()
    page.check("#groups")
    expect(first).to_contain_text("HC", use_inner_text=True)
    expect(page.locator("#notes")).to_contain_text("not blind")
    page.select_option("#group", "MCI")
    expect(page.locator("#list .row:not(.head)")).to_have_count(1)
    page.uncheck("#groups")
    expect(page.locator("#list .row:not(.head)")).to_have_count(3)
    expect(first).not_to_contain_text("HC", use_inner_text=True)
    page.reload()
    expect(page.locator("#notes")).to_contain_text("You have looked at the groups")
    page.fill("#rater", "CD")
    expect(page.locator("#notes")).not_to_contain_text("looked")


def test_anothers_rating_is_hidden_until_one_has_rated(cohort, context):
    for rater, rating in (("CD", "reject"), ("EF", "unsure")):
        save(cohort, rater=rater, rating=rating)
    page = opened(context, cohort.address)
    expect(page.locator("#state")).to_contain_text("saved")
    page.check("#others")
    expect(mark(page, "sub-2")).to_have_text("brain")
    page.select_option("#show", "f:rejected")
    expect(page.locator("#list .row:not(.head)")).to_have_count(0)
    page.select_option("#show", "f:everything")
    row(page, "sub-2").click()
    expect(page.locator("#detail")).not_to_contain_text("CD: reject")
    expect(page.locator("#detail")).to_contain_text("shown once you have rated")
    page.keyboard.press("a")
    expect(page.locator("#detail")).to_contain_text("CD: reject (half of it); EF: unsure")
    expect(mark(page, "sub-2")).to_have_class("mark accept")
    expect(mark(page, "sub-2")).to_have_text("brain·ru")
    page.select_option("#whose", "EF")
    expect(mark(page, "sub-2")).to_have_text("brain·u")
    expect(page.locator("#detail")).not_to_contain_text("CD: reject")
    page.select_option("#show", "f:rated differently")
    expect(page.locator("#list .row:not(.head)")).to_have_count(1)
    page.uncheck("#others")
    expect(page.locator("#list .row:not(.head)")).to_have_count(0)
    expect(page.locator("#detail")).not_to_contain_text("EF: unsure")


def test_rows_are_made_once(page):
    """Filters show and hide them: with a thousand people a letter typed must not make them anew."""
    row(page, "sub-3").evaluate("node => { node.same = true }")
    page.fill("#search", "sub-2")
    expect(page.locator("#list .row:not(.head)")).to_have_count(1)
    page.fill("#search", "")
    assert row(page, "sub-3").evaluate("node => node.same")


@pytest.mark.parametrize("width", [420, 1024])
def test_everything_at_once_is_neither_too_small_nor_too_wide(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.check("#groups")
    page.check("#others")
    for key in "jjf":
        page.keyboard.press(key)
    assert page.evaluate(TOO_WIDE) + page.evaluate(TOO_SMALL) == []
    page.keyboard.press("n")
    page.keyboard.press("f")
    assert page.evaluate(TOO_WIDE) + page.evaluate(TOO_SMALL) == []
