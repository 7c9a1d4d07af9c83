"""The page of a large cohort: how big it is, and something to scroll through.

    python benchmarks/qc_page.py RESULTS OUT --subjects 500 [--browser]

Draws values of that many subjects around the values of the finished output folder RESULTS, copies
its thumbnails and pages under their names into OUT, writes OUT/report/qc.html and prints sizes.
--browser opens it in Chromium (playwright) and prints how long it takes until something can be done
and from a key to the picture that answers it.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import numpy as np

from glymph.common.registry import metrics
from glymph.common.tables import read_tsv
from glymph.metrics.flags import flag_rows, flags
from glymph.review.page import page_data, render


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--subjects", type=int, default=500)
    parser.add_argument("--browser", action="store_true")
    chosen = parser.parse_args()
    sources = read_tsv(chosen.results / "group" / "metrics.tsv")
    sources = [row for row in sources if row["flags"] is None] or sources
    rng = np.random.default_rng(1)
    records, units = [], []
    for number in range(1, chosen.subjects + 1):
        source, name = sources[number % len(sources)], f"sub-S{number:04d}"
        values = drawn(source, rng)
        records.append({"participant_id": name, "session_id": None, "values": values,
                        "flags": flags(values)})  # fmt: skip
        units.append((name, None, name))
        copy(chosen.results, source["participant_id"], chosen.out, name)
    begun = time.perf_counter()
    table = [
        {k: r[k] for k in ("participant_id", "session_id")}
        | {k: str(v) for k, v in r["values"].items()}
        for r in records
    ]
    page = render(page_data(units, table, flag_rows(records, 3.5), [], [], {}))
    spent = time.perf_counter() - begun
    (chosen.out / "report").mkdir(exist_ok=True)
    (chosen.out / "report" / "qc.html").write_text(page, encoding="utf-8")
    thumbnails = [p.stat().st_size for p in chosen.out.rglob("*_qc.jpg")]
    pages = [p.stat().st_size for p in chosen.out.glob("sub-*/*_qc.html")]
    print(f"subjects            {len(units)}")
    print(f"page of the cohort  {len(page.encode()) / 1e6:.2f} MB, made in {spent:.2f} s")
    print(f"thumbnails          {np.mean(thumbnails) / 1e3:.0f} kB a subject-session")
    print(f"page of a subject   {np.mean(pages) / 1e6:.2f} MB")
    if chosen.browser:
        use((chosen.out / "report" / "qc.html").resolve().as_uri())


TIMED = """async ([key, text]) => {
    const painted = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    const taken = [], search = document.getElementById("search");
    for (let n = 0; n < 15; n++) {
        const begun = performance.now();
        if (text) search.value = text.slice(0, n % (text.length + 1));
        (text ? search : document.activeElement).dispatchEvent(text ? new Event("input") :
            new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true, view: window}));
        await painted();
        taken.push(performance.now() - begun);
    }
    taken.sort((a, b) => a - b);
    return [taken[7], taken[14]];
}"""
"""Median and longest of 15 keys, or of letters typed into the search field, in ms."""


def use(address: str) -> None:
    """Prints how fast the page is in Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        begun = time.perf_counter()
        page.goto(address, wait_until="domcontentloaded")
        page.evaluate("() => new Promise(requestAnimationFrame)")
        print(f"until it can be used   {time.perf_counter() - begun:.2f} s")
        page.fill("#rater", "AB")
        page.press("#rater", "Escape")
        told(page, "letter in the search", None, "sub-S0")
        page.fill("#search", "")
        page.locator("#list").focus()
        told(page, "next row", "j")
        page.keyboard.press("Enter")
        told(page, "next subject, open", "j")
        told(page, "rating", "a")
        browser.close()


def told(page, what: str, key: str | None, text: str | None = None) -> None:
    middle, longest = page.evaluate(TIMED, [key, text])
    print(f"{what:22} {middle:.0f} ms, at most {longest:.0f} ms")


def drawn(source: dict, rng) -> dict[str, float]:
    """Values around those of ``source``, one in a hundred far away."""
    found = {}
    for name in metrics():
        if source.get(name) is not None:
            spread = 0.08 * (12 if rng.random() < 0.01 else 1)
            found[name] = float(source[name]) * (1 + spread * rng.normal())
    return found


def copy(results: Path, old: str, out: Path, new: str) -> None:
    (out / new / "figures").mkdir(parents=True, exist_ok=True)
    for place in ("{0}/{0}_qc.html", "{0}/figures/{0}_desc-thumbnails_qc.jpg"):
        shutil.copy(results / place.format(old), out / place.format(new))


if __name__ == "__main__":
    main()
