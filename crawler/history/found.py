"""Says what a later leader finds that no leader has told. Pure functions.

It follows from the resource alone, and names the same steps of the same runs as the changes do
(`events.py`). So the database keeps each once, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Iterator

from crawler.history.steps import added, again, begun, ended, has_run, interrupted, placed, wish
from crawler.model.history import Event, Kind, RunState, Step
from crawler.model.records import Resource, State

FOUND_GONE = "a later leader found that the task was deleted"
FOUND_OVER = "a later leader found that the run was over"


def standing(resource: Resource, now_ns: int) -> Iterator[Event]:
    """Yield what a resource says of itself, for a leader that finds it. One that another program
    wrote has no id yet, and says nothing."""
    if not resource.id:
        return
    if not resource.spec.shard:
        yield added(resource, "")
        if resource.generation:
            yield again(resource, now_ns, "", late=True)
    if resource.owner is not None and resource.epoch:
        yield placed(resource, resource.told_reason, resource.assigned_time or now_ns)
        if resource.state is State.RUNNING or has_run(resource):
            yield begun(resource, now_ns, late=True)
        if resource.state.finished:
            yield ended(resource, now_ns, late=True)
    elif resource.epoch and not resource.paused and _was_interrupted(resource):
        yield interrupted(resource, resource, now_ns, late=True)
    yield from wish(resource, now_ns, late=True)


def over(resource: Resource | None, run: Event, now_ns: int) -> Event | None:
    """Return the end of a run that has none yet, if the present resource shows that it is over."""
    if resource is not None and not _is_past(run, resource):
        return None
    state, reason = _end(resource)
    return Event(
        now_ns,
        Kind.ENDED,
        Step.ENDED,
        *(run.task, run.id, run.epoch, run.generation, run.shard),
        run=run.run,
        state=state,
        worker=run.worker,
        reason=reason,
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


def _end(resource: Resource | None) -> tuple[RunState, str]:
    """Return how a run ended of which the present resource shows only that it is over, and why."""
    if resource is None:
        return RunState.STOPPED, FOUND_GONE
    if resource.paused:
        return RunState.PAUSED, resource.paused.reason
    return RunState.UNKNOWN, FOUND_OVER


def _is_past(run: Event, resource: Resource) -> bool:
    """Whether a run is over that the resource had. A resource that is older than the run says
    nothing."""
    mine, present = (run.generation, run.epoch), (resource.generation, resource.epoch)
    return mine < present or (mine == present and resource.owner is None)


def _was_interrupted(resource: Resource) -> bool:
    return bool(resource.interruption.reason or resource.failed_on)
