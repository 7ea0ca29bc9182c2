"""What a master notes about the masters that it mirrors."""

import pytest

from crawler.clock import ManualClock
from crawler.coordination.keys import MASTER, Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.registration import encode_node
from crawler.coordination.store import KeyValue
from crawler.model.records import Node
from crawler.node.master.mirrors import Mirrors
from crawler.settings.sections import CoordinationSettings

KEYS = Keys(CoordinationSettings())


@pytest.mark.parametrize(("metadata", "noted"), [({}, True), ({"draining": "true"}, False)])
def test_the_host_of_a_master_that_went_without_notice_is_noted(metadata, noted):
    clock, woken = ManualClock(), []
    mirrors = Mirrors(MemoryStore(), KEYS, clock, lambda: woken.append(True))
    node = Node(KEYS.node_id(MASTER, "2"), "10.0.0.7:9091", metadata=metadata)
    key = KEYS.registration(MASTER, node.id)
    value = encode_node(KEYS.service(MASTER), node)
    mirrors.masters.apply(key, KeyValue(key, value, 5, 5), 5)
    assert mirrors.hosts_lost == {}
    clock.advance(3.0)
    mirrors.masters.apply(key, None, 6)
    assert mirrors.hosts_lost == ({"10.0.0.7": clock.monotonic()} if noted else {})
    assert bool(woken) is noted, "a worker of that host may have died with it"
