"""Filter and score: keeps tasks away from workers whose taints they do not tolerate."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from crawler.model.constraints import Effect, Taint
from crawler.scheduler.hookspecs import Candidate, Task, hookimpl


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at no label."""
    return ()


@hookimpl
def filter_nodes(task: Task, nodes: Sequence[Candidate]) -> Mapping[str, str] | None:
    """Refuse workers with a `NoSchedule` taint that the task does not tolerate."""
    refused = {}
    for candidate in nodes:
        taint = next(_minded(task, candidate, Effect.NO_SCHEDULE), None)
        if taint is not None:
            refused[candidate.id] = f"has the taint {taint}"
    return refused or None


@hookimpl
def score_nodes(task: Task, nodes: Sequence[Candidate]) -> Sequence[float] | None:
    """Score 1 without a `PreferNoSchedule` taint that the task does not tolerate, 0 for the most
    such taints."""
    counts = [sum(1 for _ in _minded(task, c, Effect.PREFER_NO_SCHEDULE)) for c in nodes]
    most = max(counts)
    return [1.0 - count / most for count in counts] if most else None


def _minded(task: Task, candidate: Candidate, effect: Effect) -> Iterator[Taint]:
    """Yield the taints of that effect that the task does not tolerate."""
    tolerations = task.constraints.tolerations
    for taint in candidate.node.taints:
        if taint.effect is effect and not any(each.covers(taint) for each in tolerations):
            yield taint
