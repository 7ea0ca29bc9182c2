"""Says what happened to a task when its resource changed. Pure functions.

An event follows from the resource before and after a change. `found.py` says what a new leader
finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from crawler.history.steps import (
    added,
    again,
    begun,
    ended,
    event,
    goes_on,
    has_run,
    interrupted,
    placed,
    wish,
    worker_of,
)
from crawler.model.history import Event, Kind, RunState, Step
from crawler.model.records import NO_COUNTS, Counts, Resource, State

ANEW = "somebody asked for the task anew"
REMOVED = "the task was deleted"
RESUMED = "the task was resumed"


class Seen(NamedTuple):
    """A committed change of a resource."""

    before: Resource | None
    after: Resource | None
    now_ns: int
    who: str = ""
    """Who asked for it; empty if the leader decided it."""
    strategy: str = ""
    """The strategy of the scheduler that chose the worker, if one was chosen."""
    counts: Counts = NO_COUNTS
    """What the run before had counted, as its worker reported it last."""


def events_of(seen: Seen) -> Iterator[Event]:
    """Yield what a change says, in the order in which it happened."""
    before, after = _named(seen.before), _named(seen.after)
    is_other = before is not None and (after is None or after.id != before.id)
    if before is None or after is None or not _is_same_run(before, after):
        seen = seen._replace(now_ns=_moment(after, seen.now_ns))
    if is_other:
        assert before is not None  # is_other is false without it
        yield from _removed(before, seen)
        before = None
    if after is None:
        return
    if before is None:
        if not after.spec.shard:
            yield added(after, seen.who)
    elif _is_anew(before, after):
        yield again(after, seen.now_ns, seen.who)
    if before is not None and _is_open(before) and not _is_same_run(before, after):
        yield _left(before, after, seen)
    if before is not None and before.paused and not (after.paused or after.has_ended):
        yield from goes_on(before, seen.now_ns, seen.who)
    yield from _of_run(before, after, seen)
    yield from _wishes(before, after, seen)


def _named(resource: Resource | None) -> Resource | None:
    """Return a resource that has an id. Another program may have written one without: the history
    begins once the leader gives it one."""
    return resource if resource is not None and resource.id else None


def _of_run(before: Resource | None, after: Resource, seen: Seen) -> Iterator[Event]:
    """Yield what happened to the run that the resource has now."""
    is_new = before is None or not _is_same_run(before, after)
    if after.owner is not None and is_new:
        yield placed(after, _why(before, after, seen), after.assigned_time or seen.now_ns)
    state_before = State.ASSIGNED if is_new or before is None else before.state
    if state_before is after.state or after.owner is None:
        return
    if after.state is State.RUNNING:
        yield begun(after, seen.now_ns)
    elif after.state.finished and not state_before.finished:
        if state_before is State.ASSIGNED and has_run(after):  # it ran between two reports
            yield begun(after, max(seen.now_ns - int(after.counts.seconds * 1e9), 0))
        yield ended(after, seen.now_ns, who=seen.who)


def _wishes(before: Resource | None, after: Resource, seen: Seen) -> Iterator[Event]:
    """Yield that somebody has paused or stopped the task now."""
    had = before is not None and ((before.paused and after.paused) or before.stopped)
    if not had:
        yield from wish(after, seen.now_ns, who=seen.who)


def _removed(before: Resource, seen: Seen) -> Iterator[Event]:
    if _is_open(before):
        yield _over(before, RunState.STOPPED, REMOVED, seen)
    if not before.spec.shard:
        deleted = event(Kind.DELETED, Step.REMOVED, before, seen.now_ns, epoch=0, who=seen.who)
        yield replace(deleted, generation=0)  # a task is deleted once


def _left(before: Resource, after: Resource, seen: Seen) -> Event:
    """Return how a run ended that the task does not have any more."""
    if after.generation != before.generation:
        return _over(before, RunState.STOPPED, ANEW, seen)
    if after.paused:
        return _over(before, RunState.PAUSED, after.paused.reason, seen)
    is_interrupted = after.interruption.reason and after.interruption != before.interruption
    if is_interrupted or len(after.failed_on) > len(before.failed_on):
        return interrupted(before, after, seen.now_ns, seen.counts)
    return event(
        Kind.MOVED,
        Step.ENDED,
        before,
        seen.now_ns,
        state=RunState.MOVED,
        worker=worker_of(before),
        reason=after.reason or (f"moved to {worker_of(after)}" if after.owner else ""),
        who=seen.who,
        counts=seen.counts,
    )


def _over(before: Resource, state: RunState, reason: str, seen: Seen) -> Event:
    """Return the end of a run that somebody asked for."""
    return event(
        Kind.ENDED,
        Step.ENDED,
        before,
        seen.now_ns,
        state=state,
        worker=worker_of(before),
        reason=reason,
        who=seen.who,
        counts=seen.counts,
    )


def _why(before: Resource | None, after: Resource, seen: Seen) -> str:
    """Return why a task was placed where it was."""
    cause = _cause(before, after)
    return f"{cause}; chosen by {seen.strategy}" if seen.strategy else cause


def _cause(before: Resource | None, after: Resource) -> str:
    if before is None or not before.epoch:
        return "new"
    if before.generation != after.generation:
        return ANEW
    if before.paused or before.paused.node:
        return RESUMED
    if after.interruption.reason:
        return after.interruption.reason
    if before.owner is not None and not before.state.finished:
        return f"moved from {before.owner.node_id}"
    return before.reason or "placed again"


def _moment(after: Resource | None, now_ns: int) -> int:
    """Return when a change was decided: if the task was placed in the same pass, not after that."""
    if after is None or after.owner is None or not after.assigned_time:
        return now_ns
    return min(now_ns, after.assigned_time)


def _is_anew(before: Resource, after: Resource) -> bool:
    return after.generation > before.generation and not after.spec.shard


def _is_open(resource: Resource) -> bool:
    return resource.owner is not None and not resource.state.finished


def _is_same_run(before: Resource, after: Resource) -> bool:
    if after.owner is None and not after.state.finished:
        return False
    return (before.generation, before.epoch) == (after.generation, after.epoch)
