"""Strategy `random`: all workers are equally likely."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from crawler.scheduler.hookspecs import Candidate, Strategy, Task, hookimpl


class Random(Strategy):
    """Draws for each task."""

    per_task: ClassVar[bool] = True

    def rate(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """Rate each worker with a random number from 0 to 1."""
        draw = self.random.random
        return [draw() for _ in nodes]


@hookimpl
def strategies() -> Mapping[str, type[Strategy]]:
    """Return the strategy by its name."""
    return {"random": Random}


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at no label."""
    return ()
