"""Says what happened to a task when its resource changed. Pure functions.

An event follows from the resource before and after a change. What a new leader finds follows from
the resource alone (`standing`). Both name the same steps of the same runs, so the database keeps
each once, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from crawler.model.history import Event, Kind, RunState, Step
from crawler.model.records import NO_COUNTS, Counts, Resource, State

ANEW = "somebody asked for the task anew"
REMOVED = "the task was deleted"
RESUMED = "the task was resumed"
FOUND_GONE = "a later leader found that the task was deleted"
FOUND_MOVED = "a later leader found that the run was over"

_ENDS = {State.DONE: RunState.DONE, State.FAILED: RunState.FAILED}


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
    before, after = seen.before, seen.after
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
            yield _added(after, seen.who)
    elif _is_anew(before, after):
        yield _again(after, seen.now_ns, seen.who)
    if before is not None and _is_open(before) and not _is_same_run(before, after):
        yield _left(before, after, seen)
    yield from _of_run(before, after, seen)
    yield from _wishes(before, after, seen)


def standing(resource: Resource, now_ns: int) -> Iterator[Event]:
    """Yield what a resource says of itself, for a leader that finds it."""
    if not resource.spec.shard:
        yield _added(resource, "")
        if resource.generation:
            yield _again(resource, now_ns, "", late=True)
    if resource.owner is not None and resource.epoch:
        yield _placed(resource, resource.told_reason, resource.assigned_time or now_ns)
        if resource.state is State.RUNNING or _has_run(resource):
            yield _begun(resource, now_ns, late=True)
        if resource.state.finished:
            yield _ended(resource, now_ns, late=True)
    elif resource.epoch and not resource.paused and _was_interrupted(resource):
        yield _interrupted(resource, resource, now_ns, late=True)
    yield from _wish(resource, now_ns, late=True)


def over(resource: Resource | None, run: Event, now_ns: int) -> Event | None:
    """Return the end of a run that has none yet, if the present resource shows that it is over."""
    if resource is not None and not _is_past(run, resource):
        return None
    gone = resource is None
    return Event(
        now_ns,
        Kind.ENDED if gone else Kind.MOVED,
        Step.ENDED,
        *(run.task, run.id, run.epoch, run.generation, run.shard),
        run=run.run,
        state=RunState.STOPPED if gone else RunState.MOVED,
        worker=run.worker,
        reason=FOUND_GONE if gone else FOUND_MOVED,
        spider=run.spider,
        labels=run.labels,
        late=True,
    )


def gone(added: Event, now_ns: int) -> Event:
    """Return the event that a task is not there any more, for a leader that misses it."""
    return Event(
        now_ns,
        Kind.DELETED,
        Step.REMOVED,
        *(added.task, added.id, 0),
        run=added.run,
        reason=FOUND_GONE,
        spider=added.spider,
        labels=added.labels,
        late=True,
    )


def _of_run(before: Resource | None, after: Resource, seen: Seen) -> Iterator[Event]:
    """Yield what happened to the run that the resource has now."""
    is_new = before is None or not _is_same_run(before, after)
    if after.owner is not None and is_new:
        yield _placed(after, _why(before, after, seen), after.assigned_time or seen.now_ns)
    state_before = State.ASSIGNED if is_new or before is None else before.state
    if state_before is after.state or after.owner is None:
        return
    if after.state is State.RUNNING:
        yield _begun(after, seen.now_ns)
    elif after.state.finished and not state_before.finished:
        if state_before is State.ASSIGNED and _has_run(after):  # it ran between two reports
            yield _begun(after, max(seen.now_ns - int(after.counts.seconds * 1e9), 0))
        yield _ended(after, seen.now_ns, who=seen.who)


def _wishes(before: Resource | None, after: Resource, seen: Seen) -> Iterator[Event]:
    """Yield that somebody has paused or stopped the task now."""
    had = before is not None and ((before.paused and after.paused) or before.stopped)
    if not had:
        yield from _wish(after, seen.now_ns, who=seen.who)


def _wish(resource: Resource, now_ns: int, who: str = "", late: bool = False) -> Iterator[Event]:
    """Yield that the task rests or was stopped, if it is so. Its shards follow it."""
    if resource.spec.shard or not (resource.paused or resource.stopped):
        return
    is_paused = bool(resource.paused)
    kind, step = (Kind.PAUSED, Step.PAUSED) if is_paused else (Kind.STOPPED, Step.STOPPED)
    why = resource.paused.reason or resource.reason
    yield _event(kind, step, resource, now_ns, reason=why, who=who, late=late)


def _removed(before: Resource, seen: Seen) -> Iterator[Event]:
    if _is_open(before):
        yield _over(before, RunState.STOPPED, REMOVED, seen)
    if not before.spec.shard:
        deleted = _event(Kind.DELETED, Step.REMOVED, before, seen.now_ns, epoch=0, who=seen.who)
        yield replace(deleted, generation=0)  # a task is deleted once


def _added(resource: Resource, who: str) -> Event:
    return Event(
        resource.creation_time,
        Kind.ADDED,
        Step.ASKED,
        *(resource.spec.task, resource.id, 0, 0, resource.spec.shard),
        who=who,
        spider=resource.spec.spider_name,
        labels=resource.spec.labels,
    )


def _again(resource: Resource, now_ns: int, who: str, late: bool = False) -> Event:
    """The run is left out of its key: a task is asked for once in each generation."""
    return _event(Kind.AGAIN, Step.ASKED, resource, now_ns, epoch=0, who=who, late=late)


def _placed(resource: Resource, why: str, now_ns: int) -> Event:
    return _event(
        Kind.PLACED,
        Step.PLACED,
        resource,
        now_ns,
        state=RunState.PLACED,
        worker=_worker(resource),
        reason=why,
    )


def _begun(resource: Resource, now_ns: int, late: bool = False) -> Event:
    return _event(
        Kind.BEGUN,
        Step.BEGUN,
        resource,
        now_ns,
        state=RunState.RUNNING,
        worker=_worker(resource),
        late=late,
    )


def _ended(resource: Resource, now_ns: int, late: bool = False, who: str = "") -> Event:
    return _event(
        Kind.ENDED,
        Step.ENDED,
        resource,
        now_ns,
        state=RunState.STOPPED if resource.stopped else _ENDS[resource.state],
        worker=_worker(resource),
        reason=resource.reason,
        who=who if resource.stopped else "",
        counts=resource.counts,
        late=late,
    )


def _left(before: Resource, after: Resource, seen: Seen) -> Event:
    """Return how a run ended that the task does not have any more."""
    if after.generation != before.generation:
        return _over(before, RunState.STOPPED, ANEW, seen)
    if after.paused:
        return _over(before, RunState.PAUSED, after.paused.reason, seen)
    is_interrupted = after.interruption.reason and after.interruption != before.interruption
    if is_interrupted or len(after.failed_on) > len(before.failed_on):
        return _interrupted(before, after, seen.now_ns, seen.counts)
    return _event(
        Kind.MOVED,
        Step.ENDED,
        before,
        seen.now_ns,
        state=RunState.MOVED,
        worker=_worker(before),
        reason=after.reason or (f"moved to {_worker(after)}" if after.owner else ""),
        who=seen.who,
        counts=seen.counts,
    )


def _over(before: Resource, state: RunState, reason: str, seen: Seen) -> Event:
    """Return the end of a run that somebody asked for."""
    return _event(
        Kind.ENDED,
        Step.ENDED,
        before,
        seen.now_ns,
        state=state,
        worker=_worker(before),
        reason=reason,
        who=seen.who,
        counts=seen.counts,
    )


def _interrupted(
    run: Resource, after: Resource, now_ns: int, counts: Counts = NO_COUNTS, late: bool = False
) -> Event:
    """Return the end of a run that was interrupted, or failed and is tried again. If the next run
    was placed in the same pass, the resource does not have the counts any more."""
    reason = after.interruption.reason
    worker = _worker(run) or (after.failed_on[-1] if after.failed_on and not reason else "")
    return _event(
        Kind.INTERRUPTED if reason else Kind.ENDED,
        Step.ENDED,
        run,
        now_ns,
        state=RunState.INTERRUPTED if reason else RunState.FAILED,
        worker=worker,
        reason=reason or after.reason or f"failed on {worker}, to be tried again",
        counts=counts if after.owner else after.counts,
        late=late,
    )


def _event(
    kind: Kind,
    step: Step,
    resource: Resource,
    now_ns: int,
    epoch: int | None = None,
    **more: object,
) -> Event:
    spec = resource.spec
    epoch = resource.epoch if epoch is None else epoch
    return Event(
        *(now_ns, kind, step, spec.task, resource.id, epoch, resource.generation, spec.shard),
        run=resource.run,
        spider=spec.spider_name,
        labels=spec.labels,
        **more,  # type: ignore[arg-type]
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


def _has_run(resource: Resource) -> bool:
    """Whether a run that is over had begun."""
    return resource.state is State.DONE or (
        resource.state is State.FAILED and resource.counts.seconds > 0
    )


def _was_interrupted(resource: Resource) -> bool:
    return bool(resource.interruption.reason or resource.failed_on)


def _is_anew(before: Resource, after: Resource) -> bool:
    return after.generation > before.generation and not after.spec.shard


def _is_open(resource: Resource) -> bool:
    return resource.owner is not None and not resource.state.finished


def _is_same_run(before: Resource, after: Resource) -> bool:
    if after.owner is None and not after.state.finished:
        return False
    return (before.generation, before.epoch) == (after.generation, after.epoch)


def _worker(resource: Resource) -> str:
    return resource.owner.node_id if resource.owner is not None else ""


def _is_past(run: Event, resource: Resource) -> bool:
    """Whether a run is over that the resource had. A resource that is older than the run says
    nothing."""
    mine, present = (run.generation, run.epoch), (resource.generation, resource.epoch)
    return mine < present or (mine == present and resource.owner is None)
