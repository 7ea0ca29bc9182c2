"""What a worker says of itself when it registers."""

from contextlib import suppress
from types import SimpleNamespace

import gevent
import pytest

from crawler.clock import SystemClock
from crawler.coordination.keys import MASTER, WORKER, Keys
from crawler.coordination.lease import Lease
from crawler.coordination.memory import MemoryStore
from crawler.coordination.registration import decode_node, encode_node
from crawler.coordination.registry import Registry, decode_registration
from crawler.errors import Unavailable
from crawler.model.constraints import Effect, Taint
from crawler.model.records import Node
from crawler.node.crew.crew_load import NoLoad
from crawler.node.membership.membership import Session
from crawler.node.worker.worker import Worker
from crawler.settings.sections import CoordinationSettings, NodeSettings, Settings
from crawler.supervision import Supervisor
from tests.waiting import eventually

KEYS = Keys(CoordinationSettings())
CREW = SimpleNamespace(spider_names=lambda: frozenset({"books"}), load=NoLoad())


def registered(node):
    """The registration of a worker with these settings, as others read it."""
    settings = Settings(node=node)
    worker = Worker(MemoryStore(), settings, CREW, None, SystemClock())
    return decode_node(encode_node("w", worker.describe("w-1", "h:1")), 5)


def test_a_worker_tells_its_labels_spiders_capacity_and_taints():
    told = registered(
        NodeSettings(
            labels={"zone": "a"},
            capacity={"cpu": 4.0, "gpu": 1.0},
            taints=["spot=yes:NoSchedule", "old:PreferNoSchedule"],
        )
    )
    assert (told.id, told.address, told.spiders) == ("w-1", "h:1", {"books"})
    assert told.labels == {"zone": "a"}
    assert told.capacity == {"cpu": 4.0, "gpu": 1.0}
    assert told.taints == (
        Taint("spot", "yes", Effect.NO_SCHEDULE),
        Taint("old", "", Effect.PREFER_NO_SCHEDULE),
    )


def test_a_worker_without_settings_is_limited_by_nothing():
    told = registered(NodeSettings())
    assert (told.labels, told.capacity, told.taints) == ({}, {}, ())


class Bundles:
    """What a worker has of projects."""

    ready = frozenset()

    def start(self, supervisor):
        pass

    def spiders(self):
        return self.ready

    def metadata(self):
        return {}


class Crew(SimpleNamespace):
    """A crew that never runs anything."""

    spider_names = staticmethod(lambda: frozenset({"books"}))
    load = NoLoad()
    start = staticmethod(lambda: None)
    task_in_callback = staticmethod(lambda: "")


@pytest.fixture
def place(tmp_path):
    """A worker that has started: its store, its bundles, itself, and a lease."""
    store, bundles, supervisor = MemoryStore(SystemClock()), Bundles(), Supervisor("test")
    settings = Settings(folder=str(tmp_path))
    peers = SimpleNamespace(backend=lambda address: Master(address))
    worker = Worker(store, settings, Crew(), None, SystemClock(), peers, bundles=bundles)
    lease = Lease.grant(store, 60, SystemClock())
    worker.start(supervisor)
    yield SimpleNamespace(
        store=store, bundles=bundles, worker=worker, lease=lease, supervisor=supervisor
    )
    supervisor.stop()
    store.close()


class Master(SimpleNamespace):
    """A master whose bundles are its address."""

    def __init__(self, address):
        super().__init__(bundle=lambda digest, call: iter([address.encode()]))


def test_a_bundle_that_becomes_ready_while_a_worker_registers_is_told_all_the_same(place):
    registry = Registry(place.store, KEYS, WORKER)
    node = registry.register(place.worker.describe("w-1", "h:1"), place.lease)
    place.bundles.ready = frozenset({"shop/films"})
    place.bundles.on_offer()
    gevent.sleep(0.01)  # whoever tells it finds that it is no member yet
    place.worker.join(Session("1", node, place.lease, place.supervisor))
    registered = KEYS.registration(WORKER, "w-1")
    eventually(lambda: "shop/films" in decode_registration(place.store.get(registered)).spiders)


def test_no_master_is_always_asked_first_as_its_copy_of_a_bundle_may_be_damaged(place):
    registry = Registry(place.store, KEYS, MASTER)
    for name in ("a", "b"):
        registry.register(Node(KEYS.node_id(MASTER, name), f"{name}:1"), place.lease)

    def given():
        with suppress(Unavailable):  # it has heard of no master yet
            return {next(iter(place.bundles.fetch("f" * 64))) for _ in range(50)}
        return set()

    eventually(lambda: len(given()) == 2)
