"""One browser for the session, and a window for each test, which fails on what pages must not do.

Playwright runs a loop of asyncio in a greenlet of its own. While a test waits for the browser other
greenlets go on, as in a node; while it waits for anything else the browser's messages wait.
"""

import pytest

from tests.browser import chromium


@pytest.fixture(scope="session")
def browser():
    """The browser; without one on this machine its tests are skipped."""
    if chromium.PROGRAM is None:
        pytest.skip(chromium.MISSING)
    with chromium.launched() as browser:
        yield browser


@pytest.fixture
def opened(browser):
    """Returns a new window on a server; `options` as of chromium.Window."""
    windows = []

    def open_window(origin, **options):
        windows.append(chromium.Window(browser, origin, **options))
        return windows[-1]

    yield open_window
    for window in windows:
        window.close()
