"""What a change of a resource says."""

from itertools import pairwise

import pytest

from crawler.history.events import Seen, events_of
from crawler.history.found import standing
from crawler.model.history import Kind, RunState
from crawler.model.records import NOT_PAUSED, Counts, Interruption, Owner, Resource, Spec, State
from crawler.node.master.assignment import anew
from crawler.node.master.pauses import as_stored, paused, resumed

FIRST, SECOND = Owner("w-1", "a:1", 5), Owner("w-2", "b:1", 6)
NEW = Resource(Spec("x", labels={"team": "a"}), id="7", creation_time=10, mod_revision=1)
PLACED = NEW.given_to(FIRST, 1, 20)
RUNNING = PLACED.replace(state=State.RUNNING)
DONE = RUNNING.replace(state=State.DONE, counts=Counts(3, 2, 1, 0.5))
FAILED = RUNNING.replace(state=State.FAILED, reason="no page")
COUNTED = Counts(9, 8, 7, 6.0)


def said(before, after, **more):
    seen = Seen(before, after, 100, **more)
    return [
        (each.kind, each.epoch, each.generation, each.state, each.worker)
        for each in events_of(seen)
    ]


def only(before, after, **more):
    [event] = events_of(Seen(before, after, 100, **more))
    return event


def test_a_task_that_is_added_and_placed_at_once_has_two_events():
    assert said(None, PLACED) == [
        (Kind.ADDED, 0, 0, None, ""),
        (Kind.PLACED, 1, 0, RunState.PLACED, "w-1"),
    ]


def test_what_is_added_says_when_by_whom_and_with_which_labels():
    event = only(None, NEW, who="ann")
    assert (event.time_ns, event.who, event.labels) == (10, "ann", {"team": "a"})


def test_a_run_begins_and_ends_with_its_counts():
    assert said(PLACED, RUNNING) == [(Kind.BEGUN, 1, 0, RunState.RUNNING, "w-1")]
    assert said(RUNNING, DONE) == [(Kind.ENDED, 1, 0, RunState.DONE, "w-1")]
    assert only(RUNNING, DONE).counts == DONE.counts
    assert only(RUNNING, FAILED).reason == "no page"


def test_a_run_that_ends_between_two_reports_has_begun():
    begun, ended = events_of(Seen(PLACED, DONE, 2_000_000_000))
    assert (begun.kind, begun.time_ns) == (Kind.BEGUN, 1_500_000_000)
    assert ended.kind is Kind.ENDED
    assert said(PLACED, FAILED) == [(Kind.ENDED, 1, 0, RunState.FAILED, "w-1")]


def test_what_changes_nothing_of_a_run_says_nothing():
    assert said(RUNNING, RUNNING.replace(spec=Spec("x", priority=3), mod_revision=4)) == []
    waits = NEW.replace(reason="no worker is up")
    assert said(NEW, waits) == []


def test_a_task_that_moves_ends_one_run_and_begins_the_next():
    moved = RUNNING.given_to(SECOND, 2, 50)
    assert said(RUNNING, moved, counts=COUNTED) == [
        (Kind.MOVED, 1, 0, RunState.MOVED, "w-1"),
        (Kind.PLACED, 2, 0, RunState.PLACED, "w-2"),
    ]
    left, placed = events_of(Seen(RUNNING, moved, 100, "", "least-load", COUNTED))
    assert left.counts == COUNTED
    assert left.time_ns <= placed.time_ns
    assert placed.reason == "moved from w-1; chosen by least-load"


def test_an_interruption_is_told_even_if_the_next_run_is_placed_in_the_same_pass():
    told = Interruption("interrupted at w-1: killed", 1)
    waits = RUNNING.replace(
        owner=None, state=State.PENDING, reason=told.reason, interruption=told, counts=COUNTED
    )
    for after in (waits, waits.given_to(SECOND, 2, 50)):
        event = next(events_of(Seen(RUNNING, after, 100, counts=COUNTED)))
        assert (event.kind, event.reason) == (Kind.INTERRUPTED, told.reason)
        assert (event.epoch, event.counts) == (1, COUNTED)
    assert [kind for kind, *_ in said(waits, waits.given_to(SECOND, 2, 50))] == [Kind.PLACED]


def test_a_run_that_failed_and_is_tried_again_has_failed():
    waits = RUNNING.replace(
        owner=None, state=State.PENDING, reason="failed on w-1: x", failed_on=("w-1",)
    )
    assert said(RUNNING, waits) == [(Kind.ENDED, 1, 0, RunState.FAILED, "w-1")]


def test_a_task_that_is_begun_anew_stops_its_run():
    anew = RUNNING.replace(generation=1).given_to(SECOND, 2, 50)
    assert said(RUNNING, anew) == [
        (Kind.AGAIN, 0, 1, None, ""),
        (Kind.ENDED, 1, 0, RunState.STOPPED, "w-1"),
        (Kind.PLACED, 2, 1, RunState.PLACED, "w-2"),
    ]
    after_its_end = DONE.replace(generation=1).given_to(SECOND, 2, 50)
    assert [kind for kind, *_ in said(DONE, after_its_end)] == [Kind.AGAIN, Kind.PLACED]


def test_a_task_that_is_deleted_stops_its_run():
    assert said(RUNNING, None, who="ann") == [
        (Kind.ENDED, 1, 0, RunState.STOPPED, "w-1"),
        (Kind.DELETED, 0, 0, None, ""),
    ]
    assert only(DONE, None, who="ann").who == "ann"


def test_another_task_of_the_same_name_is_another_task():
    other = PLACED.replace(id="8")
    kinds = [(each.id, each.kind) for each in events_of(Seen(DONE, other, 100))]
    assert kinds == [("7", Kind.DELETED), ("8", Kind.ADDED), ("8", Kind.PLACED)]


def test_a_task_that_another_program_wrote_is_added_once_it_has_an_id():
    foreign = Resource(Spec("x"), mod_revision=5)
    assert list(standing(foreign, 100)) == said(None, foreign) == said(foreign, None) == []
    kinds = [(each.id, each.kind) for each in events_of(Seen(foreign, PLACED, 100))]
    assert kinds == [("7", Kind.ADDED), ("7", Kind.PLACED)]


def test_a_shard_has_runs_and_nothing_else():
    spec = Spec("x-1", shard=1, shard_of="x")
    shard = PLACED.replace(spec=spec)
    assert [kind for kind, *_ in said(None, shard)] == [Kind.PLACED]
    [event] = events_of(Seen(None, shard, 100))
    assert (event.task, event.shard) == ("x", 1)
    assert [kind for kind, *_ in said(shard, None)] == [Kind.ENDED]


def test_a_task_that_is_paused_ends_its_run_and_its_next_one_says_that_it_was_resumed():
    rests = paused(RUNNING, "paused by ann", as_stored)
    assert said(RUNNING, rests, counts=COUNTED) == [
        (Kind.ENDED, 1, 0, RunState.PAUSED, "w-1"),
        (Kind.PAUSED, 1, 0, None, ""),
    ]
    run, wish = events_of(Seen(RUNNING, rests, 100, "ann", counts=COUNTED))
    assert (run.counts, run.reason, wish.who) == (COUNTED, "paused by ann", "ann")
    assert said(rests, rests.replace(mod_revision=9)) == []
    waits = resumed(rests)
    placed = only(waits, waits.given_to(FIRST, 2, 50))
    assert (placed.kind, placed.reason) == (Kind.PLACED, "the task was resumed")
    unpaused = only(rests, waits, who="carl")
    assert (unpaused.kind, unpaused.epoch, unpaused.who) == (Kind.UNPAUSED, 1, "carl")
    both = said(rests, waits.given_to(FIRST, 2, 50))
    assert [each[:2] for each in both] == [(Kind.UNPAUSED, 1), (Kind.PLACED, 2)]
    waiting = paused(NEW, "paused by ann", as_stored)
    assert said(NEW, waiting) == [(Kind.PAUSED, 0, 0, None, "")]


@pytest.mark.parametrize("before", [NEW, RUNNING, paused(RUNNING, "paused by ann", as_stored)])
def test_a_task_that_is_stopped_tells_who_stopped_it(before):
    end = before.replace(state=State.FAILED, reason="stopped by bob", stopped=True)
    end = end.replace(paused=NOT_PAUSED)
    *run, wish = events_of(Seen(before, end, 100, "bob"))
    assert (wish.kind, wish.who, wish.reason) == (Kind.STOPPED, "bob", "stopped by bob")
    ends = [(each.kind, each.state, each.who) for each in run]
    assert ends == ([(Kind.ENDED, RunState.STOPPED, "bob")] if before.owner else [])
    assert said(end, end.replace(mod_revision=9)) == []


def test_a_shard_that_rests_or_stops_with_its_task_tells_of_its_runs_alone():
    shard = RUNNING.replace(spec=Spec("x-1", shard=1, shard_of="x"))
    rests = paused(shard, "paused by ann", as_stored)
    assert said(shard, rests) == [(Kind.ENDED, 1, 0, RunState.PAUSED, "w-1")]
    assert said(rests, resumed(rests)) == []


def test_each_event_says_which_run_of_the_task_it_was():
    again = anew(DONE).replace(run=2)
    events = [*events_of(Seen(RUNNING, DONE, 100)), *events_of(Seen(DONE, again, 110))]
    events += events_of(Seen(again, again.given_to(SECOND, 2, 120), 120))
    assert [(each.kind, each.run, each.epoch) for each in events] == [
        (Kind.ENDED, 1, 1),
        (Kind.AGAIN, 2, 0),
        (Kind.PLACED, 2, 2),
    ]


@pytest.mark.parametrize("last", [NEW, PLACED, RUNNING, DONE, FAILED])
def test_what_a_resource_says_of_itself_names_the_same_steps_as_its_changes(last):
    """Otherwise a new leader would write something twice."""
    states = [None, NEW, PLACED, RUNNING, DONE if last is not FAILED else FAILED]
    told = []
    for before, after in pairwise(states):
        told += events_of(Seen(before, after, 100))
        if after is last:
            break
    if last in (NEW, RUNNING):
        rests = paused(last, "paused by ann", as_stored)
        _check_steps(rests, [*told, *events_of(Seen(last, rests, 100))])
    _check_steps(last, told)


def _check_steps(last, told):
    found = {_key(each) for each in standing(last, 200)}
    assert found <= {_key(each) for each in told}
    assert _key(told[-1]) in found


def _key(event):
    return event.id, event.shard, event.generation, event.epoch, event.step
