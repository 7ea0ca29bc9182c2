"""What several of these files need: time that moves by hand, and greenlets that live by it."""

import pytest

from crawler.clock import ManualClock
from crawler.supervision import Supervisor


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def supervisor(clock):
    supervisor = Supervisor("test", clock=clock)
    yield supervisor
    supervisor.stop()
