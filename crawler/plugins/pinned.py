"""Filter: a task that names its worker goes only there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from crawler.model.constraints import goes_by
from crawler.scheduler.hookspecs import Candidate, Task, hookimpl


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at no label."""
    return ()


@hookimpl
def filter_nodes(task: Task, nodes: Sequence[Candidate]) -> Mapping[str, str] | None:
    """Refuse all workers but the one with that id, or with that name within its role."""
    wanted = task.constraints.node
    if not wanted:
        return None
    why = f"is not {wanted}, the only worker that it may run on"
    return {c.id: why for c in nodes if not goes_by(c.id, wanted)}
