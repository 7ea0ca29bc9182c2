"""Score: a failed run is tried again on another worker, if another suits.

This is a score that outweighs all others, and not a filter: only after all filters it is known
which workers suit. If only one suits, it may try again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from crawler.scheduler.hookspecs import Candidate, Task, hookimpl


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at no label."""
    return ()


@hookimpl
def score_nodes(task: Task, nodes: Sequence[Candidate]) -> Sequence[float] | None:
    """Score 0 where the run failed last, and 1 everywhere else."""
    if not task.failed_on:
        return None
    return [float(candidate.id not in task.failed_on) for candidate in nodes]
