"""What a schedule does now: its moments, its former run, its window, its queue."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.model.records import Resource, Spec, State
from crawler.model.schedules import Firing, Mark, Overlap, Schedule, ScheduleWish
from crawler.schedules import due
from crawler.schedules.due import Kind
from crawler.schedules.timetable import SECOND_NS, offset_ns

T0 = 1_767_225_600 * SECOND_NS
MINUTE = 60 * SECOND_NS
HOUR = 3600 * SECOND_NS


def schedule(when="@every 1h", **wish):
    return Schedule(ScheduleWish("nightly", when, Spec("shop"), **wish), T0, T0)


def nobody(name):
    return None


def task(state):
    return Resource(Spec("shop"), "17", state=state, generation=3)


def having(state):
    return {"shop": task(state)}.get


def test_nothing_happens_before_the_first_moment_after_the_creation():
    assert due.step(schedule(), nobody, T0 + HOUR - 1).kind is Kind.NOTHING
    assert due.due_ns(schedule(), T0) == T0 + HOUR


def test_a_moment_begins_the_task_once():
    begun = due.step(schedule(), nobody, T0 + HOUR)
    assert begun.kind is Kind.BEGIN
    assert begun.schedule.firing == Firing(T0 + HOUR, "shop", None)
    done = due.carried_out(begun.schedule, "began")
    assert due.step(done, having(State.RUNNING), T0 + HOUR + 5).kind is Kind.NOTHING
    assert due.due_ns(done, T0 + HOUR) == T0 + 2 * HOUR


def test_what_was_decided_and_not_carried_out_comes_before_all_else():
    begun = due.step(schedule(), having(State.DONE), T0 + HOUR).schedule
    assert begun.firing.before == Mark("17", 3)
    assert due.due_ns(begun, T0 + HOUR) == T0 + HOUR
    assert due.step(begun, having(State.DONE), T0 + HOUR + 5) == (Kind.BEGIN, begun)


def test_what_was_stored_and_has_not_begun_is_missed_when_it_is_too_late():
    found = schedule(catch_up_s=0.0)
    begun = due.step(found, having(State.DONE), T0 + HOUR).schedule
    on_time, late = T0 + HOUR + MINUTE, T0 + 5 * 24 * HOUR
    assert due.step(begun, having(State.DONE), on_time).kind is Kind.BEGIN
    step = due.step(begun, having(State.DONE), late)
    assert (step.kind, step.schedule.firing) == (Kind.NOTE, None)
    assert step.schedule.outcome == f"missed: {(late - T0 - HOUR) // SECOND_NS} s too late"
    assert due.step(begun, nobody, late).kind is Kind.BEGIN  # it has begun, and was deleted since


def test_what_waited_for_the_run_before_is_late_from_its_end_on():
    found = schedule(overlap=Overlap.QUEUE, catch_up_s=0.0)
    waits = due.step(found, having(State.RUNNING), T0 + HOUR).schedule
    ended = T0 + HOUR + 50 * MINUTE
    begun = due.step(waits, having(State.DONE), ended).schedule
    assert due.step(begun, having(State.DONE), ended + MINUTE).kind is Kind.BEGIN
    assert due.step(begun, having(State.DONE), ended + 2 * MINUTE).kind is Kind.NOTE


def test_a_pause_and_another_task_drop_what_is_stored_and_other_times_keep_it():
    begun = due.step(schedule(), nobody, T0 + HOUR).schedule
    wish = begun.wish
    for changed in (
        begun.paused(),
        begun.changed_to(replace(wish, task=Spec("shop", priority=3)), T0 + HOUR),
        begun.changed_to(replace(wish, overlap=Overlap.ALLOW), T0 + HOUR),
        begun.changed_to(replace(wish, paused=True), T0 + HOUR),
    ):
        assert changed.firing is None
        assert changed.outcome.startswith("dropped: the schedule was ")
    assert begun.changed_to(replace(wish, jitter_s=3.0), T0 + HOUR).firing == begun.firing


def test_a_clock_that_goes_back_fires_nothing_again():
    begun = due.carried_out(due.step(schedule(), nobody, T0 + 5 * HOUR).schedule, "began")
    for back in (1, MINUTE, HOUR, 3 * HOUR, 30 * HOUR):
        assert due.step(begun, nobody, T0 + 5 * HOUR - back).kind is Kind.NOTHING
    assert due.step(begun, nobody, T0 + 6 * HOUR).kind is Kind.BEGIN


@pytest.mark.parametrize(
    ("catch_up_s", "late_s", "kind"),
    [
        (0.0, 59, Kind.BEGIN),  # another master took over
        (0.0, 61, Kind.NOTE),
        (600.0, 599, Kind.BEGIN),
        (600.0, 601, Kind.NOTE),
    ],
)
def test_what_was_missed_is_caught_up_within_the_window_or_not_at_all(catch_up_s, late_s, kind):
    found = schedule(catch_up_s=catch_up_s)
    step = due.step(found, nobody, T0 + 3 * HOUR + late_s * SECOND_NS)
    assert step.kind is kind
    assert step.schedule.decided_ns == T0 + 3 * HOUR
    if kind is Kind.NOTE:
        assert step.schedule.outcome == f"missed: {late_s} s too late"
    again = replace(step.schedule, firing=None)
    assert due.step(again, nobody, T0 + 4 * HOUR - 1).kind is Kind.NOTHING


def test_skip_passes_over_a_moment_while_the_run_before_goes_on():
    step = due.step(schedule(), having(State.RUNNING), T0 + HOUR)
    assert (step.kind, step.schedule.outcome) == (Kind.NOTE, "skipped: the run before goes on")
    assert due.step(step.schedule, having(State.DONE), T0 + HOUR + 1).kind is Kind.NOTHING


def test_queue_lets_one_moment_wait_for_the_end_of_the_run_before():
    running, found = having(State.RUNNING), schedule(overlap=Overlap.QUEUE)
    waits = due.step(found, running, T0 + HOUR).schedule
    assert waits.queued_ns == T0 + HOUR
    assert due.step(waits, running, T0 + HOUR + 1).kind is Kind.NOTHING
    assert due.due_ns(waits, T0 + HOUR) == T0 + HOUR + SECOND_NS // 2
    second = due.step(waits, running, T0 + 2 * HOUR)
    assert (second.kind, second.schedule.queued_ns) == (Kind.NOTE, T0 + HOUR)
    assert "waits already" in second.schedule.outcome
    begun = due.step(second.schedule, having(State.FAILED), T0 + 2 * HOUR + 1)
    assert begun.kind is Kind.BEGIN
    since_ns = T0 + 2 * HOUR + 1
    assert begun.schedule.firing == Firing(T0 + HOUR, "shop", Mark("17", 3), since_ns)
    assert (begun.schedule.queued_ns, begun.schedule.decided_ns) == (0, T0 + 2 * HOUR)


def test_replace_begins_whatever_goes_on():
    step = due.step(schedule(overlap=Overlap.REPLACE), having(State.RUNNING), T0 + HOUR)
    assert (step.kind, step.schedule.firing.before) == (Kind.BEGIN, Mark("17", 3))


def test_allow_gives_each_moment_a_task_of_its_own():
    step = due.step(schedule(overlap=Overlap.ALLOW), having(State.RUNNING), T0 + HOUR)
    assert step.schedule.firing == Firing(T0 + HOUR, "shop-20260101T010000Z", None)


def test_while_it_is_paused_nothing_fires_and_afterwards_only_what_is_to_come():
    paused = schedule().paused()
    assert due.step(paused, nobody, T0 + 3 * HOUR).kind is Kind.NOTHING
    assert due.due_ns(paused, T0) is None
    resumed = paused.resumed(T0 + 3 * HOUR + 1)
    assert due.step(resumed, nobody, T0 + 3 * HOUR + 2).kind is Kind.NOTHING
    assert due.step(resumed, nobody, T0 + 4 * HOUR).kind is Kind.BEGIN
    assert schedule().resumed(T0 + 9 * HOUR) == schedule()  # it was not paused


def test_who_resumes_it_ends_what_a_clock_decided_that_was_far_ahead():
    ahead = due.carried_out(due.step(schedule(), nobody, T0 + 900 * HOUR).schedule, "began")
    assert due.step(ahead, nobody, T0 + 2 * HOUR).kind is Kind.NOTHING
    assert due.step(ahead.paused().resumed(T0 + HOUR), nobody, T0 + 2 * HOUR).kind is Kind.BEGIN


def test_a_pause_ends_the_wait_of_a_queued_moment():
    waits = replace(schedule(overlap=Overlap.QUEUE), queued_ns=T0 + HOUR)
    assert waits.paused().queued_ns == 0


def test_other_times_count_from_the_change():
    found = schedule("@at 2026-01-01T05:00")
    changed = found.changed_to(replace(found.wish, when="@every 1h"), T0 + 9 * HOUR + 1)
    assert due.step(changed, nobody, T0 + 9 * HOUR + 2).kind is Kind.NOTHING
    kept = found.changed_to(replace(found.wish, jitter_s=5.0), T0 + 9 * HOUR)
    assert kept.decided_ns == T0


def test_somebody_may_run_it_now_and_its_moments_stay():
    found = due.now(schedule(), nobody, T0 + 90 * MINUTE + 5)
    assert found.schedule.firing == Firing(T0 + 90 * MINUTE, "shop", None, T0 + 90 * MINUTE + 5)
    assert found.schedule.decided_ns == T0


def test_the_jitter_delays_each_moment_and_its_lateness_does_not_count_it():
    found = schedule(jitter_s=3000.0, catch_up_s=0.0)
    late_ns = offset_ns("nightly", 3000.0)
    assert due.step(found, nobody, T0 + HOUR + late_ns - 1).kind is Kind.NOTHING
    assert due.due_ns(found, T0) == T0 + HOUR + late_ns
    step = due.step(found, nobody, T0 + HOUR + late_ns)
    assert (step.kind, step.schedule.firing.moment_ns) == (Kind.BEGIN, T0 + HOUR)


WHENS = st.sampled_from(["@every 10m", "*/15 * * * *", "7 * * * *", "@at 2026-01-01T01:30"])
CLOCK = st.lists(st.integers(-50 * 60, 3 * 3600), min_size=1, max_size=30)
"""By how many seconds the clock moves between two looks; it may go back."""


@settings(max_examples=200, deadline=None)
@given(WHENS, st.sampled_from(Overlap), CLOCK, st.sampled_from([0.0, 90.0]), st.data())
def test_no_moment_fires_twice_and_none_is_left_whatever_the_clock_does(
    when, overlap, moves, jitter_s, data
):
    found, now_ns, fired = schedule(when, overlap=overlap, jitter_s=jitter_s), T0, []
    for seconds in moves:
        now_ns += seconds * SECOND_NS
        find = data.draw(st.sampled_from([nobody, having(State.RUNNING), having(State.DONE)]))
        step = due.step(found, find, now_ns)
        assert step.schedule.decided_ns >= found.decided_ns
        found = step.schedule
        if step.kind is Kind.BEGIN:
            fired.append(found.firing.moment_ns)
            found = due.carried_out(found, "began")
        next_ns = due.due_ns(found, now_ns)
        assert (
            next_ns is None
            or next_ns > now_ns
            or due.step(found, find, now_ns).kind is not Kind.NOTHING
        )
    assert len(fired) == len(set(fired))
    assert fired == sorted(fired)
