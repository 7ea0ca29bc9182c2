"""Score: workers that report a high load get fewer tasks. It is off unless it is given a weight."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from crawler.scheduler.hookspecs import Candidate, Task, hookimpl


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at no label."""
    return ()


@hookimpl
def score_nodes(task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
    """Score each worker from 1, if it has nothing to do, to 0, if its processors are busy all the
    time, or a hub of it is late by a second."""
    reported = [candidate.reported for candidate in nodes]
    return [1.0 - min(1.0, max(0.0, load.cpu, load.lag_s)) for load in reported]
