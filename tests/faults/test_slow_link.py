"""A slow link between a node and etcd: everything arrives, late."""

import time

import pytest

from tests.faults import history
from tests.faults.arena import open_arena
from tests.waiting import eventually


class SlowLink:
    """Each piece of these nodes' bytes takes longer, and only so many pass in a second."""

    def __init__(self, *nodes, latency_s=0.1, bytes_per_s=200_000):
        self._titles = [node.title for node in nodes]
        self._latency_s = latency_s
        self._bytes_per_s = bytes_per_s

    def inject(self, arena):
        for link in arena.lab.links(*self._titles):
            link.slow(self._latency_s, self._bytes_per_s)

    def heal(self, arena):
        for link in arena.lab.links(*self._titles):
            link.heal()


@pytest.mark.faults
def test_a_leader_and_a_worker_go_on(tmp_path):
    """A whole second for an answer costs nobody the lease, and moves nothing."""
    with open_arena(tmp_path, ttl_s=10) as arena:
        arena.start()
        arena.begin(*(f"steady-{number}" for number in range(6)))
        before, terms = arena.lab.keys("/micro/"), history.leaders(arena.recorder.catch_up())
        fault = SlowLink(arena.next_leader(), arena.busy_worker(), latency_s=0.5)
        began_s = time.monotonic()
        fault.inject(arena)
        arena.add(*(f"slow-{number}" for number in range(40)))
        # Leases that were not renewed over the slow link have ended by then.
        eventually(lambda: time.monotonic() > began_s + arena.lab.ttl_s + 1)
        fault.heal(arena)
        arena.check()
        assert arena.lab.keys("/micro/") == before
        assert history.leaders(arena.recorder.catch_up()) == terms


@pytest.mark.faults
def test_a_link_too_slow_for_the_lease(arena):
    """The leader cannot renew in time: another leads, and accepts what is asked."""
    fault = SlowLink(arena.next_leader(), latency_s=1.5, bytes_per_s=2_000)
    fault.inject(arena)
    arena.add(*(f"too-slow-{number}" for number in range(10)))
    fault.heal(arena)
    arena.at_full_strength()
    arena.check()
