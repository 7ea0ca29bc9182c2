"""Requests about schedules, as the leader carries them out."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from crawler.clock import ManualClock
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.schedules import Schedules
from crawler.coordination.store import Put
from crawler.errors import Conflict, InvalidArgument, NotFound
from crawler.model.records import Leadership, Spec
from crawler.model.schedules import ScheduleWish
from crawler.node.master import schedule_requests
from crawler.node.master.schedule_requests import ScheduleRequests
from crawler.schedules import due
from crawler.schedules.timetable import offset_ns
from crawler.settings.sections import CoordinationSettings
from crawler.tracing.tracing import NoTracing

KEYS = Keys(CoordinationSettings())
HOURLY = ScheduleWish("nightly", "@every 1h", Spec("shop", labels={"team": "a"}))
A, B = {"team": "a"}, {"team": "b"}
SECOND_NS = 10**9


class Leader:
    """What carries out the requests, on a store in memory."""

    def __init__(self):
        self.store, self.clock = MemoryStore(), ManualClock()
        self.tasks = {}
        result = self.store.txn([], [Put("leader", b"1")])
        leadership = Leadership("leader", result.revision)
        self.schedules = Schedules(self.store, KEYS, self.clock)
        self.ctx = SimpleNamespace(
            schedules=self.schedules,
            clock=self.clock,
            leadership=leadership,
            mirrors=SimpleNamespace(resource=self.tasks.get),
            tracing=NoTracing(),
        )
        self.requests = ScheduleRequests(self.ctx, "")


@pytest.fixture
def leader():
    return Leader()


def test_a_schedule_whose_times_cannot_be_told_harms_no_list(leader, monkeypatch):
    for name in ("bad", "good"):
        leader.requests.add(replace(HOURLY, name=name))
    told = schedule_requests.next_times

    def failing(schedule, *args):
        if schedule.name.startswith("bad"):
            raise OverflowError("date value out of range")
        return told(schedule, *args)

    monkeypatch.setattr(schedule_requests, "next_times", failing)
    bad, good = leader.requests.all({})
    assert (bad.next, bad.schedule.outcome) == (
        (),
        "the next times cannot be told: date value out of range",
    )
    assert len(good.next) == 1
    with pytest.raises(InvalidArgument, match="when: '@every 1h': date value"):
        leader.requests.add(replace(HOURLY, name="bad-2"))
    assert leader.store.get(KEYS.schedule("bad-2")) is None


def test_a_list_has_one_time_each_and_lets_others_run(leader, monkeypatch):
    turns = []
    monkeypatch.setattr(schedule_requests, "give_turn", lambda: turns.append(1))
    for number in range(250):
        leader.requests.add(replace(HOURLY, name=f"s-{number}"))
    assert {len(view.next) for view in leader.requests.all({})} == {1}
    assert len(turns) == 2
    assert len(leader.requests.get("s-1", {}).next) == 5


def test_nothing_is_told_of_the_schedules_of_others(leader):
    leader.requests.add(HOURLY)
    assert leader.requests.all(B) == []
    assert len(leader.requests.all(A)) == 1
    for ask in ("get", "pause", "resume", "run", "remove"):
        with pytest.raises(NotFound):
            getattr(leader.requests, ask)("nightly", B)
    with pytest.raises(NotFound):
        leader.requests.update(HOURLY, B)


def test_a_schedule_that_becomes_the_one_of_others_meanwhile_stays(leader, monkeypatch):
    leader.requests.add(HOURLY)
    put = leader.schedules.put

    def late(leadership, schedule):
        theirs = replace(schedule.wish, task=Spec("theirs", labels=B), paused=False)
        put(leadership, replace(schedule, wish=theirs))
        raise Conflict("it was changed")

    monkeypatch.setattr(leader.schedules, "put", late)
    with pytest.raises(NotFound):
        leader.requests.pause("nightly", A)
    assert not leader.schedules.get("nightly").wish.paused


def test_who_resumes_it_keeps_the_moment_whose_jitter_is_still_to_come(leader):
    late_ns = offset_ns("nightly", 3000.0)
    leader.requests.add(replace(HOURLY, jitter_s=3000.0, paused=True))
    created_ns = leader.clock.time_ns() // SECOND_NS * SECOND_NS
    leader.clock.set_wall(created_ns + 3600 * SECOND_NS + late_ns // 2)
    shown = leader.requests.resume("nightly", {})
    assert shown.schedule.decided_ns < created_ns + 3600 * SECOND_NS
    assert due.due_ns(shown.schedule, 0) == created_ns + 3600 * SECOND_NS + late_ns
    leader.requests.pause("nightly", {})
    leader.clock.set_wall(created_ns + 3600 * SECOND_NS + late_ns + 1)
    again = leader.requests.resume("nightly", {}).schedule
    assert due.due_ns(again, 0) == created_ns + 7200 * SECOND_NS + late_ns


def test_there_are_so_many_schedules_and_no_more(leader, monkeypatch):
    monkeypatch.setattr(schedule_requests, "MOST_SCHEDULES", 2)
    for name in ("a", "b"):
        leader.requests.add(replace(HOURLY, name=name))
    with pytest.raises(InvalidArgument, match=r"there are 2 schedules already.*delete one"):
        leader.requests.add(replace(HOURLY, name="c"))
    leader.requests.add(replace(HOURLY, name="a"))  # it is there
    leader.requests.remove("a", {})
    leader.requests.add(replace(HOURLY, name="c"))
