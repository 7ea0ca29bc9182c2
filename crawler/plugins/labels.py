"""Filter and score: the conditions of a task on the labels of its worker."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from crawler.scheduler.hookspecs import Candidate, Task, hookimpl


@hookimpl
def task_labels() -> Collection[str]:
    """It looks only at labels of workers."""
    return ()


@hookimpl
def filter_nodes(task: Task, nodes: Sequence[Candidate]) -> Mapping[str, str] | None:
    """Refuse workers that do not fulfil all required expressions. Name the first that fails."""
    required = task.constraints.required
    if not required:
        return None
    refused = {}
    for candidate in nodes:
        for expression in required:
            if not expression.holds(candidate.labels):
                refused[candidate.id] = f"does not have {expression}"
                break
    return refused


@hookimpl
def score_nodes(task: Task, nodes: Sequence[Candidate]) -> Sequence[float] | None:
    """Score each worker by the share, by weight, of the preferred expressions that it fulfils."""
    preferred = task.constraints.preferred
    total = sum(expression.weight for expression in preferred)
    if not total:
        return None
    return [sum(e.weight for e in preferred if e.holds(c.labels)) / total for c in nodes]
