"""Strategy `least-load`: the worker with the fewest unfinished tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crawler.records import Spec
from crawler.scheduler.hookspecs import Candidate, Strategy, hookimpl


@hookimpl
def strategies() -> Mapping[str, Strategy]:
    """The strategy by its name."""
    return {"least-load": least_load}


def least_load(task: Spec, nodes: Sequence[Candidate]) -> Sequence[float]:
    """The fewer unfinished tasks, the better."""
    return [float(-candidate.unfinished) for candidate in nodes]
