"""Filter: the tasks of a worker together do not request more than it has."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from crawler.model.constraints import says_yes
from crawler.scheduler.hookspecs import Candidate, Cluster, Task, hookimpl


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at no label."""
    return ()


@hookimpl
def filter_room(
    task: Task, nodes: Sequence[Candidate], cluster: Cluster
) -> Mapping[str, str] | None:
    """Refuse workers that have too little left of any quantity."""
    requests = task.constraints.requests
    if not requests:
        return None
    refused = {}
    for candidate in nodes:
        for quantity, amount in requests:
            used = candidate.used(quantity)
            if round(used + amount, 6) > _capacity(candidate, quantity):
                refused[candidate.id] = _why(candidate, quantity, amount)
                break
    return refused


def _capacity(candidate: Candidate, quantity: str) -> float:
    """Return the capacity of a worker. A label `gpu` without a number means that any amount
    fits."""
    if quantity == "gpu" and quantity not in candidate.node.capacity:
        return float("inf") if says_yes(candidate.labels.get(quantity)) else 0.0
    return candidate.capacity(quantity)


def _why(candidate: Candidate, quantity: str, amount: float) -> str:
    capacity = candidate.capacity(quantity)
    left = max(0.0, round(capacity - candidate.used(quantity), 6))
    return f"has {left:g} of {capacity:g} {quantity} left, {amount:g} is asked for"
