"""What every store of the frontier keeps: whole steps, in order, for one run at a time."""

import random
from array import array
from uuid import uuid4

import gevent
import pytest

from crawler.clock import ManualClock
from crawler.engine.frontier import redis_store, sqlite_journal, sqlite_store
from crawler.engine.frontier.memory_store import MemoryStore
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_store import RedisStore
from crawler.engine.frontier.sqlite_store import SqliteStore
from crawler.engine.frontier.store import Rest, StaleRun, Step, StoreFailed, StoreInUse, Waiting
from crawler.settings.redis_url import parsed
from tests.waiting import PATIENCE_S, eventually


class InMemory:
    def __init__(self, folder, clock):
        self.store = MemoryStore(clock)

    def again(self):
        return self.store


class InFiles:
    """Each run has a store of its own, as each process has."""

    def __init__(self, folder, clock):
        self._folder, self._clock = folder / "kept", clock

    def again(self):
        return SqliteStore(self._folder, self._clock.monotonic, self._clock)


class InRedis:
    """Each run has a store of its own, as each process has."""

    def __init__(self, url, clock):
        self.server = RedisServer(Access(parsed(url)))
        self._name, self._clock = uuid4().hex, clock

    def again(self):
        return RedisStore(self.server, self._name, self._clock.monotonic, self._clock)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture(params=[InMemory, InFiles, InRedis], ids=["memory", "sqlite", "redis"])
def place(request, tmp_path, clock):
    if request.param is not InRedis:
        yield request.param(tmp_path, clock)
        return
    made = InRedis(request.getfixturevalue("shared_redis").url, clock)
    yield made
    made.server.close()


def waiting(id, site="http://h", priority=0, wait_s=0.0):
    return Waiting(id, site, priority, b'["%d"]' % id, wait_s)


def marks(*values):
    return array("Q", values)


def ids(found):
    return sorted(request.id for request in found)


def run(place, *steps, is_clean=False, epoch=None):
    """A run that takes everything, writes these steps, and ends."""
    store = place.again()
    found = store.open(epoch)
    store.lease(1_000_000)
    for step in steps:
        store.write(step)
    store.close(is_clean)
    return found


def left(place):
    """What the next run finds, and what it leases."""
    store = place.again()
    found = store.open()
    requests = store.lease(1_000_000)
    store.close()
    return found, requests


def test_what_was_added_and_has_no_end_comes_back_as_it_was(place):
    added = [waiting(0), waiting(1, "https://other:8443", 7), waiting(2)]
    run(place, Step(added=added), Step(ended=[0]))
    found, requests = left(place)
    assert sorted(requests) == added[1:]
    assert (found.waiting, found.next_id, found.is_new) == (2, 3, False)


def test_a_new_place_is_empty(place):
    found, requests = left(place)
    assert (found.is_new, found.is_clean, found.waiting, found.next_id) == (True, True, 0, 0)
    assert (len(found.seen), list(found.starts), found.rests, found.state) == (0, [], {}, {})
    assert not requests


def test_ids_far_apart_and_near_each_other_end_alone(place):
    added = [waiting(id) for id in (0, 1, 255, 256, 257, 1000, 5000)]
    run(place, Step(added=added), Step(ended=[1, 256]), Step(added=[waiting(5001)], ended=[5000]))
    assert ids(left(place)[1]) == [0, 255, 257, 1000, 5001]


def test_an_unknown_end_and_a_second_end_change_nothing(place):
    run(place, Step(added=[waiting(0), waiting(2)]), Step(ended=[1, 2, 2, 77]), Step(ended=[2]))
    assert ids(left(place)[1]) == [0]


def test_a_request_that_came_back_replaces_what_it_was(place, clock):
    again = Waiting(1, "http://elsewhere", 0, b'["moved"]')
    run(place, Step(added=[waiting(0), waiting(1)]), Step(changed=[again]))
    assert sorted(left(place)[1]) == [waiting(0), again]
    run(place, Step(ended=[1]))
    assert ids(left(place)[1]) == [0]


def test_a_retry_waits_for_what_is_left_of_its_pause(place, clock):
    run(place, Step(added=[waiting(0)]), Step(changed=[waiting(0, wait_s=10.0)]))
    clock.advance(4.0)
    [request] = left(place)[1]
    assert request.wait_s == pytest.approx(6.0)
    clock.advance(100.0)
    [request] = left(place)[1]
    assert request.wait_s == 0.0


def test_no_request_is_leased_twice_in_a_run(place):
    run(place, Step(added=[waiting(id) for id in range(1000)]))
    store = place.again()
    store.open()
    first, second = store.lease(300), store.lease(300)
    rest = store.lease(1_000_000)
    assert (len(first), len(second), len(rest)) == (300, 300, 400)
    assert ids([*first, *second, *rest]) == list(range(1000))
    assert not store.lease(1)
    store.close()


def test_what_a_run_holds_when_it_ends_is_free_for_the_next(place):
    run(place, Step(added=[waiting(0), waiting(1)]))
    for _ in range(2):  # the run before leased them and was cut off
        assert ids(left(place)[1]) == [0, 1]


def test_a_tally_counts_what_has_no_end_and_holds_nothing(place):
    added = [waiting(id) for id in range(300)]
    run(place, Step(added=added), Step(ended=[1, 7]), Step(changed=[waiting(4, wait_s=9.0)]))
    store = place.again()
    store.open()
    assert store.tally(len) == {5: 8, 6: 90, 7: 200}  # ["0"] has five bytes
    assert len(store.lease(1_000)) == 298
    store.close()


def test_what_is_given_back_is_leased_again_and_nothing_else(place):
    run(place, Step(added=[waiting(0), waiting(1)], changed=[waiting(9)]))
    store = place.again()
    store.open()
    store.lease(10)
    store.write(Step(added=[waiting(10), waiting(11)]))
    assert not store.lease(10)  # it holds what it adds
    store.write(Step(given_back=[1, 9, 11]))
    assert ids(store.lease(10)) == [1, 9, 11]
    assert not store.lease(10)
    store.close()


def test_known_urls_and_start_requests_come_back(place):
    run(place, Step(marks=marks(1, 2**64 - 1)), Step(marks=marks(77), starts=marks(5, 6)))
    run(place, Step(starts=marks(5)))
    found, _ = left(place)
    assert len(found.seen) == 3
    assert all(mark in found.seen for mark in (1, 2**64 - 1, 77))
    assert not found.seen.add(77)
    assert list(found.seen.take_news()) == []
    assert list(found.starts) == [5, 6, 5]


def test_a_value_is_replaced_and_the_others_stay(place):
    run(place, Step(state={"counts": "1", "cookies": "ä\n"}))
    run(place, Step(state={"counts": "2"}))
    assert left(place)[0].state == {"counts": "2", "cookies": "ä\n"}


def test_a_host_rests_for_what_is_left(place, clock):
    rests = {"a": Rest(10.0, 4.0, False), "b": Rest(1.0, 0.0, True)}
    run(place, Step(rests=rests), Step())
    clock.advance(3.0)
    found, _ = left(place)
    assert found.rests == {"a": Rest(pytest.approx(7.0), 4.0, False)}
    run(place, Step(rests={}))
    assert left(place)[0].rests == {}


def test_how_long_nothing_was_sent_is_told(place, clock):
    clock.advance(1000.0)
    store = place.again()
    assert store.open().idle_s == float("inf")
    store.sending(5)
    store.close()
    clock.advance(3.0)
    assert left(place)[0].idle_s == pytest.approx(3.0)


def test_each_run_has_a_later_epoch(place):
    assert [run(place).epoch, run(place).epoch, run(place, epoch=7).epoch] == [1, 2, 7]
    assert run(place).epoch == 8


def test_a_run_with_an_epoch_that_is_over_is_refused_and_changes_nothing(place):
    run(place, Step(added=[waiting(0)]), epoch=5, is_clean=True)
    for epoch in (4, 5):
        with pytest.raises(StaleRun):
            place.again().open(epoch)
    found, requests = left(place)
    assert (found.epoch, found.is_clean, ids(requests)) == (6, True, [0])


def test_a_run_that_has_ended_writes_nothing_more(place):
    store = place.again()
    store.open()
    store.close()
    with pytest.raises(StaleRun):
        store.write(Step(added=[waiting(0)]))
    assert not left(place)[1]


def test_it_tells_whether_the_last_run_ended_in_order(place):
    run(place, Step(added=[waiting(0)]), is_clean=True)
    assert run(place, is_clean=True).is_clean  # it did nothing
    for _ in range(2):
        assert left(place)[0].is_clean  # who has written nothing has changed nothing
    run(place, Step(added=[waiting(1)]))
    assert not left(place)[0].is_clean


def test_nothing_is_left_after_a_clearing(place):
    store = place.again()
    store.open()
    store.write(Step(marks=marks(1), added=[waiting(0)], starts=marks(1), state={"a": "1"}))
    store.clear()
    found, requests = left(place)
    assert (found.is_new, found.waiting, len(found.seen), found.state) == (True, 0, 0, {})
    assert not requests


def test_many_steps_are_folded_and_mean_the_same(place, monkeypatch):
    monkeypatch.setattr(sqlite_journal, "FOLD_STEPS", 5)
    monkeypatch.setattr(sqlite_store, "SNAPSHOT_MARKS", 40)
    monkeypatch.setattr(sqlite_store, "CLEAN_MARKS", 10)
    alive, known = set(), set()
    for turn in range(8):
        store = place.again()
        found = store.open()
        assert ids(store.lease(10_000)) == sorted(alive)
        assert len(found.seen) == len(known)
        assert all(mark in found.seen for mark in known)
        assert len(found.starts) == turn * 23
        for step in range(23):
            first = found.next_id + 10 * step
            new = range(first, first + 10)
            new_marks = [1 + id * 3 for id in new]
            for mark in new_marks:
                found.seen.add(mark)
            over = sorted(id for id in alive if id % 7 == step % 7)
            back = sorted(alive - set(over))[:2]
            store.write(
                Step(
                    marks=marks(*new_marks),
                    added=[waiting(id) for id in new],
                    ended=over,
                    changed=[waiting(id) for id in back],
                    starts=marks(step),
                )
            )
            alive = alive.union(new).difference(over)
            known.update(new_marks)
        store.close(is_clean=turn % 2 == 0)
    assert known


def opening(store, epoch, patience_s):
    """A greenlet that opens a store for a later run. It returns what it found, or the error."""

    def opened():
        try:
            return store.open(epoch, patience_s)
        except StoreFailed as error:
            return error

    return gevent.spawn(opened)


def pass_time(clock, duration_s, until=lambda: False):
    for _ in range(int(duration_s * 10)):
        if until():
            return
        clock.advance(0.1)
        gevent.sleep(0.002)  # a native thread may have something to do


def test_a_run_waits_until_the_one_before_lets_go(place, clock):
    first = place.again()
    first.open(3)
    second = place.again()
    later = opening(second, 4, 20.0)
    pass_time(clock, 5.0)
    assert not later.ready()
    first.write(Step(added=[waiting(0)], state={"last": "word"}))
    first.close(is_clean=True)
    pass_time(clock, 14.0, later.ready)
    found = later.get(timeout=PATIENCE_S)
    second.close()
    assert (found.epoch, found.waiting, found.is_clean) == (4, 1, True)
    assert found.state == {"last": "word"}


def test_a_run_that_does_not_let_go_is_fenced_or_keeps_its_store(place, clock):
    """The process of the first may be stopped, and goes on some time."""
    first, second = place.again(), place.again()
    if first is second:
        pytest.skip("in memory there is one object for all runs")
    first.open(3)
    later = opening(second, 4, 2.0)
    pass_time(clock, 5.0, later.ready)
    if isinstance(later.get(timeout=PATIENCE_S), StoreInUse):
        first.write(Step(added=[waiting(0)]))
        first.close()
        assert left(place)[0].waiting == 1
        return
    with pytest.raises(StaleRun):
        first.write(Step(added=[waiting(0)]))
    first.close()
    second.write(Step(added=[waiting(1)]))
    second.close()
    assert ids(left(place)[1]) == [1]


def test_how_much_room_it_takes_is_told(place, monkeypatch):
    monkeypatch.setattr(redis_store, "SIZE_S", 0.0)
    monkeypatch.setattr(redis_store, "BEAT_S", 0.01)
    store = place.again()
    store.open()
    marks = array("Q", random.Random(1).randbytes(8 * 20_000))
    store.write(Step(marks=marks))
    if isinstance(place, InMemory):
        assert store.size() == 0
    else:
        eventually(lambda: 160_000 <= store.size() < 1_000_000)
    store.clear()
    assert store.size() == 0
