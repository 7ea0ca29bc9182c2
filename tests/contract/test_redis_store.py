"""What a store in Redis keeps besides the contract: one run at a time, each step once, whole."""

import random
import time
from array import array
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event

from crawler.engine.frontier import redis_requests, redis_run, redis_server, redis_store
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_store import RedisStore
from crawler.engine.frontier.store import (
    StaleRun,
    Step,
    StoreDamaged,
    StoreFailed,
    StoreInUse,
    Waiting,
)
from crawler.settings.redis_url import parsed
from tests.contract.losing import Losing
from tests.redis_servers import Place
from tests.waiting import PATIENCE_S


@pytest.fixture
def place(shared_redis):
    made = Place(shared_redis)
    yield made
    made.server.close()


def waiting(id, record=b'["x"]'):
    return Waiting(id, "http://h", 0, record)


def marks(*values):
    return array("Q", values)


# -- one run at a time -----------------------------------------------------------------------------


def test_a_run_that_a_later_one_has_replaced_can_change_nothing(place):
    earlier, later = place.again(), place.again()
    earlier.open(1)
    earlier.write(Step(added=[waiting(0)]))
    later.open(2)
    for change in (lambda: earlier.write(Step(added=[waiting(1)], ended=[0])), earlier.clear):
        with pytest.raises(StaleRun):
            change()
    earlier.close(is_clean=True)
    later.close()
    found, requests = place.left()
    assert (requests, found.is_clean, found.next_id) == ([waiting(0)], False, 1)


def test_a_run_waits_for_the_orderly_end_of_the_one_before(place):
    earlier, later = place.again(), place.again()
    earlier.open(1)
    begun = gevent.spawn(later.open, 2, 30.0)
    gevent.sleep(0.1)
    assert not begun.ready()
    earlier.write(Step(added=[waiting(0)]))
    earlier.close(is_clean=True)
    found = begun.get(timeout=PATIENCE_S)
    assert (found.waiting, found.is_clean) == (1, True)
    later.close()


def test_a_run_that_does_not_end_in_time_is_replaced(place):
    earlier, later = place.again(), place.again()
    earlier.open(1)
    later.open(2, patience_s=0.2)
    with pytest.raises(StaleRun):
        earlier.write(Step())
    earlier.close()
    later.close()


def test_a_run_that_was_killed_is_waited_for_no_longer_than_it_holds(place, monkeypatch):
    monkeypatch.setattr(redis_run, "HOLD_S", 0.3)
    killed = place.again()
    killed.open(1)
    killed._supervisor.stop()
    began_s = time.monotonic()
    store = place.again()
    store.open(2, patience_s=600.0)
    assert time.monotonic() - began_s < 300.0
    store.close()


def test_a_store_that_does_not_take_over_refuses_what_is_in_use_and_waits_for_a_killed_run(
    place, monkeypatch
):
    monkeypatch.setattr(redis_run, "HOLD_S", 0.5)
    monkeypatch.setattr(redis_store, "BEAT_S", 0.05)
    first, second = place.again(), RedisStore(place.server, place.name, takes_over=False)
    first.open()
    with pytest.raises(StoreInUse, match="is in use by another run"):
        second.open()
    first.write(Step(added=[waiting(0)]))
    first._supervisor.stop()  # it is killed
    assert second.open().waiting == 1
    second.close()


def test_a_run_without_news_holds_on(place, monkeypatch):
    monkeypatch.setattr(redis_run, "HOLD_S", 0.5)
    monkeypatch.setattr(redis_store, "BEAT_S", 0.05)
    idle, later = place.again(), place.again()
    idle.open(1)
    begun = gevent.spawn(later.open, 2, 1.5)
    gevent.sleep(1.0)
    assert not begun.ready()
    idle.close()
    begun.get(timeout=PATIENCE_S)
    later.close()


def test_a_run_that_still_reads_what_is_there_holds_on(place, monkeypatch):
    store = place.again()
    store.open()
    store.sending(7)
    store.write(Step(marks=marks(*range(3000)), sent=1, in_flight=[7]))
    store.close()
    monkeypatch.setattr(redis_run, "HOLD_S", 0.4)
    monkeypatch.setattr(redis_store, "BEAT_S", 0.05)
    reads = Event()

    class Slow(RedisStore):
        def _seen(self, count):
            reads.wait()
            return super()._seen(count)

    slow = Slow(place.server, place.name)
    opening = gevent.spawn(slow.open)
    gevent.sleep(1.0)
    with place.redis.client() as client:
        assert client.exists(place.key("hold"))
    reads.set()
    found = opening.get(timeout=PATIENCE_S)
    assert (len(found.seen), found.sent, found.asked) == (3000, 1, [7])
    slow.close()


def test_a_run_that_is_replaced_while_it_has_no_news_is_told_by_the_next_step(place, monkeypatch):
    monkeypatch.setattr(redis_store, "BEAT_S", 0.02)
    earlier, later = place.again(), place.again()
    earlier.open(1)
    later.open(2)
    gevent.sleep(0.2)
    with pytest.raises(StaleRun):
        earlier.write(Step())
    earlier.close()
    later.write(Step())
    later.close()


# -- each step once, and whole ---------------------------------------------------------------------


def test_a_call_whose_answer_was_lost_is_carried_out_once(place, monkeypatch):
    monkeypatch.setattr(redis_server, "Backoff", lambda: SimpleNamespace(next_s=lambda: 0))
    losing = Losing(Access(parsed(place.redis.url)), 0.4)
    for turn in range(4):
        store = RedisStore(losing, place.name)
        found = store.open()
        assert found.epoch == turn + 1
        assert (found.is_new, found.waiting) == (turn == 0, 10 * turn)
        for number in range(10):
            id = 10 * turn + number
            store.write(Step(added=[waiting(id)], marks=marks(id + 1), starts=marks(7)))
        store.close(is_clean=True)
    assert losing.lost > 10
    found, requests = place.left()
    assert (len(requests), len(found.seen), len(found.starts)) == (40, 40, 40)
    losing.close()


def test_a_large_step_goes_in_parts_and_counts_when_the_last_one_is_there(place, monkeypatch):
    chosen = random.Random(3)
    added = [waiting(id, b'["%s"]' % chosen.randbytes(300).hex().encode()) for id in range(5000)]
    step = Step(added=added, marks=marks(*range(1, 100_001)), state={"cookies": "x" * 3_000_000})
    store = place.again()
    store.open()
    store.write(Step(added=[], marks=marks(2**63), state={"cookies": "before"}))
    whole, sizes = store._run.write, []

    def cut(words, **options):
        sizes.append(sum(len(word) for word in words if isinstance(word, bytes | str)))
        if any(word == "cookies" for word in words):
            raise StoreFailed("cut off before the last part")
        whole(words, **options)

    monkeypatch.setattr(store._run, "write", cut)
    with pytest.raises(StoreFailed):
        store.write(step)
    monkeypatch.undo()
    assert len(sizes) > 2
    assert max(sizes[:-1]) < 1_200_000
    store.close()
    found, requests = place.left()
    assert (len(found.seen), found.state, requests) == (1, {"cookies": "before"}, [])
    with place.redis.client() as client:
        assert not client.exists(place.key("rows")), "the parts are gone"
    store = place.again()
    store.open()
    store.write(step)
    store.close()
    found, requests = place.left()
    assert len(found.seen) == 100_001
    assert requests == added


def test_rows_of_which_little_is_left_are_written_anew(place, monkeypatch):
    monkeypatch.setattr(redis_requests, "THINNED_AT_ONCE", 2)
    store = place.again()
    store.open()
    chosen = random.Random(5)
    added = [waiting(id, chosen.randbytes(100).hex().encode()) for id in range(1280)]
    store.write(Step(added=added))
    key = place.key("rows")
    with place.redis.client() as client:
        full = client.memory_usage(key, samples=0)
        store.write(Step(ended=[id for id in range(1280) if id % 8]))
        store.write(Step())
        assert client.memory_usage(key, samples=0) < full / 4
    store.close()
    assert place.left()[1] == added[::8]


def test_requests_that_were_sent_are_known_before_the_next_step(place, monkeypatch):
    monkeypatch.setattr(redis_store, "ASKED_S", 0.0)
    killed = place.again()
    killed.open()
    killed.sending(1)
    killed.sending(2)
    killed.write(Step(sent=1, in_flight=[1]))
    killed.sending(3)
    gevent.sleep(0.2)
    killed._supervisor.stop()
    found, _ = place.left()
    assert (sorted(found.asked), found.sent) == ([1, 2, 3], 3)
    assert found.idle_s < 10.0


def test_nothing_is_left_when_the_crawl_is_done(place):
    store = place.again()
    store.open()
    store.write(Step(added=[waiting(0)], marks=marks(1), starts=marks(1), state={"a": "1"}))
    assert place.names()
    store.clear()
    assert not place.names()


def test_a_name_may_have_any_characters(shared_redis):
    server = RedisServer(Access(parsed(shared_redis.url)))
    for name in ("a}b{c", "}", "ä b/1", "{}"):
        store = RedisStore(server, name)
        store.open()
        store.write(Step(added=[waiting(0)]))
        store.close()
        store = RedisStore(server, name)
        assert store.open().waiting == 1
        store.clear()
    server.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda client, key: client.delete(key("rows")),
        lambda client, key: client.hset(key("rows"), "0", b"x" * 50),
        lambda client, key: client.delete(key("seen")),
        lambda client, key: client.hset(key("run"), "now", "{"),
        lambda client, key: client.delete(key("live")),
    ],
    ids=["rows", "row", "seen", "run", "live"],
)
def test_what_was_damaged_is_put_aside_and_named(place, damage):
    store = place.again()
    store.open()
    store.write(Step(added=[waiting(0), waiting(1)], marks=marks(1, 2)))
    store.close()
    with place.redis.client() as client:
        damage(client, place.key)
    with pytest.raises(StoreDamaged, match=r"damaged.*renamed to crawler:frontier:.*:damaged-"):
        place.left()
    aside = [key for key in place.names() if ":damaged-" in key]
    with place.redis.client() as client:
        assert aside
        assert all(client.ttl(key) > 0 for key in aside), "nothing stays for ever"
    assert place.left()[0].is_new


def test_a_large_state_holds_the_hub_for_moments_only(place):
    store = place.again()
    known = store.open().seen
    chosen = random.Random(1)
    for mark in array("Q", chosen.randbytes(8 * 300_000)):
        known.add(mark or 1)
    store.write(Step(marks=known.take_news()))
    store.close()
    late_s = [0.0]

    def look():
        while True:
            began_s = time.thread_time()
            gevent.sleep(0.001)
            late_s.append(time.thread_time() - began_s)

    looking = gevent.spawn(look)
    store = place.again()
    assert len(store.open().seen) == 300_000
    looking.kill()
    store.close()
    assert max(late_s) < 0.05


def test_a_run_whose_last_call_was_cut_off_lets_go_all_the_same(place, monkeypatch):
    monkeypatch.setattr(redis_run, "HOLD_S", 600.0)
    store, later = place.again(), place.again()
    store.open(1)
    call = place.server.call

    def cut_off(*args, **options):
        call(*args, **options)
        raise gevent.GreenletExit

    with monkeypatch.context() as patched:
        patched.setattr(place.server, "call", cut_off)
        with pytest.raises(gevent.GreenletExit):
            store.write(Step(added=[waiting(0)]))  # Redis has taken it
    store.close()
    began_s = time.monotonic()
    assert later.open(2, patience_s=600.0).waiting == 1
    assert time.monotonic() - began_s < redis_run.HOLD_S / 2
    later.close()
