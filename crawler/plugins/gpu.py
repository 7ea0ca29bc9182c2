"""Filter and score: workers with a GPU are for the tasks that need one.

A task needs a GPU if it requests `gpu`, or if its label `gpu` says yes. A worker has one if its
capacity says how many, or if its label `gpu` says yes. `resources` checks how many are left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from crawler.model.constraints import says_yes
from crawler.scheduler.hookspecs import Candidate, Task, hookimpl

GPU = "gpu"


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at one label."""
    return {GPU}


@hookimpl
def filter_nodes(task: Task, nodes: Sequence[Candidate]) -> Mapping[str, str] | None:
    """Refuse workers without a GPU to a task that needs one."""
    if not _needed(task):
        return None
    return {c.id: "has no GPU" for c in nodes if not _present(c)}


@hookimpl
def score_nodes(task: Task, nodes: Sequence[Candidate]) -> Sequence[float] | None:
    """Keep other tasks away from workers with a GPU: workers without one score 1."""
    if _needed(task):
        return None
    points = [0.0 if _present(candidate) else 1.0 for candidate in nodes]
    return points if 0.0 in points else None


def _needed(task: Task) -> bool:
    return says_yes(task.labels.get(GPU)) or dict(task.constraints.requests).get(GPU, 0.0) > 0.0


def _present(candidate: Candidate) -> bool:
    return says_yes(candidate.labels.get(GPU)) or candidate.capacity(GPU) > 0.0
