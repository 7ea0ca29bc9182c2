"""What rules call wrong."""

import pytest

from crawler.alerts import judging
from crawler.alerts.judging import Past, past_of
from crawler.model.alerts import AlertRule, When
from crawler.model.history import Event, Kind, RunState, Step
from crawler.model.records import Counts, Interruption, Pause, Resource, Spec, State
from crawler.model.schedules import Firing, Schedule, ScheduleWish
from tests.unit.node.scene import stored

DAY_NS = 86_400 * 10**9
PAST = Past([100, 90, 110], [60.0, 50.0, 70.0])


def ended(state=State.DONE, pages=50, items=0, failures=0, **more):
    return stored(state=state, counts=Counts(pages, items, failures, 9.0), **more)


def running(seconds=0.0, pages=0, failures=0, **more):
    return stored(counts=Counts(pages, 0, failures, seconds), **more)


def rule(when, **more):
    return AlertRule("r", When(when), **more)


@pytest.mark.parametrize(
    ("given", "task", "text"),
    [
        (rule("failed"), ended(State.FAILED, reason="no items"), "it failed: no items"),
        (rule("failed"), ended(State.FAILED, stopped=True), ""),
        (rule("failed"), ended(), ""),
        (rule("few-items"), ended(items=49), "it ended with 49 items; usual are 100"),
        (rule("few-items"), ended(items=50), ""),
        (rule("few-items", limit=0.9), ended(items=89), "it ended with 89 items; usual are 100"),
        (rule("few-items"), ended(State.FAILED), ""),
        (rule("failures"), ended(pages=9, failures=11), "11 of 20 requests failed"),
        (rule("failures"), ended(pages=10, failures=10), ""),
        (rule("failures"), ended(pages=0, failures=19), ""),
        (rule("failures", limit=0.1), ended(pages=17, failures=3), "3 of 20 requests failed"),
        (rule("waiting"), ended(), ""),
    ],
)
def test_the_end_of_a_run(given, task, text):
    assert judging.wrong_at_end(given, task, PAST) == text


@pytest.mark.parametrize(
    ("given", "task", "text"),
    [
        (rule("late"), running(121.0), "it runs for 121 s; usual are 60 s"),
        (rule("late"), running(120.0), ""),
        (rule("late", for_s=200), running(199.0), ""),
        (rule("late"), stored(state=State.ASSIGNED, counts=Counts(seconds=999.0)), ""),
        (rule("failures"), running(pages=5, failures=95), "95 of 100 requests failed"),
        (rule("failed"), running(), ""),
        (rule("waiting"), running(), ""),
        (
            rule("waiting"),
            stored(owner=None, state=State.PENDING, reason="no worker has gpu=1"),
            "it waits for a worker: no worker has gpu=1",
        ),
        (rule("waiting"), stored(owner=None, state=State.PENDING, paused=Pause("me")), ""),
        (
            rule("waiting"),
            stored(state=State.ASSIGNED, interruption=Interruption("killed", 1)),
            "",
        ),
    ],
)
def test_a_task_that_has_not_ended(given, task, text):
    assert judging.wrong_before_end(given, task, PAST) == text


def test_too_few_runs_say_nothing_of_what_is_usual():
    few = Past([100, 100], [1.0, 1.0])
    assert judging.wrong_at_end(rule("few-items"), ended(items=0), few) == ""
    assert judging.wrong_before_end(rule("late"), running(9999.0), few) == ""


@pytest.mark.parametrize(("used", "text"), [(0.9, "its disk is 90% full"), (0.899, ""), (0.0, "")])
def test_a_disk(used, text):
    assert judging.wrong_with_disk(rule("disk"), used) == text


def end(run, items, *, id="1", state=RunState.DONE, shard=0, kind=Kind.ENDED):
    counts = Counts(items=items, seconds=float(items))
    more = {"state": state, "counts": counts}
    return Event(run, kind, Step.ENDED, "a", id, run, run, shard, run, **more)


def test_what_is_usual_are_the_last_runs_before_that_ended_well():
    events = [end(run, run) for run in range(1, 14)]
    events += [end(14, 999, state=RunState.FAILED), end(15, 999, kind=Kind.BEGUN)]
    past = past_of([*events, end(16, 7)], Resource(Spec("a"), id="1", run=16))
    assert list(past.items) == list(range(4, 14))
    assert past.usual_items == 8.5


def test_the_items_of_a_run_on_several_workers_are_added():
    events = [
        end(run, items, shard=shard) for run in (1, 2, 3) for shard, items in ((0, 5), (1, 7))
    ]
    past = past_of(events, Resource(Spec("a"), id="1", run=4))
    assert (past.usual_items, past.usual_s) == (12, 7.0)


def schedule(now_ns, **more):
    return Schedule(ScheduleWish("n", "0 3 * * *", Spec("n")), now_ns, now_ns, **more)


def test_a_schedule_that_does_not_fire():
    late, at_ns = rule("late"), 20 * DAY_NS  # midnight
    hours = 3 * 3600 * 10**9
    assert judging.wrong_with_schedule(late, schedule(at_ns), at_ns + hours) == ("", "")
    found = judging.wrong_with_schedule(late, schedule(at_ns), at_ns + hours + 61 * 10**9)
    assert found == ("it was to fire 61 s ago", f"due {at_ns + hours}")
    firing = schedule(at_ns, firing=Firing(at_ns, "n", None))
    found = judging.wrong_with_schedule(late, firing, at_ns + 90 * 10**9)
    assert found == ("it was to fire 90 s ago", f"due {at_ns}")
    missed = schedule(at_ns, outcome="missed: 4000 s too late")
    text = "its last time was missed: 4000 s too late"
    assert judging.wrong_with_schedule(late, missed, at_ns) == (text, f"missed {at_ns}")
