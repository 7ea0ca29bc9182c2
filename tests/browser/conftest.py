"""One browser for the session, and a window for each test, which fails on what pages must not do.

Playwright runs a loop of asyncio in a greenlet of its own. While a test waits for the browser other
greenlets go on, as in a node; while it waits for anything else the browser's messages wait.
"""

import pytest

from tests.browser import chromium
from tests.browser.house import house_in
from tests.leaks import nothing_is_left_by


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


@pytest.fixture(scope="package", autouse=True)
def nothing_is_left():
    """As for the tests of a file, but for all of these, as they share a cluster."""
    yield from nothing_is_left_by("the tests in a browser")


@pytest.fixture(scope="package")
def shared_house(browser, tmp_path_factory):
    """One cluster for all tests."""
    with house_in(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture
def house(shared_house):
    """The cluster with both workers and without tasks."""
    shared_house.settle()
    return shared_house


@pytest.fixture(scope="package")
def shared_windows(shared_house):
    """Who has signed in → the window of all tests that need no own one."""
    windows = {}
    yield windows
    for window in windows.values():
        window.close()


@pytest.fixture
def signed_in(browser, shared_house, shared_windows):
    """Returns a window in which somebody has signed in: `signed_in("viewer")`. It is one that tests
    before have used, unless a test asks for an own one, or for options."""
    used = []

    def sign_in(who, *, own=False, **options):
        if own or options or not who:
            used.append(shared_house.window(browser, who, **options))
        else:
            if who not in shared_windows:
                shared_windows[who] = shared_house.window(browser, who)
            used.append(shared_windows[who])
        return used[-1]

    yield sign_in
    for window in used:
        if window in shared_windows.values():
            window.leave()
        else:
            window.close()
