"""Score: a run that failed is tried again on another worker, if any other suits.

A score that outweighs all others, and no filter: which workers suit is known when all filters were
asked, and the only one that does may try again.
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
    """0 where the run failed last, 1 everywhere else."""
    if not task.failed_on:
        return None
    return [float(candidate.id not in task.failed_on) for candidate in nodes]
