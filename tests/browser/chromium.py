"""Debian's Chromium, and a window in it that notes whatever a page of ours must never do."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager

from playwright.sync_api import expect, sync_playwright

from tests.waiting import PATIENCE_S

PROGRAM = shutil.which("chromium")
MISSING = "there is no chromium here: without one the tests of the page cannot run"
ARGUMENTS = [
    "--no-sandbox",  # tests run as root, where Chromium has none
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-gpu",
    # A process that waits for the next page would look like one that a test has left.
    "--disable-features=SpareRendererForSitePerProcess",
]
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}


@contextmanager
def launched():
    """A browser. What asks it waits as a native program would, but other greenlets go on."""
    expect.set_options(timeout=PATIENCE_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """A browser window with cookies of its own. Closing it fails on what pages have done wrong."""

    def __init__(self, browser, origin, **options):
        """`options` are those of a context of Playwright: viewport, color_scheme, …"""
        self.origin = origin
        self.complaints = []
        self._expected = []
        self.context = browser.new_context(base_url=origin, **{"viewport": DESK, **options})
        self.context.set_default_timeout(PATIENCE_S * 1000)
        self.context.on("console", self._heard)
        self.context.on("weberror", lambda error: self.complaints.append(f"raised: {error.error}"))
        self.context.on("request", self._asked)
        self.page = self.context.new_page()

    def expects(self, pattern):
        """This test means to cause complaints of that kind."""
        self._expected.append(re.compile(pattern))

    def open(self, path):
        """Show a page of ours, as if its address was typed in; the answer's status."""
        return self.page.goto(path, wait_until="load").status

    def check(self):
        """Raises AssertionError when a page has done what it must not, and forgets it."""
        told, self.complaints = self.complaints, []
        told = [text for text in told if not any(p.search(text) for p in self._expected)]
        assert not told, "the page:\n  " + "\n  ".join(told)

    def leave(self):
        """Leave the page, and check the window: another test goes on with it."""
        self.page.goto("about:blank")
        try:
            self.check()
        finally:
            self._expected.clear()

    def close(self):
        """Close it, and check it."""
        self.context.close()  # what the pages have told until now has arrived by then
        self.check()

    def _heard(self, message):
        if message.type in ("error", "warning"):
            where = message.location.get("url", "") if message.location else ""
            self.complaints.append(f"{message.type} on the console: {message.text} ({where})")

    def _asked(self, request):
        if not request.url.startswith((f"{self.origin}/", "data:", "blob:", "about:")):
            self.complaints.append(f"asked another host: {request.method} {request.url}")
