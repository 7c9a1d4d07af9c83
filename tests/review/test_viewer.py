"""The viewer in a real browser: what is clicked is where it is, what is drawn is what is saved."""

import threading

import nibabel as nib
import numpy as np
import pytest

from glymph.common.names import Unit
from glymph.common.spaces import apply_affine
from glymph.review.corrections import decisions_of
from glymph.review.objects import Objects
from glymph.review.rois import read_roi_corrections
from glymph.review.serve import make_server
from tests.review import phantom
from tests.review.test_accessibility import serious
from tests.review.test_browser import TOO_WIDE

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: make dev")
UNIT = Unit("1")
MASK = "corrected/sub-1/anat/sub-1_label-EPVS_mask.nii.gz"


class Served:
    """An output folder of two subjects with its server."""

    def __init__(self, folder):
        self.results, self.review = folder / "out", folder / "review"
        self.affine = phantom.make(self.results)
        phantom.make(self.results, Unit("2"), dwi=False)
        self.start(0)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def start(self, port):
        self.server = make_server(self.results, self.review, port)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def mask(self):
        """The correction on disk, on the grid of the result."""
        image = nib.load(self.review / MASK)
        np.testing.assert_allclose(image.affine, self.affine, atol=1e-3)
        return np.asanyarray(image.dataobj) > 0

    def numbers(self):
        return Objects(self.results, UNIT).numbers


@pytest.fixture
def served(tmp_path):
    served = Served(tmp_path)
    yield served
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture
def context(browser, served):
    """A small window; an error on the console, or a request that leaves, fails the test."""
    context = browser.new_context(viewport={"width": 900, "height": 520}, locale="en")
    context.set_default_timeout(60_000)
    wrong = []
    ours = (served.address, "data:", "blob:", "file:")
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    context.on("request", lambda r: None if r.url.startswith(ours) else wrong.append(r.url))
    yield context
    context.close()
    expected = ("409", "403", "400", "ERR_CONNECTION_REFUSED")
    assert [text for text in wrong if not any(e in text for e in expected)] == []


def opened(context, served, rater="AB", unit="sub-1"):
    page = context.new_page()
    page.goto(f"{served.address}/viewer?unit={unit}")
    ready(page)
    page.fill("#rater", rater)
    page.press("#rater", "Tab")
    return page


def ready(page):
    page.wait_for_selector("body[data-ready=true]")


def row(page, number):
    return page.locator(f'tr[data-object="{number}"]')


def expect(locator):
    return sync_api.expect(locator)


def save(page, text="Saved."):
    page.click("#save")
    expect(page.locator("#notice")).to_contain_text(text, timeout=30_000)


def test_a_click_on_an_object_goes_to_its_place(served, context):
    page = opened(context, served)
    numbers = served.numbers()
    for number in (3, 2):
        row(page, number).click()
        place = page.evaluate("viewer.canvas.place")
        centre = apply_affine(served.affine, np.argwhere(numbers == number).mean(axis=0))
        assert np.linalg.norm(place - centre) < 0.75
        voxel = np.rint(apply_affine(np.linalg.inv(served.affine), np.array(place))).astype(int)
        assert numbers[tuple(voxel)] == number
    expect(page.locator("#where")).to_contain_text("object 2")
    page.keyboard.press("n")
    expect(row(page, 3)).to_have_attribute("aria-selected", "true")
    expect(row(page, 3)).to_be_focused()
    page.get_by_role("button", name="mm long").click()
    order = page.locator("#list tbody tr").evaluate_all("all => all.map(r => r.dataset.object)")
    assert order == ["3", "4", "2", "1"]


def test_a_deletion_is_saved_and_is_there_after_a_reload(served, context):
    page = opened(context, served)
    row(page, 2).click()
    for key in ("d", "n", "d", "u"):
        page.keyboard.press(key)
    expect(page.locator("#unsaved-count")).to_have_text("1 change not saved")
    expect(row(page, 2)).to_have_class("deleted")
    save(page, f"Written: {served.review / MASK}")
    expect(page.locator("#notice")).to_contain_text("epvs_census")
    expect(page.locator("#unsaved")).to_be_hidden()
    numbers = served.numbers()
    np.testing.assert_array_equal(served.mask(), np.isin(numbers, (1, 3, 4)))
    assert [r["decision"] for r in decisions_of(served.review, UNIT, "AB")] == ["delete"]
    page.reload()
    ready(page)
    expect(row(page, 2)).to_have_class("deleted")
    expect(page.locator("#who")).to_contain_text("Corrected by AB")
    row(page, 2).click()
    page.keyboard.press("a")
    save(page)
    np.testing.assert_array_equal(served.mask(), np.isin(numbers, (1, 2, 3, 4)))


def drag(page, start, end):
    """Across the canvas, in shares of it."""
    box = page.locator("#canvas").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=4)
    page.mouse.up()


def voxels_of(page, served):
    """What the page shows as its mask, by the world places of its voxels."""
    places = page.evaluate("""() => { const { canvas } = viewer, found = [];
        canvas.mask.forEach((v, k) => { if (v) found.push(canvas.voxelToWorld(k)) });
        return found }""")
    found = np.zeros(phantom.SHAPE, bool)
    voxels = apply_affine(np.linalg.inv(served.affine), np.array(places))
    np.testing.assert_allclose(voxels, np.rint(voxels), atol=0.02)
    found[tuple(np.rint(voxels).astype(int).T)] = True
    return found


def test_what_is_drawn_and_erased_is_saved_voxel_by_voxel(served, context):
    page = opened(context, served)
    before = voxels_of(page, served)
    np.testing.assert_array_equal(before, np.isin(served.numbers(), (1, 2, 3, 4)))
    row(page, 3).click()
    page.select_option("#view", "axial")
    page.select_option("#zoom", "1")
    page.keyboard.press("w")
    drag(page, (0.45, 0.5), (0.55, 0.6))
    expect(page.locator("#unsaved-count")).to_have_text("1 change not saved")
    drawn = voxels_of(page, served)
    assert (drawn & ~before).sum() >= 5
    place = page.evaluate("viewer.canvas.place")
    plane = apply_affine(np.linalg.inv(served.affine), np.array(place))[2]
    assert {int(z) for z in np.argwhere(drawn & ~before)[:, 2]} == {round(plane)}
    page.keyboard.press("x")
    drag(page, (0.45, 0.5), (0.5, 0.55))
    expect(page.locator("#unsaved-count")).to_have_text("2 changes not saved")
    after = voxels_of(page, served)
    assert 0 < (after & ~before).sum() < (drawn & ~before).sum()
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    save(page)
    np.testing.assert_array_equal(served.mask(), after)
    page.reload()
    ready(page)
    np.testing.assert_array_equal(voxels_of(page, served), after)


def test_what_is_not_saved_outlives_the_page(served, context):
    page = opened(context, served)
    row(page, 2).click()
    page.keyboard.press("d")
    page.select_option("#view", "axial")
    page.select_option("#zoom", "1")
    page.keyboard.press("w")
    drag(page, (0.45, 0.5), (0.55, 0.6))
    expect(page.locator("#unsaved-count")).to_have_text("2 changes not saved")
    before = voxels_of(page, served)
    page.wait_for_timeout(600)
    page.close()
    page = opened(context, served)
    expect(page.locator("#unsaved-count")).to_have_text("2 changes not saved")
    expect(row(page, 2)).to_have_class("deleted")
    np.testing.assert_array_equal(voxels_of(page, served), before)
    save(page)
    np.testing.assert_array_equal(served.mask(), before)


def test_what_is_not_saved_finds_its_objects_in_a_new_result(served, context):
    page = opened(context, served)
    row(page, 3).click()
    page.keyboard.press("d")
    phantom.renumber(served.results)
    page.click("#save")
    expect(page.locator("#notice")).to_contain_text("made this result anew")
    page.wait_for_timeout(600)
    page.reload()
    ready(page)
    expect(page.locator("#notice")).to_contain_text("look at every change")
    expect(row(page, 2)).to_have_class("deleted")
    save(page)
    np.testing.assert_array_equal(served.mask(), np.isin(served.numbers(), (1, 3)))


def test_a_server_that_was_started_anew_takes_what_waits(served, context):
    page = opened(context, served)
    row(page, 2).click()
    page.keyboard.press("d")
    port = served.server.server_address[1]
    served.server.shutdown()
    served.server.server_close()
    page.click("#save")
    expect(page.locator("#notice")).to_contain_text("does not answer")
    served.start(port)
    save(page)
    np.testing.assert_array_equal(served.mask(), np.isin(served.numbers(), (1, 3, 4)))


def test_a_second_rater_is_told_and_overwrites_nothing_unasked(served, context):
    first, second = opened(context, served), opened(context, served, rater="CD")
    for page, number in ((first, 2), (second, 3)):
        page.bring_to_front()
        row(page, number).click()
        page.keyboard.press("d")
    save(first)
    theirs = (served.review / MASK).read_bytes()
    second.fill("#rater", "EF")  # asks the server anew, which knows of the first by now
    second.press("#rater", "Tab")
    second.wait_for_timeout(500)
    second.click("#save")
    expect(second.locator("#ask-text")).to_contain_text("AB saved another version")
    second.locator("#ask").get_by_role("button", name="Cancel").click()
    expect(second.locator("#unsaved-count")).to_have_text("1 change not saved")
    assert (served.review / MASK).read_bytes() == theirs
    second.click("#save")
    second.click("#ask-yes")
    expect(second.locator("#notice")).to_contain_text("Saved.")
    np.testing.assert_array_equal(served.mask(), np.isin(served.numbers(), (1, 2, 4)))
    assert theirs in [p.read_bytes() for p in (served.review / "history").rglob("*.nii.gz")]


def test_brain_regions_and_alignment(served, context):
    page = opened(context, served)
    page.get_by_role("button", name="Brain mask").click()
    ready(page)
    page.select_option("#view", "axial")
    page.select_option("#zoom", "1")
    page.keyboard.press("x")
    drag(page, (0.45, 0.5), (0.55, 0.6))
    expect(page.locator("#unsaved-count")).to_have_text("1 change not saved")
    page.get_by_role("button", name="Diffusion").click()
    ready(page)
    page.get_by_label("left projection: mm to the front").fill("2.5")
    page.keyboard.press("Tab")
    place = page.evaluate("viewer.canvas.place")
    assert place == pytest.approx([-26, -9.5, 24], abs=0.1)
    expect(page.locator("#unsaved-count")).to_have_text("2 changes not saved")
    save(page, "Moved: left projection")
    found = read_roi_corrections(served.review)
    assert found == {"sub-1": {"left_projection": {"shift_mm": [0.0, 2.5, 0.0]}}}
    stem = "sub-1/anat/sub-1_desc-brain_mask.nii.gz"
    old, new = nib.load(served.results / stem), nib.load(served.review / "corrected" / stem)
    np.testing.assert_allclose(new.affine, old.affine, atol=1e-3)
    gone = (np.asanyarray(old.dataobj) > 0) & ~(np.asanyarray(new.dataobj) > 0)
    assert gone.sum() > 0
    assert not ((np.asanyarray(new.dataobj) > 0) & ~(np.asanyarray(old.dataobj) > 0)).any()
    page.get_by_role("button", name="Alignment").click()
    ready(page)
    page.keyboard.press("f")
    expect(page.get_by_label("Mix")).to_have_value("1")


def test_a_brain_mask_that_was_not_saved_is_taken_up_and_saved(served, context):
    page = opened(context, served)
    page.get_by_role("button", name="Brain mask").click()
    ready(page)
    page.select_option("#view", "axial")
    page.keyboard.press("x")
    drag(page, (0.45, 0.5), (0.55, 0.6))
    expect(page.locator("#unsaved-count")).to_have_text("1 change not saved")
    drawn = page.evaluate("viewer.tasks.brain.mask.reduce((n, v) => n + v, 0)")
    page.wait_for_timeout(600)
    page.close()
    page = opened(context, served)  # shows the perivascular spaces first
    expect(page.locator("#unsaved-count")).to_have_text("1 change not saved")
    save(page, "Brain mask")
    saved = nib.load(served.review / "corrected/sub-1/anat/sub-1_desc-brain_mask.nii.gz")
    assert np.count_nonzero(np.asanyarray(saved.dataobj)) == drawn
    expect(page.locator("#unsaved")).to_be_hidden()


@pytest.mark.parametrize("width", [1300, 1024, 420])
def test_nothing_overflows_and_every_control_has_a_name(served, context, width):
    page = opened(context, served)
    page.set_viewport_size({"width": width, "height": 700})
    page.keyboard.press("?")
    expect(page.locator("#help")).to_contain_text("next object")
    page.keyboard.press("Escape")
    wide = TOO_WIDE.replace("#detail", "#side")
    assert page.evaluate(wide) == []
    nameless = """() => [...document.querySelectorAll("button, input, select")].filter(e =>
        !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map(e => e.outerHTML)"""
    assert page.evaluate(nameless) == []


def test_the_cohorts_page_leads_to_the_viewer(served, context):
    page = context.new_page()
    page.goto(f"{served.address}/report/qc.html")
    page.locator("#list .row", has_text="sub-1").click()
    link = page.get_by_role("link", name="open in viewer")
    expect(link).to_have_attribute("href", "/viewer?unit=sub-1")
    page.goto(f"file://{served.results}/report/qc.html")
    page.locator("#list .row", has_text="sub-1").click()
    expect(link).to_have_count(0)


@pytest.mark.parametrize("width", [420, 1300])
def test_axe_finds_nothing_serious(served, context, width):
    page = opened(context, served)
    page.set_viewport_size({"width": width, "height": 800})
    assert serious(page) == []
    row(page, 2).click()
    page.keyboard.press("d")
    assert serious(page) == []
    for task in page.locator("#tasks button").all():
        task.click()
        ready(page)
        assert serious(page) == []
