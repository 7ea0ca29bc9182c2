"""What every store for the shards of one task keeps: each request is with one shard, and once."""

import random
from array import array
from uuid import uuid4

import pytest

from crawler.clock import ManualClock
from crawler.engine.frontier.memory_shared_store import MemoryTask
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_run import keys_of
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_shared_store import RedisSharedStore
from crawler.engine.frontier.shared_store import ADOPT_S, Exchange, Offer
from crawler.engine.frontier.store import StaleRun, Step, Waiting
from crawler.model.records import Counts
from crawler.settings.redis_url import parsed
from tests.shard_runs import ShardRun, ends_of, turns, web


class InMemory:
    def __init__(self):
        self._clock = ManualClock()
        self._task = MemoryTask(self._clock)

    def shard(self, number):
        return self._task.shard(number)

    next_run = shard

    def wait(self, seconds):
        """Let time pass in which no run says anything."""
        self._clock.advance(seconds)


class InRedis:
    """Its clock cannot be moved, so what it has noted becomes older."""

    def __init__(self, url):
        self.server = RedisServer(Access(parsed(url)))
        self._name, self._clock = uuid4().hex, ManualClock()
        self._shards = {}

    def shard(self, number):
        now_s = self._clock.monotonic
        if number not in self._shards:
            store = RedisSharedStore(self.server, self._name, number, "it", now_s, self._clock)
            self._shards[number] = store
        return self._shards[number]

    def next_run(self, number):
        """The store of another process. The one before is killed."""
        if number in self._shards:
            self._shards.pop(number)._supervisor.stop()
        return self.shard(number)

    def wait(self, seconds):
        self._clock.advance(seconds)
        for number, shard in self._shards.items():
            shard._supervisor.stop()
            keys = keys_of(self._name, number)
            self.server.ask("DEL", keys["hold"])
            self.server.ask("HINCRBYFLOAT", keys["run"], "used_s", -seconds)


@pytest.fixture(params=["memory", "redis"])
def place(request):
    if request.param == "memory":
        yield InMemory()
        return
    made = InRedis(request.getfixturevalue("shared_redis").url)
    yield made
    for shard in made._shards.values():
        shard._supervisor.stop()
    made.server.close()


def opened(place, *numbers):
    shards = [place.shard(number) for number in numbers]
    for shard in shards:
        shard.open()
    return shards


def offer(number, site="http://h", mark=None, wait_s=0.0):
    return Offer(number + 1 if mark is None else mark, site, 0, b"[%d]" % number, wait_s)


def told(answer):
    return [int(each.record[1:-1]) for each in answer.drawn]


def ask(shard, step=None, **exchange):
    return shard.exchange(step or Step(), Exchange(**exchange))


def held(shard, *numbers, site="http://h", **exchange):
    """A step that holds what was drawn."""
    added = [Waiting(number, site, 0, b"[%d]" % number) for number in numbers]
    return ask(shard, Step(added=added), taken=len(numbers), **exchange)


def test_a_url_is_taken_once_whoever_offers_it(place):
    a, b = opened(place, 0, 1)
    assert ask(a, offers=[offer(1), offer(2), offer(1)]).known == 1
    answer = ask(b, offers=[offer(2), offer(3)], wants=1)
    assert (answer.known, sorted(told(answer))) == (1, [1, 2, 3])
    assert ask(a, wants=9).drawn == []


def test_what_is_wanted_in_any_case_is_taken_each_time(place):
    [a] = opened(place, 0)
    answer = ask(a, offers=[offer(1), offer(1, mark=0), offer(1, mark=0)], wants=1)
    assert (answer.known, told(answer)) == (0, [1, 1, 1])


def test_what_is_offered_ahead_of_its_step_is_there_once_though_the_step_never_comes(place):
    first, other = opened(place, 0, 1)
    ask(first, Step(added=[Waiting(0, "http://h", 0, b"[0]")]), left=1)
    assert first.offer([offer(1), offer(2)]) == 0
    assert first.offer([]) == 0
    answer = ask(other, wants=1)
    assert (sorted(told(answer)), answer.left) == ([1, 2], 3)
    place.next_run(0)
    [again] = opened(place, 0)
    assert again.offer([offer(1), offer(2), offer(3)]) == 2
    assert told(held(other, 1, 2)) == [3]
    again.close()
    with pytest.raises(StaleRun):
        again.offer([offer(4)])


def test_marks_of_a_step_are_known_to_all(place):
    a, b = opened(place, 0, 1)
    a.write(Step(marks=array("Q", [8])))
    ask(a, Step(marks=array("Q", [7])))
    assert ask(b, offers=[offer(6), offer(5)]).known == 1


def test_what_is_offered_for_a_site_goes_to_the_shard_that_serves_it(place):
    a, b = opened(place, 0, 1)
    assert told(ask(a, offers=[offer(1)], wants=1)) == [1]
    assert told(ask(b, offers=[offer(2), offer(3, "http://other")], wants=5)) == [3]
    assert told(ask(a)) == [2]


def test_a_shard_draws_no_more_sites_than_it_wants(place):
    a, b = opened(place, 0, 1)
    offers = [offer(number, f"http://h{number % 4}") for number in range(8)]
    assert sorted(told(ask(a, offers=offers, wants=1))) == [0, 4]
    assert sorted(told(ask(b, wants=2))) == [1, 2, 5, 6]
    assert told(ask(a)) == []
    assert sorted(told(ask(a, wants=1))) == [3, 7]


def test_what_was_drawn_comes_again_in_the_next_run_unless_a_step_holds_it(place):
    [a] = opened(place, 0)
    offers = [offer(number) for number in range(3)]
    assert told(ask(a, offers=offers, wants=1)) == [0, 1, 2]
    assert ask(a).drawn == []
    held(a, 0)
    a.close()
    a.open()
    assert [each.id for each in a.lease(9)] == [0]
    assert told(ask(a)) == [1, 2]


def test_a_site_that_was_let_go_is_served_by_whoever_wants_it(place):
    a, b = opened(place, 0, 1)
    ask(a, offers=[offer(1)], wants=1)
    held(a, 1)
    ask(a, Step(ended=[1]), let_go=["http://h"])
    assert told(ask(b, offers=[offer(2)], wants=1)) == [2]
    ask(a, offers=[offer(3)])
    assert told(ask(b)) == [3]


def test_what_lies_here_of_a_site_that_was_let_go_is_not_lost(place):
    a, b = opened(place, 0, 1)
    ask(a, offers=[offer(1)], wants=1)
    held(a, 1)
    ask(b, offers=[offer(2)])
    from_a = told(ask(a, Step(ended=[1]), let_go=["http://h"]))
    assert sorted(from_a + told(ask(b, wants=1))) == [2]


def test_a_shard_with_more_sites_than_another_that_wants_some_is_asked_for_them(place):
    a, b = opened(place, 0, 1)
    offers = [offer(number, f"http://h{number}") for number in range(6)]
    ask(a, offers=offers, wants=6, sites=0)
    held(a, *range(6), sites=6, left=6)
    assert ask(a, sites=6, left=6).spare == 0
    ask(b, wants=2)
    assert ask(a, sites=6, left=6).spare == 2
    back = [offer(number, f"http://h{number}", mark=0) for number in (4, 5)]
    step = Step(ended=[4, 5])
    answer = ask(a, step, offers=back, let_go=["http://h4", "http://h5"], sites=4, left=4, wants=9)
    assert answer.drawn == []  # they are for the shard that has none
    assert sorted(told(ask(b, wants=2))) == [4, 5]


def test_nobody_gives_its_only_site_back(place):
    a, b = opened(place, 0, 1)
    ask(a, offers=[offer(1)], wants=1)
    held(a, 1, sites=1, left=1)
    ask(b, wants=5)
    assert ask(a, sites=1, left=1).spare == 0


def test_the_task_is_over_when_nothing_is_left_anywhere(place):
    a, b = opened(place, 0, 1)
    answer = ask(b)
    assert (answer.is_over, answer.left) == (False, 0)  # the start was not read
    answer = ask(a, offers=[offer(1)], has_read_start=True)
    assert (answer.is_over, answer.left) == (False, 1)  # in the pool
    answer = ask(b, wants=1)
    assert (answer.is_over, answer.left) == (False, 1)  # drawn, and in no step
    assert not held(b, 1, left=1).is_over
    assert not ask(a, has_read_start=True).is_over  # the other one has it
    answer = ask(b, Step(ended=[1]), offers=[offer(2, "http://new")])
    assert (answer.is_over, answer.left) == (False, 1)
    assert told(ask(a, wants=1, has_read_start=True)) == [2]
    assert not held(a, 2, left=1, has_read_start=True).is_over
    assert ask(a, Step(ended=[2]), has_read_start=True).is_over
    assert ask(b).is_over
    a.close()
    a.open()
    assert ask(a).is_over  # and stays so


def test_the_counts_of_the_others_are_told(place):
    a, b, c = opened(place, 0, 1, 2)
    ask(a, counts=Counts(1, 2, 3, 4.0))
    ask(b, counts=Counts(10, 20, 30, 40.0))
    answer = ask(c, counts=Counts(7, 7, 7, 7.0))
    assert answer.others == {0: Counts(1, 2, 3, 4.0), 1: Counts(10, 20, 30, 40.0)}
    ask(b, counts=Counts(11, 20, 30, 40.0))
    b.close()
    assert ask(c).others[1].pages == 11  # also those of a shard that has ended


def test_what_the_others_keep_under_a_name_is_told(place):
    a, b, c = opened(place, 0, 1, 2)
    ask(a, Step(state={"counters": "of a"}))
    ask(b, Step(state={"counters": "ä of b", "other": "text"}))
    ask(c)
    assert a.texts("counters") == {1: "ä of b"}
    assert c.texts("counters") == {0: "of a", 1: "ä of b"}
    b.close()
    assert a.texts("counters") == {1: "ä of b"}, "also if nobody runs it any more"


def test_a_text_that_is_told_first_stays(place):
    a, b = opened(place, 0, 1)
    assert ask(a).told == {}
    assert ask(b, tells={"home": "h"}).told == {"home": "h"}
    assert ask(a, tells={"home": "other", "end": "x"}).told == {"home": "h", "end": "x"}


def test_a_pause_goes_on_where_a_request_lies(place):
    a, b = opened(place, 0, 1)
    ask(a, offers=[offer(1, wait_s=10.0)])
    place.wait(4.0)
    [drawn] = ask(b, wants=1).drawn
    assert drawn.wait_s == pytest.approx(6.0)


def test_what_a_shard_without_a_run_holds_goes_to_the_others(place):
    a, b = opened(place, 0, 1)
    ask(a, offers=[offer(1), offer(2)], wants=1, has_read_start=True)
    held(a, 1, left=1, has_read_start=True, counts=Counts(5, 5, 0, 1.0))
    place.wait(ADOPT_S - 1)
    assert b.adopt() == 0
    place.wait(2)
    assert b.adopt() == 2
    answer = ask(b, wants=1)
    assert (sorted(told(answer)), answer.left) == ([1, 2], 2)
    assert answer.others[0].pages == 5
    with pytest.raises(StaleRun):
        ask(a)
    assert b.adopt() == 0
    held(b, 1, 2, left=2)
    assert ask(b, Step(ended=[1, 2])).is_over


def test_a_shard_that_was_given_up_may_run_again(place):
    a, b = opened(place, 0, 1)
    a.close()
    assert a.open(5).epoch == 5
    ask(a, offers=[offer(1)], wants=1)
    a.close()
    place.wait(ADOPT_S + 1)
    assert b.adopt() == 1
    assert a.open(6).waiting == 0
    assert told(ask(a, wants=1)) == [1]


# -- whatever befalls the shards -------------------------------------------------------------------


def shards_of(place, seed, pages=120, count=3):
    chosen = random.Random(seed)
    linked = web(chosen, pages)
    shards = [ShardRun(place.next_run, number, linked, chosen) for number in range(count)]
    return chosen, shards


@pytest.mark.parametrize("seed", range(3))
def test_each_page_has_its_end_once_over_all_shards(place, seed):
    chosen, shards = shards_of(place, seed)
    turns(chosen, shards)
    assert ends_of(shards) == dict.fromkeys(range(120), 1)


@pytest.mark.parametrize("seed", range(3))
def test_each_page_has_its_end_whatever_runs_are_killed_ended_and_given_up(place, seed):
    chosen, shards = shards_of(place, seed)

    def befalls(shard):
        if shard.store is None:
            return
        what = chosen.randrange(12)
        if what == 0:  # it is killed: the next run begins with what the store has
            shard.begin()
        elif what == 1:
            shard.end()
        elif what == 2:  # nobody else has said anything for long
            place.wait(ADOPT_S + 1)
            shard.store.adopt()

    turns(chosen, shards, befalls)
    ends = ends_of(shards)
    assert set(ends) == set(range(120))
    assert set(ends.values()) == {1}, "a step that was answered counts"
