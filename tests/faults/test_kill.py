"""SIGKILL: a process is gone at once, and its lease ends when nobody renews it any more."""

import pytest

from tests.depth import deep


class Kill:
    """Kills nodes; healing starts them again, with the same names and ports."""

    def __init__(self, *nodes):
        self._nodes = nodes

    def inject(self, arena):
        for node in self._nodes:
            node.process.kill()

    def heal(self, arena):
        arena.lab.start(*(node.title for node in self._nodes), ready=False)


def test_a_leader(arena):
    old, moved = arena.leader(), arena.lab.resources()
    fault = Kill(old)
    fault.inject(arena)
    arena.client.add("while the next one takes over")
    assert arena.leader() is not old
    assert {name: arena.lab.resources()[name] for name in moved} == moved
    fault.heal(arena)
    arena.at_full_strength()
    arena.check(longest_gap_s=0.5)


@deep
def test_a_worker(arena):
    worker = arena.busy_worker()
    fault = Kill(worker)
    fault.inject(arena)
    arena.wait_until_moved(worker)
    fault.heal(arena)
    arena.at_full_strength()
    arena.check(longest_gap_s=arena.lab.ttl_s + 2)


@pytest.mark.faults
def test_a_leader_and_a_worker_at_once(arena):
    """The next leader finds tasks of a worker whose end it never saw."""
    worker = arena.busy_worker()
    fault = Kill(arena.leader(), worker)
    fault.inject(arena)
    arena.wait_until_moved(worker, within_s=2 * arena.lab.ttl_s + 2)
    fault.heal(arena)
    arena.at_full_strength()
    arena.check()


@pytest.mark.faults
def test_every_node(arena):
    """What etcd holds is enough to go on."""
    fault = Kill(*arena.lab.nodes("master"), *arena.lab.nodes("worker"))
    fault.inject(arena)
    fault.heal(arena)
    arena.at_full_strength()
    arena.check(longest_gap_s=3 * arena.lab.ttl_s)
