"""What a worker says of itself when it registers."""

from types import SimpleNamespace

from crawler.clock import SystemClock
from crawler.coordination.memory import MemoryStore
from crawler.coordination.registration import decode_node, encode_node
from crawler.model.constraints import Effect, Taint
from crawler.node.crew.crew_load import NoLoad
from crawler.node.worker.worker import Worker
from crawler.settings.sections import NodeSettings, Settings

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
