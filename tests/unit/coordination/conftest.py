"""What several of these files need: time that moves by hand, a store, and who leads there."""

import pytest

from crawler.clock import ManualClock
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Put
from crawler.model.records import Leadership
from crawler.settings.sections import CoordinationSettings
from crawler.supervision import Supervisor


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(clock):
    store = MemoryStore(clock)
    yield store
    store.close()


@pytest.fixture
def leadership(store):
    key = Keys(CoordinationSettings()).candidate(1)
    return Leadership(key, store.txn([], [Put(key, b"master1-h:1")]).revision)


@pytest.fixture
def supervisor(clock):
    supervisor = Supervisor("test", clock=clock)
    yield supervisor
    supervisor.stop()
