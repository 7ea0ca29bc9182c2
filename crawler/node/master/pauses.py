"""What a pause makes of a task, and its end. Pure functions.

The wish is stored with the task. Each pass takes a paused task from whoever has it, so the pause
holds whoever leads, and whatever another program writes.
"""

from __future__ import annotations

from collections.abc import Callable

from crawler.model.records import NOT_PAUSED, Interruption, Pause, Resource, State

Counted = Callable[[Resource], Resource]
"""Returns a resource with the latest counts of its run."""


def as_stored(resource: Resource) -> Resource:
    """Return the resource with the counts that it has."""
    return resource


def paused(resource: Resource, reason: str, counted: Counted) -> Resource:
    """Return an unfinished resource as it rests from now on, for that reason."""
    node = resource.owner.node_id if resource.owner is not None else ""
    interruption = Interruption(reason) if node else resource.interruption
    found = counted(resource).replace(running=0, interruption=interruption)
    return resting(found.replace(paused=Pause(reason, node)))


def resting(resource: Resource) -> Resource:
    """Return a paused resource as it rests: without an owner, and with the reason for that."""
    return resource.replace(owner=None, state=State.PENDING, reason=resource.paused.reason)


def resumed(resource: Resource) -> Resource:
    """Return a paused resource as it waits for a worker."""
    return resource.replace(paused=NOT_PAUSED, reason="")


def like_head(shard: Resource, head: Resource, counted: Counted) -> Resource:
    """Return a shard that rests if its task does, and only then."""
    if shard.state.finished or bool(shard.paused) is bool(head.paused):
        return shard
    return paused(shard, head.paused.reason, counted) if head.paused else resumed(shard)
