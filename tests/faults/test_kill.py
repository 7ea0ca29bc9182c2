"""SIGKILL: a process is gone at once, and its guard gives up its lease. If the guard is gone with
it, as with a whole machine, the lease ends when nobody renews it any more."""

import contextlib
import json
import os
import signal

import pytest

from tests.depth import deep
from tests.guards import guard_of, parent_of
from tests.waiting import eventually

PARTS = ["crawling", "zygote", "guard"]
"""What a worker consists of besides its own process."""


class Kill:
    """Kills nodes; healing starts them again, with the same names and ports."""

    def __init__(self, *nodes):
        self._nodes = nodes

    def inject(self, arena):
        for node in self._nodes:
            node.process.kill()

    def heal(self, arena):
        arena.lab.start(*(node.title for node in self._nodes), ready=False)


class LoseMachine(Kill):
    """Kills nodes and their guards; what a machine runs ends all together."""

    def inject(self, arena):
        guards = [guard_of(node.process.pid) for node in self._nodes]
        for guard in guards:
            os.kill(guard, signal.SIGSTOP)  # else its node would start another one
        super().inject(arena)
        for guard in guards:
            os.kill(guard, signal.SIGKILL)


class KillPart:
    """Kills a process of a worker that lives: one that crawls, the zygote of these, or the guard.
    The worker itself mends that."""

    def __init__(self, node, part):
        self._node = node
        self._part = part

    def inject(self, arena):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has just ended
            os.kill(self._pid(), signal.SIGKILL)

    def heal(self, arena):
        """Nothing to do."""

    def _pid(self):
        if self._part == "guard":
            return eventually(lambda: guard_of(self._node.process.pid), what="it has a guard")
        pid = eventually(self._crawling, what="a process crawls")[0]
        return parent_of(pid) if self._part == "zygote" else pid

    def _crawling(self):
        _, _, told = self._node.call("GET", "/processes")
        return [each["pid"] for each in json.loads(told)["processes"]]


def test_a_leader(arena):
    old, moved = arena.next_leader(), arena.lab.resources()
    fault = Kill(old)
    fault.inject(arena)
    arena.client.add("while the next one takes over")
    assert arena.next_leader() is not old
    assert {name: arena.lab.resources()[name] for name in moved} == moved
    fault.heal(arena)
    arena.at_full_strength()
    arena.check()


@deep
def test_a_worker(arena):
    worker = arena.busy_worker()
    fault = Kill(worker)
    fault.inject(arena)
    arena.wait_until_moved(worker)
    fault.heal(arena)
    arena.at_full_strength()
    arena.check()


@pytest.mark.faults
@pytest.mark.parametrize("part", PARTS)
def test_a_process_of_a_worker_that_lives(arena, part):
    """No task leaves the worker for good, and none is lost."""
    worker = arena.busy_worker()
    registered = arena.registrations()
    KillPart(worker, part).inject(arena)
    eventually(arena.is_quiet, what="every task is run by a live worker")
    arena.at_full_strength()
    assert arena.registrations() == registered
    arena.check()


@pytest.mark.faults
@pytest.mark.parametrize("role", ["leader", "worker"])
def test_a_machine(arena, role):
    """Nobody is there to give up the lease: its time to live must be over."""
    node = arena.next_leader() if role == "leader" else arena.busy_worker()
    fault = LoseMachine(node)
    fault.inject(arena)
    assert node.title in arena.lab.registered(), "the lease lives on"
    if role == "leader":
        arena.client.add("while the lease of the lost one lives on")
        assert arena.next_leader() is not node
    else:
        arena.wait_until_moved(node)
    fault.heal(arena)
    arena.at_full_strength()
    arena.check()


@pytest.mark.faults
def test_a_leader_and_a_worker_at_once(arena):
    """The next leader finds tasks of a worker whose end it never saw."""
    worker = arena.busy_worker()
    fault = Kill(arena.next_leader(), worker)
    fault.inject(arena)
    arena.wait_until_moved(worker)
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
    arena.check()
