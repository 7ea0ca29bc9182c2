"""SIGSTOP for longer than the time to live: a process stands still, and wakes in another time."""

import contextlib
import time

import gevent
import pytest

from tests.faults.arena import open_arena
from tests.faults.proxy import Way
from tests.waiting import PATIENCE_S, eventually


class Pause:
    """Stops nodes; healing lets them go on where they stood."""

    def __init__(self, *nodes):
        self._nodes = nodes

    def inject(self, arena):
        for node in self._nodes:
            node.process.pause()

    def heal(self, arena):
        for node in self._nodes:
            node.process.resume()


def test_a_leader_whose_write_arrives_when_another_leads(arena):
    """A placement is on its way, surely: it waits in the link while the leader stands still.

    Nobody asks a second time, and the next leader has written nothing yet: only the fence is left
    to keep it out.
    """
    old = arena.next_leader()
    (link,) = arena.lab.links(old.title)
    link.hold(Way.OUT)
    specification = arena.lab.specification("too late")
    posting = gevent.spawn(old.call, "POST", "/crawler/resource", specification)
    eventually(lambda: link.holds(b"/resources/too late"), what="the write is held")
    fault = Pause(old)
    fault.inject(arena)
    arena.next_leader(old)
    link.heal()
    eventually(lambda: not link.holds(b"/resources/too late"), what="the write arrives")
    fault.heal(arena)
    with contextlib.suppress(OSError):
        assert posting.get()[0] != 200
    arena.at_full_strength()
    assert arena.lab.resource("too late") is None
    arena.check()


@pytest.mark.faults
def test_a_leader_that_never_learns_that_its_write_was_taken(arena):
    old = arena.next_leader()
    (link,) = arena.lab.links(old.title)
    link.hold(Way.BACK)
    posting = gevent.spawn(arena.client.add, "taken in silence")
    eventually(lambda: arena.lab.resource("taken in silence"), what="the write is done")
    fault = Pause(old)
    fault.inject(arena)
    arena.next_leader(old)
    arena.client.add("the next leader's own")
    link.heal()
    fault.heal(arena)
    posting.get()
    arena.at_full_strength()
    arena.check()


@pytest.mark.faults
def test_a_leader_in_a_stream_of_adds(arena):
    """Whatever it was doing at that moment, a few times."""
    for turn in range(3):
        old = arena.next_leader()
        fault = Pause(old)
        adding = [gevent.spawn(stream, arena, f"stream-{turn}-{n}") for n in range(4)]
        eventually(lambda t=turn: len(written(arena, f"stream-{t}-")) > 20, what="it is writing")
        fault.inject(arena)
        arena.next_leader(old)
        fault.heal(arena)
        gevent.joinall(adding, raise_error=True)
        arena.at_full_strength()
    arena.check()


@pytest.mark.faults
def test_a_worker(arena):
    """It wakes with runs that belong to others, and must end them when it looks at its clock."""
    worker = arena.busy_worker()
    fault = Pause(worker)
    fault.inject(arena)
    arena.wait_until_moved(worker)
    woken_s = time.monotonic()
    fault.heal(arena)
    arena.at_full_strength()
    # It wakes, finds out, and asks for nothing any more under the names of its old runs.
    old = {visit.run for visit in arena.visits() if visit.at_s < woken_s}
    eventually(lambda: time.monotonic() > woken_s + 1.5)
    late = {visit.run for visit in arena.visits(worker.title) if visit.at_s > woken_s + 1.0}
    assert not late & old
    arena.check(longest_overlap_s=1.0)


@pytest.mark.faults
def test_all_nodes(arena):
    """As a machine that sleeps: nobody is left to take over, and all wake at once."""
    fault = Pause(*arena.lab.nodes("master"), *arena.lab.nodes("worker"))
    fault.inject(arena)
    eventually(lambda: not arena.lab.registered(), PATIENCE_S, "all leases ended")
    fault.heal(arena)
    arena.at_full_strength()
    arena.check()


@pytest.mark.faults
def test_three_pauses_of_one_worker_blame_nothing(tmp_path, monkeypatch):
    """Nor does the only worker there is, which gets its task back each time."""
    monkeypatch.setenv("CRAWLER_SCHEDULER_POISON_AFTER", "3")
    with open_arena(tmp_path) as arena:
        arena.start(masters=1, workers=1)
        arena.begin("good")
        [worker] = arena.lab.nodes("worker")
        for _ in range(3):
            fault = Pause(worker)
            fault.inject(arena)
            eventually(
                lambda: state_of(arena, "good") == "pending", PATIENCE_S, "it has lost its lease"
            )
            fault.heal(arena)
            arena.at_full_strength()
            eventually(lambda: state_of(arena, "good") == "running", PATIENCE_S, "it runs again")
        assert "Kills" not in arena.lab.resource("good")
        told = worker.process.log_path.read_text()
        assert "this process got no processor for" in told
        assert "the hub is blocked" not in told
        arena.check()


def state_of(arena, name):
    return arena.lab.resource(name)["State"]


def stream(arena, name):
    for number in range(25):
        arena.client.add(f"{name}-{number}")


def written(arena, prefix):
    return [name for name in arena.lab.resources() if name.startswith(prefix)]
