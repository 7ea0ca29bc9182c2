"""What the shards of a task keep in Redis besides the contract: each call once, and one moment."""

import itertools
import random
from array import array
from collections import Counter
from enum import IntEnum
from functools import partial
from types import SimpleNamespace
from uuid import uuid4

import pytest

from crawler.engine.frontier import (
    redis_shared_functions,
    redis_shared_store,
    redis_shared_task,
    redis_store,
)
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_shared_store import RedisSharedStore
from crawler.engine.frontier.redis_states import RedisStates
from crawler.engine.frontier.redis_store import RedisStore
from crawler.engine.frontier.shared_store import Exchange, Offer
from crawler.engine.frontier.store import StaleRun, Step, StoreFailed, StoreLost, Waiting
from crawler.settings.redis_url import parsed
from tests.contract.losing import Losing
from tests.redis_servers import Cluster
from tests.shard_runs import ShardRun, ends_of, turns, web
from tests.waiting import eventually

PAGES = 100


class Shards:
    """The shards of one task. Each run has a store of its own, as each process has."""

    def __init__(self, redis, server=None):
        self.redis, self.name = redis, uuid4().hex
        self.server = server or RedisServer(Access(parsed(redis.url)))
        self._last = {}

    def next_run(self, number=0):
        self.kill(number)
        self._last[number] = RedisSharedStore(self.server, self.name, number)
        return self._last[number]

    def opened(self, *numbers):
        stores = [self.next_run(number) for number in numbers]
        for store in stores:
            store.open()
        return stores

    def kill(self, number):
        if number in self._last:
            self._last.pop(number)._supervisor.stop()

    def names(self):
        with self.redis.client() as client:
            return sorted(key.decode() for key in client.keys(f"*{self.name}*"))

    def key(self, name):
        return f"crawler:frontier:{{{self.name}}}:{name}"

    def end(self):
        for number in list(self._last):
            self.kill(number)
        self.server.close()


@pytest.fixture
def shards(shared_redis):
    made = Shards(shared_redis)
    yield made
    made.end()


def offer(number, site="http://h", priority=0, mark=None):
    return Offer(number if mark is None else mark, site, priority, b"[%d]" % number)


def ask(store, step=None, **exchange):
    return store.exchange(step or Step(), Exchange(**exchange))


def told(answer):
    return [int(each.record[1:-1]) for each in answer.drawn]


# -- each call once --------------------------------------------------------------------------------


@pytest.fixture
def losing(shared_redis, monkeypatch):
    from crawler.engine.frontier import redis_server

    monkeypatch.setattr(redis_server, "Backoff", lambda: SimpleNamespace(next_s=lambda: 0))
    made = Shards(shared_redis, Losing(Access(parsed(shared_redis.url)), 0.3))
    yield made
    made.end()


def test_a_call_whose_answer_was_lost_is_answered_again_and_counts_once(losing):
    chosen = random.Random(4)
    linked = web(chosen, PAGES)
    runs = [ShardRun(losing.next_run, number, linked, chosen) for number in range(3)]
    turns(chosen, runs)
    assert losing.server.lost > 15
    assert ends_of(runs) == dict.fromkeys(range(PAGES), 1)


def test_an_answer_that_was_lost_is_told_again_as_it_was(losing):
    [store] = losing.opened(0)
    answers = []
    for number in range(1, 40):
        offers = [offer(number), offer(number), offer(number + 1000, f"http://h{number}")]
        answers.append(ask(store, offers=offers, wants=2, left=3, taken=2 if number > 1 else 0))
    assert losing.server.lost > 10
    assert {answer.known for answer in answers} == {1}
    assert {answer.left for answer in answers} == {5}
    assert [sorted(told(each)) for each in answers] == [[n, n + 1000] for n in range(1, 40)]


# -- one moment ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_no_page_is_lost_when_the_server_loses_its_end(own_redis, seed):
    """Each shard is at the same earlier moment then, or notices that it was further."""
    shards = Shards(own_redis)
    chosen = random.Random(seed)
    linked = web(chosen, PAGES)
    runs = [ShardRun(shards.next_run, number, linked, chosen) for number in range(3)]
    count = itertools.count(1)

    def befalls(run):
        if next(count) in (14, 31, 60):
            eventually(own_redis.has_new_log)
            size = own_redis.log_size()
            own_redis.kill()
            own_redis.cut_log(max(0, size - chosen.randrange(25_000)))
            own_redis.start()
            for each in runs:
                each.is_over = False  # what it had done may be undone

    turns(chosen, runs, befalls)
    assert set(ends_of(runs)) == set(range(PAGES))
    assert sum(run.lost for run in runs) > 1
    shards.end()


def test_half_a_step_that_a_loss_of_power_left_in_the_log_never_counts(own_redis):
    """Redis drops it when it starts, but leaves its first commands in the log."""
    shards = Shards(own_redis)
    [a] = shards.opened(0)
    size = own_redis.log_size()
    ask(a, offers=[offer(1), offer(2)])
    own_redis.kill()
    own_redis.cut_log(size + (own_redis.log_size() - size) // 2)
    own_redis.start()
    a.close()
    [a] = shards.opened(0)
    assert ask(a).left == 0
    eventually(own_redis.has_new_log)
    own_redis.kill()
    own_redis.start()
    answer = ask(a, offers=[offer(1), offer(2)], wants=1)
    assert (answer.known, sorted(told(answer)), answer.left) == (0, [1, 2], 2)
    shards.end()


def test_a_shard_that_has_lost_no_step_goes_on_when_another_has(own_redis):
    shards = Shards(own_redis)
    a, b = shards.opened(0, 1)
    ask(a, offers=[offer(1)], wants=1)
    size = own_redis.log_size()
    ask(b, offers=[offer(2)])
    own_redis.kill()
    own_redis.cut_log(size)
    own_redis.start()
    assert told(ask(a)) == []  # what b has offered since then is forgotten
    with pytest.raises(StoreLost):
        ask(b)
    b.close()
    b.open()
    ask(b, offers=[offer(2)])
    assert told(ask(a)) == [2]
    shards.end()


def test_offers_go_ahead_of_a_very_large_step_and_none_is_lost_or_doubled(shards, monkeypatch):
    monkeypatch.setattr(redis_shared_store, "MOST_OFFERS", 10)
    a, b = shards.opened(0, 1)
    ask(a, Step(added=[Waiting(0, "http://h", 0, b"[0]")]), left=1)
    offers = [offer(number, f"http://h{number}") for number in range(1, 36)]
    again = offer(0, mark=0)
    call, calls = a._shared.exchange, []

    def cut(words):
        calls.append(words)
        if len(calls) == 5:
            raise StoreFailed("cut off before the last part")
        return call(words)

    monkeypatch.setattr(a._shared, "exchange", cut)
    with pytest.raises(StoreFailed):
        ask(a, Step(ended=[0]), offers=[*offers, again])
    answer = ask(b, wants=99)
    assert (sorted(told(answer)), answer.left) == (list(range(1, 36)), 36)
    [a] = shards.opened(0)
    assert [each.id for each in a.lease(9)] == [0]
    answer = ask(a, Step(ended=[0]), offers=[*offers, again], wants=1)
    assert (answer.known, told(answer)) == (35, [0])


# -- what an answer takes --------------------------------------------------------------------------


def test_an_answer_has_a_bound_and_small_sites_do_not_wait_for_a_large_one(shards):
    [a] = shards.opened(0)
    large = [offer(number) for number in range(1, 1001)]
    small = [offer(2000 + number, f"http://small{number}") for number in range(4)]
    first = told(ask(a, offers=[*large, *small], wants=9))
    assert len(first) == redis_shared_functions.DRAWN_AT_ONCE
    assert {2000, 2001, 2002, 2003} <= set(first)
    drawn = list(first)
    while found := told(ask(a)):
        assert len(found) <= redis_shared_functions.DRAWN_AT_ONCE
        drawn += found
    assert sorted(drawn) == [*range(1, 1001), *range(2000, 2004)]


def test_an_answer_ends_with_the_site_that_makes_it_large(shards):
    [a] = shards.opened(0)
    offers = [Offer(n + 1, f"http://h{n}", 0, b"x" * 100_000) for n in range(9)]
    ask(a, offers=offers)
    assert [len(ask(a, wants=9).drawn) for _ in range(4)] == [3, 3, 3, 0]


def test_what_has_a_higher_priority_is_drawn_first(shards):
    [a] = shards.opened(0)
    priorities = [0, -3, 7, 2**31, 0, 7, -(2**40)] * 60
    ask(a, offers=[offer(n, priority=p) for n, p in enumerate(priorities, 1)])
    answers = [ask(a, wants=1), ask(a)]
    drawn = [each for answer in answers for each in answer.drawn]
    found = [each.priority for each in drawn]
    assert found == sorted(priorities, reverse=True)
    of_seven = [int(each.record[1:-1]) for each in drawn if each.priority == 7]
    assert of_seven == sorted(of_seven)
    assert not [name for name in shards.names() if ":site:" in name or ":ranks:" in name]


def test_a_shard_that_has_ended_is_not_waited_for_with_sites(shards):
    a, b = shards.opened(0, 1)
    ask(b, wants=5)
    ask(a, offers=[offer(1)], sites=3)
    assert told(ask(a, wants=1, sites=3)) == []
    with shards.redis.client() as client:
        note = client.hget(shards.key("shared"), "s:1").split()
        note[-1] = b"1.0"  # long ago
        client.hset(shards.key("shared"), "s:1", b" ".join(note))
    assert told(ask(a, wants=1, sites=3)) == [1]


# -- what is known ---------------------------------------------------------------------------------


def test_sites_that_were_looked_at_and_not_drawn_stay_in_their_order(shards):
    [a] = shards.opened(0)
    size = redis_shared_task.MOST_BYTES // 3
    offers = [offer(n, f"http://h{n}") for n in range(1, 11)]
    offers = [each._replace(record=each.record.ljust(size)) for each in offers]
    answers = [ask(a, offers=offers, wants=9), *(ask(a, wants=9) for _ in range(3))]
    found = [int(each.record.strip()[1:-1]) for answer in answers for each in answer.drawn]
    assert found == [*range(1, 11)]


def test_redis_reads_no_list_to_find_the_owner_of_a_site(shards):
    [a] = shards.opened(0)
    ask(a, offers=[offer(n, f"http://h{n}") for n in range(1, 11)], wants=5)
    with shards.redis.client() as client:
        assert client.object("encoding", shards.key("owners")) == b"hashtable"
    assert sorted(a._shared.served_sites()) == sorted(f"http://h{n}" for n in range(1, 6))


def test_known_urls_lie_in_small_sets_of_numbers(shards):
    [a] = shards.opened(0)
    chosen = random.Random(6)
    marks = array("Q", {chosen.getrandbits(64) for _ in range(12_000)} | {1, 2**63, 2**64 - 1})
    for at in range(0, len(marks), 5000):
        a.write(Step(marks=marks[at : at + 5000]))
    names = [name for name in shards.names() if ":known:" in name]
    with shards.redis.client() as client:
        encodings = Counter(client.object("encoding", name) for name in names)
        sizes = [client.scard(name) for name in names]
    assert encodings == {b"intset": len(names)}
    assert sum(sizes) == len(marks)
    assert len(names) == -(-len(marks) // redis_shared_task.MEAN)
    known = [offer(1, mark=mark) for mark in chosen.sample(list(marks), 500)]
    new = [offer(1, mark=chosen.getrandbits(64)) for _ in range(100)]
    assert ask(a, offers=[*known, *new]).known == 500


def test_a_task_that_was_cut_off_while_it_began_to_be_shared_knows_all(shards, monkeypatch):
    alone = RedisStore(shards.server, shards.name)
    alone.open()
    alone.write(Step(marks=array("Q", range(1, 5001))))
    alone.close()
    head, calls = shards.next_run(), []
    know = head._shared.know

    def cut(marks):
        calls.append(marks)
        if len(calls) == 3:
            raise StoreFailed("cut off")
        know(marks)

    monkeypatch.setattr(head._shared, "know", cut)
    with pytest.raises(StoreFailed):
        head.open()
    [shard] = shards.opened(1)
    assert ask(shard, wants=1).left == 0  # nothing is shared yet
    [head] = shards.opened(0)
    assert ask(head, offers=[offer(n) for n in range(4000, 5002)], wants=1).known == 1001
    with shards.redis.client() as client:
        assert client.hget(shards.key("shared"), "known") == b"5001"
        assert not client.exists(shards.key("seen"))


def test_a_removal_that_was_cut_off_is_done_before_the_task_begins_anew(shards, monkeypatch):
    from crawler.engine.frontier import redis_shared_run

    [head] = shards.opened(0)
    ask(head, offers=[offer(n, f"http://h{n}", priority=n % 3) for n in range(1, 51)], wants=5)
    monkeypatch.setattr(redis_shared_run, "sweep", lambda *_: None)
    head.clear()
    monkeypatch.undo()
    assert len(shards.names()) > 40
    [head] = shards.opened(0)
    answer = ask(head, offers=[offer(1)], wants=99, has_read_start=True)
    assert (answer.known, told(answer), answer.left) == (0, [1], 1)
    head.clear()
    assert shards.names() == [shards.key("run")]  # for a day: which run was the last one


def test_a_shard_that_begins_again_while_others_take_over_is_not_disturbed(shards, monkeypatch):
    a, b = shards.opened(0, 1)
    offers = [offer(n, f"http://h{n}") for n in range(1, 21)]
    drawn = ask(a, offers=offers, wants=20).drawn
    added = [Waiting(id, each.site, 0, each.record) for id, each in enumerate(drawn)]
    ask(a, Step(added=added), taken=20, left=20)
    shards.kill(0)
    with shards.redis.client() as client:
        client.delete(shards.key("hold"))
        client.hincrbyfloat(shards.key("run"), "used_s", -60)
    monkeypatch.setattr(redis_shared_store, "MOVED_AT_ONCE", 8)
    moved, later = RedisSharedStore._moved, []

    def begins(store, *args):
        if not later:
            later.append(shards.next_run(0))
            later[0].open(2)
        return moved(store, *args)

    monkeypatch.setattr(RedisSharedStore, "_moved", begins)
    assert b.adopt() == 0
    assert len(later[0].lease(99)) == 20
    assert ask(later[0], left=20).left == 20
    with pytest.raises(StaleRun):
        ask(a)


def test_a_shard_whose_state_is_damaged_does_not_keep_the_task_from_its_end(shards, caplog):
    a, b = shards.opened(0, 1)
    held = Waiting(0, "http://h", 0, b"[1]")
    ask(b, Step(added=[held]), left=1)
    assert ask(a, has_read_start=True).left == 1
    shards.kill(1)
    with shards.redis.client() as client:
        client.delete(shards.key("1:hold"))
        client.hincrbyfloat(shards.key("1:run"), "used_s", -60)
        client.hset(shards.key("1:rows"), "0", b"something else")
    assert a.adopt() == 0
    assert "what a shard held is lost" in caplog.text
    answer = ask(a, has_read_start=True)
    assert (answer.left, answer.is_over) == (0, True)


def test_nobody_waits_for_what_a_silent_redis_would_tell_of_other_shards(own_redis):
    shards = Shards(own_redis, RedisServer(Access(parsed(own_redis.url)), wait_s=0.1))
    [a] = shards.opened(0)
    own_redis.kill()
    with pytest.raises(StoreFailed, match="Redis does not answer"):
        a.texts("counters")
    own_redis.start()
    assert a.texts("counters") == {}
    shards.end()


def test_a_text_of_another_shard_that_is_not_utf_8_is_told_as_far_as_it_can_be_read(shards):
    a, b = shards.opened(0, 1)
    ask(b, Step(state={"counters": "of b"}))
    with shards.redis.client() as client:
        client.hset(shards.key("1:state"), "counters", b"of b\xff")
    assert a.texts("counters") == {1: "of b\ufffd"}


def abandon(shards, number):
    """Let it seem that nobody has run a shard for long."""
    shards.kill(number)
    prefix = f"{number}:" if number else ""
    with shards.redis.client() as client:
        client.delete(shards.key(f"{prefix}hold"))
        client.hincrbyfloat(shards.key(f"{prefix}run"), "used_s", -60)


def test_what_a_shard_has_drawn_goes_to_others_though_its_state_is_damaged(shards):
    a, b = shards.opened(0, 1)
    offers = [offer(number, f"http://h{number % 3}") for number in range(1, 10)]
    ask(a, offers=offers, has_read_start=True)
    assert len(ask(b, wants=9).drawn) == 9  # it serves the sites now, and has taken nothing
    abandon(shards, 1)
    with shards.redis.client() as client:
        client.hset(shards.key("1:state"), "text", b"\xff")
    a.adopt()  # notices the damage, and puts the state aside
    a.adopt()
    assert sorted(told(ask(a, wants=9))) == list(range(1, 10))
    b = shards.next_run(1)
    b.open(1)
    ask(b, offers=[offer(10, "http://h1")])
    assert told(ask(a)) == [10]


def test_a_run_that_takes_over_very_much_goes_on_to_say_that_it_is_there(shards, monkeypatch):
    a, b = shards.opened(0, 1)
    drawn = ask(b, offers=[offer(n, f"http://h{n}") for n in range(1, 7)], wants=9).drawn
    added = [Waiting(id, each.site, 0, each.record) for id, each in enumerate(drawn)]
    ask(b, Step(added=added), taken=6, left=6)
    abandon(shards, 1)
    monkeypatch.setattr(redis_store, "BEAT_S", 0.01)
    monkeypatch.setattr(redis_shared_store, "MOVED_AT_ONCE", 2)
    moved, waits = RedisSharedStore._moved, []

    def slow(store, *args):
        with shards.redis.client() as client:
            client.delete(shards.key("hold"))
            waits.append(eventually(lambda: client.exists(shards.key("hold"))))
        return moved(store, *args)

    monkeypatch.setattr(RedisSharedStore, "_moved", slow)
    ask(a)
    assert a.adopt() == 6
    assert len(waits) == 3


def test_a_head_that_was_killed_before_its_first_step_begins_what_its_task_is_now(shards):
    """Its task may have other arguments by then, or another generation."""
    for epoch, about in enumerate(("toys", "books"), 1):
        shards.kill(0)
        head = shards._last[0] = RedisSharedStore(shards.server, shards.name, 0, about)
        assert head.open(epoch).is_new
    assert told(ask(head, offers=[offer(1)], wants=1)) == [1]


class Urgency(IntEnum):
    HIGH = 3


def test_any_whole_number_is_a_priority(shards):
    [a] = shards.opened(0)
    priorities = [-(10**400), True, 10**400, Urgency.HIGH, 0]
    offers = [offer(n, priority=p, mark=0) for n, p in enumerate(priorities)]
    assert told(ask(a, offers=offers, wants=1)) == [2, 3, 1, 4, 0]


@pytest.mark.faults
def test_a_cluster_keeps_a_task_with_all_its_shards_in_one_place():
    cluster = Cluster()
    try:
        cluster.start()
        server = RedisServer(Access(parsed(cluster.url)))
        chosen = random.Random(2)
        linked, name = web(chosen, PAGES), uuid4().hex
        stores = partial(RedisSharedStore, server, name)
        runs = [ShardRun(stores, number, linked, chosen) for number in range(3)]
        turns(chosen, runs)
        assert ends_of(runs) == dict.fromkeys(range(PAGES), 1)
        for run in runs:
            run.end()
        states = RedisStates(server)
        assert [(each.name, each.shards) for each in states.all()] == [(name, 3)]
        states.clear(name)
        assert not states.all()
        server.close()
    finally:
        cluster.remove()
