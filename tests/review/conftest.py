"""One browser for all tests of pages; they are skipped where there is none."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium")
WEBGL = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
         "--ignore-gpu-blocklist"]  # fmt: skip
"""A viewer needs WebGL, which this machine's processor must do."""


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: make dev")
    if not CHROMIUM:
        pytest.skip("needs the program chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=WEBGL)
        yield browser
        browser.close()
