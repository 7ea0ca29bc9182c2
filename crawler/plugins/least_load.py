"""Strategy `least-load`: the worker with the fewest unfinished tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from crawler.scheduler.hookspecs import Candidate, Rating, Task, hookimpl


@hookimpl
def strategies() -> Mapping[str, Rating]:
    """Return the strategy by its name."""
    return {"least-load": least_load}


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at no label."""
    return ()


def least_load(task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
    """Rate workers with fewer unfinished tasks higher."""
    return [-candidate.unfinished for candidate in nodes]
