"""Strategy `random`: any worker, each as likely as the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from crawler.scheduler.hookspecs import Candidate, Strategy, Task, hookimpl


class Random(Strategy):
    """Draws anew for each task."""

    per_task: ClassVar[bool] = True

    def rate(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """A number from 0 to 1 for each."""
        draw = self.random.random
        return [draw() for _ in nodes]


@hookimpl
def strategies() -> Mapping[str, type[Strategy]]:
    """The strategy by its name."""
    return {"random": Random}


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at no label."""
    return ()
