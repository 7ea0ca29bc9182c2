"""A black hole between a node and etcd: the connection stays, and bytes vanish or wait in it."""

import time

import pytest

from tests.faults.proxy import BOTH, Way
from tests.waiting import PATIENCE_S, eventually


class BlackHole:
    """Bytes between these nodes and etcd vanish, that way or both; healing resets what lost any."""

    def __init__(self, *nodes, ways=BOTH):
        self._titles = [node.title for node in nodes]
        self._ways = ways

    def inject(self, arena):
        for link in arena.lab.links(*self._titles):
            link.swallow(*self._ways)

    def heal(self, arena):
        for link in arena.lab.links(*self._titles):
            link.heal()


class Delay(BlackHole):
    """The same, but the bytes arrive when it heals: writes of another time among them."""

    def inject(self, arena):
        for link in arena.lab.links(*self._titles):
            link.hold(*self._ways)


def test_a_worker_stops_before_anyone_else_may_start_its_tasks(arena):
    worker = arena.busy_worker()
    fault = BlackHole(worker)
    fault.inject(arena)
    gone_s = time.monotonic()
    eventually(lambda: worker.call("GET", "/readyz")[0] == 503, what="it stops")
    arena.wait_until_moved(worker)
    fault.heal(arena)
    arena.at_full_strength()
    arena.check()
    assert not [each for each in arena.overlaps() if each.new.at_s > gone_s]


@pytest.mark.faults
@pytest.mark.parametrize("kind", [BlackHole, Delay])
@pytest.mark.parametrize("ways", [BOTH, (Way.OUT,), (Way.BACK,)], ids=["both", "out", "back"])
def test_a_leader(arena, kind, ways):
    old = arena.next_leader()
    fault = kind(old, ways=ways)
    fault.inject(arena)
    began = f"{kind.__name__} {len(ways)} {ways[0].value}"
    arena.client.add(began)
    arena.next_leader(old)
    arena.client.add(f"{began}, after it")
    fault.heal(arena)
    arena.at_full_strength()
    arena.check()


@pytest.mark.faults
@pytest.mark.parametrize("kind", [BlackHole, Delay])
@pytest.mark.parametrize("ways", [(Way.OUT,), (Way.BACK,)], ids=["out", "back"])
def test_a_worker_one_way(arena, kind, ways):
    worker = arena.busy_worker()
    fault = kind(worker, ways=ways)
    fault.inject(arena)
    arena.wait_until_moved(worker)
    fault.heal(arena)
    arena.at_full_strength()
    arena.check()


@pytest.mark.faults
def test_every_node(arena):
    fault = BlackHole(*arena.lab.nodes("master"), *arena.lab.nodes("worker"))
    fault.inject(arena)
    eventually(lambda: not arena.lab.registered(), PATIENCE_S, "all leases ended")
    fault.heal(arena)
    arena.at_full_strength()
    arena.check()
