"""The timekeeper of a term: what it plans, when the clock is set, and how a term ends with it."""

from dataclasses import replace
from types import SimpleNamespace

import gevent
import pytest

from crawler.clock import settle
from crawler.errors import Unavailable
from crawler.history.history import NoHistory
from crawler.model.records import Spec
from crawler.model.schedules import Overlap
from crawler.node.master import term, timekeeper
from crawler.node.master.timekeeper import Timekeeper
from crawler.schedules import due
from tests.unit.node.scene import Scene
from tests.unit.node.test_schedule_requests import HOURLY, SECOND_NS, Leader


class Writer:
    """Takes what is to begin, or fails."""

    def __init__(self):
        self.tried, self.fails, self.closed = [], False, False
        self.meanwhile = lambda: None
        self.draft = Scene().draft()

    def submit(self, command, call):
        self.tried.append(command.spec.name)
        self.meanwhile()
        if self.fails:
            raise Unavailable("the store is away")
        command.apply(self.draft)

    def close(self):
        self.closed = True


@pytest.fixture
def leader():
    return Leader()


@pytest.fixture
def writer():
    return Writer()


@pytest.fixture
def keeper(leader, writer):
    keeper = Timekeeper(leader.ctx, writer, "")
    yield keeper
    keeper.stop()


def test_taking_over_many_schedules_lets_others_run(leader, keeper, monkeypatch):
    turns = []
    monkeypatch.setattr(timekeeper, "give_turn", lambda: turns.append(1))
    for number in range(250):
        leader.requests.add(replace(HOURLY, name=f"s-{number}"))
    keeper.start()
    settle()
    assert len(turns) == 2


def test_a_schedule_whose_times_cannot_be_told_keeps_no_other_from_firing(
    leader, keeper, writer, monkeypatch
):
    for name in ("a-bad", "good", "z-bad"):
        leader.requests.add(replace(HOURLY, name=name, task=Spec(name)))
    told = due.due_ns

    def failing(schedule, now_ns):
        if schedule.name.endswith("bad"):
            raise OverflowError("date value out of range")
        return told(schedule, now_ns)

    monkeypatch.setattr(due, "due_ns", failing)
    keeper.start()
    settle()
    leader.clock.advance(0.01)
    leader.clock.set_wall(leader.clock.time_ns() + 3600 * SECOND_NS)
    leader.clock.advance(0.3)
    assert writer.tried == ["good"]


def test_a_clock_that_is_set_back_delays_no_firing_that_is_tried_again(leader, keeper, writer):
    leader.requests.add(replace(HOURLY, overlap=Overlap.REPLACE))
    keeper.start()
    writer.fails = True
    leader.requests.run("nightly", {})
    leader.clock.advance(0.1)
    assert len(writer.tried) == 1
    writer.fails = False
    leader.clock.set_wall(leader.clock.time_ns() - 600 * SECOND_NS)
    for _ in range(4):
        leader.clock.advance(0.3)
    assert len(writer.tried) > 1
    assert leader.schedules.get("nightly").outcome == "began task shop"


def test_what_was_paused_while_it_was_tried_again_does_not_begin(leader, keeper, writer):
    leader.requests.add(HOURLY)
    keeper.start()
    writer.fails = True
    leader.requests.run("nightly", {})
    leader.clock.advance(0.1)
    leader.requests.pause("nightly", {})
    tried, writer.fails = len(writer.tried), False
    for _ in range(8):
        leader.clock.advance(0.3)
    assert (tried, len(writer.tried)) == (1, 1)
    assert leader.schedules.get("nightly").outcome.startswith("dropped: the schedule was paused")


def test_what_is_paused_on_its_way_to_the_writer_does_not_begin(leader, keeper, writer):
    leader.requests.add(HOURLY)
    keeper.start()
    writer.meanwhile = lambda: leader.requests.pause("nightly", {})
    leader.requests.run("nightly", {})
    leader.clock.advance(0.1)
    assert writer.tried == ["shop"]
    assert writer.draft.get("shop") is None


def test_a_firing_begins_the_task_of_before_its_change_or_none(leader, keeper, writer):
    leader.requests.add(HOURLY)
    keeper.start()
    writer.fails = True
    leader.requests.run("nightly", {})
    leader.clock.advance(0.1)
    leader.requests.update(replace(HOURLY, task=Spec("shop", "other", labels={"team": "a"})), {})
    writer.fails = False
    for _ in range(8):
        leader.clock.advance(0.3)
    assert len(writer.tried) == 1
    assert leader.schedules.get("nightly").firing is None


def test_a_term_closes_its_writer_also_if_its_timekeeper_is_killed_while_it_stops(writer):
    def killed():
        raise gevent.GreenletExit

    ended = object.__new__(term.Term)
    ended._ctx = SimpleNamespace(
        clock=SimpleNamespace(monotonic=lambda: 0.0),
        settings=SimpleNamespace(check_s=1.0),
        history=NoHistory(),
    )
    ended._take_over = lambda seeds: None
    ended._timekeeper = ended._alerting = SimpleNamespace(stop=killed)
    ended.writer = writer
    writer.finished = True
    with pytest.raises(gevent.GreenletExit):
        ended.run([])
    assert writer.closed
