"""What a pause makes of a task, and its end. Pure functions.

The wish is stored with the task. Each pass takes a paused task from whoever has it, so the pause
holds whoever leads, and whatever another program writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from crawler.model.records import NOT_PAUSED, Interruption, Pause, Resource, State

Counted = Callable[[Resource], Resource]
"""Returns a resource with the latest counts of its run."""


def as_stored(resource: Resource) -> Resource:
    """Return the resource with the counts that it has."""
    return resource


def paused(resource: Resource, reason: str, counted: Counted) -> Resource:
    """Return an unfinished resource as it rests from now on, for that reason."""
    owner = resource.owner
    node = resource.paused.node if owner is None else owner.node_id
    interruption = resource.interruption if owner is None else Interruption(reason)
    found = counted(resource).replace(running=0, interruption=interruption)
    return resting(found.replace(paused=Pause(reason, node)))


def resting(resource: Resource) -> Resource:
    """Return a paused resource as it rests: without an owner, and with the reason for that."""
    return resource.replace(owner=None, state=State.PENDING, reason=resource.paused.reason)


def resumed(resource: Resource) -> Resource:
    """Return a paused resource as it waits for a worker. It keeps the name of the worker that had
    it, for it may be paused again before it has another. If the pause ended a run, why the task is
    placed again says of both, so that nobody takes it for paused."""
    interruption = resource.interruption
    if interruption.reason == resource.paused.reason:
        interruption = replace(interruption, reason=f"{interruption.reason}, and resumed")
    return resource.replace(
        paused=Pause(node=resource.paused.node), reason="", interruption=interruption
    )


def in_line(resource: Resource) -> Resource:
    """Return a resource as its pause and its stop want it. A leader that knows neither may have run
    it all the same: then a pause is over with the task, and a stop once the task runs again."""
    if resource.has_ended:
        return resource.replace(paused=NOT_PAUSED)
    open = resource.replace(stopped=False)
    return resting(open) if open.paused else open


def like_head(shard: Resource, head: Resource, counted: Counted) -> Resource:
    """Return a shard that rests if its task does, and only then."""
    if shard.has_ended or bool(shard.paused) is bool(head.paused):
        return shard
    return paused(shard, head.paused.reason, counted) if head.paused else resumed(shard)
