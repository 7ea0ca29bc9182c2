import pytest

from crawler.clock import ManualClock
from crawler.model.access import Role
from crawler.settings.sections import ApiSettings
from tests.unit.api.fakes import FakeBackend, Known, Master
from tests.unit.dashboard.browser import Browser


@pytest.fixture
def tokens():
    known = Known()
    known.make(Role.ADMIN)  # with the first one, everybody needs one
    return known


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def backend():
    return FakeBackend()


@pytest.fixture
def master(backend, tokens, clock):
    master = Master(backend, ApiSettings(rate=0), tokens=tokens, clock=clock, has_pages=True)
    yield master
    master.pages.stop()


@pytest.fixture
def stranger(master):
    """A browser of somebody who has not signed in."""
    return Browser(master)


@pytest.fixture
def signed_in(master, tokens):
    """Returns a browser of somebody with that role."""

    def browser(role=Role.ADMIN, **bounds):
        found = Browser(master)
        found.sign_in(tokens.make(role, **bounds))
        return found

    return browser
