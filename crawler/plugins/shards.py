"""Score: the shards of a task go to different workers, as long as there are enough.

It is a preference, so that a task also runs where there are fewer workers than it asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from crawler.scheduler.hookspecs import Candidate, Task, hookimpl


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at no labels."""
    return ()


@hookimpl
def score_room(task: Task, nodes: Sequence[Candidate]) -> Sequence[float] | None:
    """Score each worker by how few shards of the task it has: 1 for none, 1/2 for one, and so
    on."""
    if not task.shard_of:
        return None
    return [1.0 / (1 + candidate.shards(task.shard_of)) for candidate in nodes]
