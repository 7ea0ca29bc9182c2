"""Half-open connections: etcd has been told that they ended, the node has not."""

import time

import pytest

from tests.waiting import eventually


class HalfOpen:
    """The present connections of these nodes to etcd lead nowhere; healing tells the nodes."""

    def __init__(self, *nodes):
        self._titles = [node.title for node in nodes]

    def inject(self, arena):
        for link in arena.lab.links(*self._titles):
            link.forget()

    def heal(self, arena):
        for link in arena.lab.links(*self._titles):
            link.heal()


@pytest.mark.faults
def test_no_lease_is_lost(arena):
    """Each is renewed over another connection in time; a busy machine may be too late for that."""
    before = arena.registrations()
    connect_anew(arena, "asked while leases are renewed")
    assert arena.registrations() == before
    arena.check()


def test_a_node_finds_out_by_itself_and_connects_anew(arena):
    """Nobody ever tells it: the link is healed only when all is well again."""
    connect_anew(arena, "asked of a leader that talks to nobody")
    arena.check()


def connect_anew(arena, task):
    fault = HalfOpen(arena.next_leader(), arena.busy_worker())
    gone_s = time.monotonic()
    fault.inject(arena)
    arena.client.add(task)
    # Leases that were not renewed over another connection have ended by then.
    eventually(lambda: time.monotonic() > gone_s + arena.lab.ttl_s + 0.7)
    arena.at_full_strength()
    eventually(arena.is_quiet, what="every task is run by a live worker")
    fault.heal(arena)


@pytest.mark.faults
def test_all_nodes_are_told_late(arena):
    fault = HalfOpen(*arena.lab.nodes("master"), *arena.lab.nodes("worker"))
    fault.inject(arena)
    arena.client.add("asked while nobody talks to etcd")
    fault.heal(arena)
    arena.at_full_strength()
    arena.check()
