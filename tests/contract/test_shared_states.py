"""The states of all tasks in one Redis, as a worker keeps them."""

from array import array
from uuid import uuid4

import pytest

from crawler.clock import ManualClock
from crawler.engine.frontier.redis_run import keys_of
from crawler.engine.frontier.redis_server import Access, RedisServer
from crawler.engine.frontier.redis_states import LOOKED, RedisStates
from crawler.engine.frontier.store import Step
from crawler.local.ports import free_ports
from crawler.model.records import Resource, Spec
from crawler.node.worker.shared_states import SharedStates
from crawler.settings.redis_url import parsed

DAY_S = 86_400.0


@pytest.fixture
def place(shared_redis):
    server = RedisServer(Access(parsed(shared_redis.url)))
    with shared_redis.client() as client:
        client.delete(LOOKED)
    yield RedisStates(server)
    server.close()


@pytest.fixture
def prefix():
    return uuid4().hex


def written(place, shared_redis, name, unused_s):
    """A state that nobody has used for so long."""
    store = place(name)
    store.open()
    store.close()
    with shared_redis.client() as client:
        client.hincrbyfloat(keys_of(name)["run"], "used_s", -unused_s)


class WithRun:
    """States of which one is opened by a run just before it is removed."""

    def __init__(self, place, name):
        self._place, self._name = place, name
        self.store = place(name)

    def all(self):
        return self._place.all(self._name[:32])

    def claims_look(self, for_s):
        return True

    def clear(self, name):
        if name == self._name:
            self.store.open()
        self._place.clear(name)


def test_a_state_whose_run_was_killed_before_it_wrote_anything_is_a_new_one(place, prefix):
    """Else nobody would ever notice that the task has other arguments by now."""
    specs = [Spec(prefix, parameters={"shelf": name}) for name in ("books", "toys")]
    books, toys = (Resource(spec, id="77", epoch=epoch) for epoch, spec in enumerate(specs, 2))
    states = SharedStates(place, ManualClock())
    killed = place(f"{prefix}/77")
    killed.open(1)
    killed.close()
    kept = states.open(books)
    assert kept.found.is_new
    kept.store.write(Step(marks=array("Q", [1])))
    kept.store.close()
    kept = states.open(toys)
    assert len(kept.found.seen) == 0
    kept.store.clear()


def test_what_nobody_has_used_for_long_is_removed(place, shared_redis, prefix):
    for name, unused_s in ((f"{prefix}/old", 8 * DAY_S), (f"{prefix}/new", 6 * DAY_S)):
        written(place, shared_redis, name, unused_s)
    SharedStates(place, ManualClock()).drop_unused(7 * DAY_S)
    assert [state.name for state in place.all(prefix)] == [f"{prefix}/new"]


def test_only_one_worker_an_hour_looks_for_what_nobody_uses(place, shared_redis, prefix):
    for name in ("first", "second"):
        written(place, shared_redis, f"{prefix}/{name}", 8 * DAY_S)
        SharedStates(place, ManualClock()).drop_unused(7 * DAY_S)
    assert [state.name for state in place.all(prefix)] == [f"{prefix}/second"]


def test_a_run_that_begins_meanwhile_keeps_its_state_and_the_others_are_removed(
    place, shared_redis, prefix
):
    for name in "abc":
        written(place, shared_redis, f"{prefix}/{name}", 8 * DAY_S)
    with_run = WithRun(place, f"{prefix}/b")
    SharedStates(with_run, ManualClock()).drop_unused(7 * DAY_S)
    assert [state.name for state in place.all(prefix)] == [f"{prefix}/b"]
    with_run.store.close(is_clean=True)


def test_a_redis_that_does_not_answer_is_asked_again_next_time(caplog):
    [port] = free_ports(1)
    server = RedisServer(Access(parsed(f"redis://127.0.0.1:{port}")), wait_s=0.0)
    SharedStates(RedisStates(server), ManualClock()).drop_unused(7 * DAY_S)
    assert "states that no run uses are not removed" in caplog.text
    server.close()
