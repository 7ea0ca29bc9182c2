"""What a schedule does now: pure decisions on the schedule, its task, and the time."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from crawler.model.records import Resource
from crawler.model.schedules import Firing, Overlap, Schedule, mark_of
from crawler.schedules.timetable import SECOND_NS, moments_of, offset_ns, stamp

ON_TIME_S = 60.0
"""How late a moment may fire and still be on time: another master may have to take over."""

LOOK_AGAIN_S = 0.5
"""How often a schedule looks whether the run before has ended, for which a moment waits."""


WAITING = (Overlap.SKIP, Overlap.QUEUE)
"""With these no run begins while the run before goes on."""


class Kind(enum.Enum):
    """What follows for a schedule."""

    NOTHING = "nothing"
    BEGIN = "begin"
    """Write down the firing, then begin the task."""
    NOTE = "note"
    """Write down what became of the moment; no task begins."""


class Step(NamedTuple):
    """What to do for a schedule now."""

    kind: Kind
    schedule: Schedule
    """The schedule as it is to be stored."""


Find = Callable[[str], Resource | None]
"""Returns the task of that name."""


def due_ns(schedule: Schedule, now_ns: int) -> int | None:
    """Return when to look at a schedule next; None if nothing is to come."""
    if schedule.firing is not None:
        return now_ns
    if schedule.wish.paused:
        return None
    next_ns = moments_of(schedule).after(schedule.decided_ns)
    late_ns = offset_ns(schedule.name, schedule.wish.jitter_s)
    found_ns = None if next_ns is None else next_ns + late_ns
    if not schedule.queued_ns:
        return found_ns
    soon_ns = now_ns + int(LOOK_AGAIN_S * SECOND_NS)
    return soon_ns if found_ns is None else min(soon_ns, found_ns)


def step(schedule: Schedule, find: Find, now_ns: int) -> Step:
    """Return what a schedule does now. What was decided before comes first."""
    if schedule.firing is not None:
        return _stored(schedule, schedule.firing, find, now_ns)
    if schedule.wish.paused:
        return Step(Kind.NOTHING, schedule)
    moment_ns = _missed(schedule, now_ns)
    if moment_ns is not None:
        return _at_moment(schedule, find, moment_ns, now_ns)
    if schedule.queued_ns and not goes_on(find(schedule.wish.task.name)):
        return Step(Kind.BEGIN, _firing(schedule, find, schedule.queued_ns, now_ns))
    return Step(Kind.NOTHING, schedule)


def now(schedule: Schedule, find: Find, now_ns: int) -> Step:
    """Return what a schedule does that somebody wants to run now, beside its moments."""
    fired = _firing(schedule, find, now_ns // SECOND_NS * SECOND_NS, now_ns)
    return Step(Kind.BEGIN, replace(fired, decided_ns=schedule.decided_ns))


def task_name(schedule: Schedule, moment_ns: int) -> str:
    """Return the name of the task that begins at a moment."""
    name = schedule.wish.task.name
    return f"{name}-{stamp(moment_ns)}" if schedule.wish.overlap is Overlap.ALLOW else name


def carried_out(schedule: Schedule, outcome: str) -> Schedule:
    """Return the schedule after its firing was carried out, or refused."""
    assert schedule.firing is not None  # it was
    return replace(schedule, firing=None, outcome=outcome)


def _missed(schedule: Schedule, now_ns: int) -> int | None:
    """Return the last moment that has come and is not decided. All before it count as one with
    it."""
    late_ns = offset_ns(schedule.name, schedule.wish.jitter_s)
    found_ns = moments_of(schedule).latest(now_ns - late_ns, schedule.decided_ns)
    return found_ns if found_ns is not None and found_ns > schedule.decided_ns else None


def _at_moment(schedule: Schedule, find: Find, moment_ns: int, now_ns: int) -> Step:
    late_ns = now_ns - moment_ns - offset_ns(schedule.name, schedule.wish.jitter_s)
    if _too_late(schedule, late_ns):
        return _noted(schedule, moment_ns, f"missed: {late_ns // SECOND_NS} s too late")
    overlap = schedule.wish.overlap
    waits = overlap in WAITING and goes_on(find(schedule.wish.task.name))
    if not waits:
        return Step(Kind.BEGIN, _firing(schedule, find, moment_ns))
    if overlap is Overlap.SKIP:
        return _noted(schedule, moment_ns, "skipped: the run before goes on")
    if schedule.queued_ns:
        return _noted(schedule, moment_ns, "skipped: another moment waits already")
    told = _noted(schedule, moment_ns, "waits for the end of the run before")
    return told._replace(schedule=replace(told.schedule, queued_ns=moment_ns))


def _stored(schedule: Schedule, firing: Firing, find: Find, now_ns: int) -> Step:
    """Return what becomes of the firing that is stored. If its task has begun, that is noted,
    however late; if it has not, it may be too late for it by now."""
    offset = offset_ns(schedule.name, schedule.wish.jitter_s)
    late_ns = now_ns - (firing.since_ns or firing.moment_ns + offset)
    if mark_of(find(firing.task)) != firing.before or not _too_late(schedule, late_ns):
        return Step(Kind.BEGIN, schedule)
    outcome = f"missed: {late_ns // SECOND_NS} s too late"
    return Step(Kind.NOTE, replace(schedule, firing=None, outcome=outcome))


def _too_late(schedule: Schedule, late_ns: int) -> bool:
    return late_ns > max(schedule.wish.catch_up_s, ON_TIME_S) * SECOND_NS


def _noted(schedule: Schedule, moment_ns: int, outcome: str) -> Step:
    return Step(Kind.NOTE, replace(schedule, decided_ns=moment_ns, outcome=outcome))


def _firing(schedule: Schedule, find: Find, moment_ns: int, since_ns: int = 0) -> Schedule:
    name = task_name(schedule, moment_ns)
    return replace(
        schedule,
        firing=Firing(moment_ns, name, mark_of(find(name)), since_ns),
        decided_ns=max(schedule.decided_ns, moment_ns),
        fired_ns=moment_ns,
        queued_ns=0,
    )


def goes_on(task: Resource | None) -> bool:
    """Return whether a task has work left."""
    return task is not None and not task.state.finished
