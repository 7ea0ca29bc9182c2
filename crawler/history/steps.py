"""The steps of a task and of its runs, as events. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator

from crawler.model.history import Event, Kind, RunState, Step
from crawler.model.records import NO_COUNTS, Counts, Resource, State

_ENDS = {State.DONE: RunState.DONE, State.FAILED: RunState.FAILED}


def added(resource: Resource, who: str) -> Event:
    return Event(
        resource.creation_time,
        Kind.ADDED,
        Step.ASKED,
        *(resource.spec.task, resource.id, 0, 0, resource.spec.shard),
        who=who,
        spider=resource.spec.spider_name,
        labels=resource.spec.labels,
    )


def again(resource: Resource, now_ns: int, who: str, late: bool = False) -> Event:
    """The run is left out of its key: a task is asked for once in each generation."""
    return event(Kind.AGAIN, Step.ASKED, resource, now_ns, epoch=0, who=who, late=late)


def placed(resource: Resource, why: str, now_ns: int) -> Event:
    return event(
        Kind.PLACED,
        Step.PLACED,
        resource,
        now_ns,
        state=RunState.PLACED,
        worker=worker_of(resource),
        reason=why,
    )


def begun(resource: Resource, now_ns: int, late: bool = False) -> Event:
    return event(
        Kind.BEGUN,
        Step.BEGUN,
        resource,
        now_ns,
        state=RunState.RUNNING,
        worker=worker_of(resource),
        late=late,
    )


def ended(resource: Resource, now_ns: int, late: bool = False, who: str = "") -> Event:
    return event(
        Kind.ENDED,
        Step.ENDED,
        resource,
        now_ns,
        state=RunState.STOPPED if resource.stopped else _ENDS[resource.state],
        worker=worker_of(resource),
        reason=resource.reason,
        who=who if resource.stopped else "",
        counts=resource.counts,
        late=late,
    )


def interrupted(
    run: Resource, after: Resource, now_ns: int, counts: Counts = NO_COUNTS, late: bool = False
) -> Event:
    """Return the end of a run that was interrupted, or failed and is tried again. If the next run
    was placed in the same pass, the resource does not have the counts any more."""
    reason = after.interruption.reason
    worker = worker_of(run) or (after.failed_on[-1] if after.failed_on and not reason else "")
    return event(
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


def wish(resource: Resource, now_ns: int, who: str = "", late: bool = False) -> Iterator[Event]:
    """Yield that the task rests or was stopped, if it is so. Its shards follow it."""
    if resource.spec.shard or not (resource.paused or resource.stopped):
        return
    is_paused = bool(resource.paused)
    kind, step = (Kind.PAUSED, Step.PAUSED) if is_paused else (Kind.STOPPED, Step.STOPPED)
    why = resource.paused.reason or resource.reason
    yield event(kind, step, resource, now_ns, reason=why, who=who, late=late)


def goes_on(resource: Resource, now_ns: int, who: str) -> Iterator[Event]:
    """Yield that a paused task rests no more. Its shards follow it."""
    if not resource.spec.shard:
        yield event(Kind.UNPAUSED, Step.RESUMED, resource, now_ns, who=who)


def event(
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


def worker_of(resource: Resource) -> str:
    return resource.owner.node_id if resource.owner is not None else ""


def has_run(resource: Resource) -> bool:
    """Whether a run that is over had begun."""
    return resource.state is State.DONE or (
        resource.state is State.FAILED and resource.counts.seconds > 0
    )
