"""Strategies `round-robin` and `weighted-round-robin`: the workers take turns.

Turns are told by a virtual time. A turn of a worker takes 1 / its weight, and next is the worker
whose turn would end first. A worker that could not be chosen for a while gets one turn at once, and
not all that it missed: that turn ends in the present.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence

from crawler.scheduler.hookspecs import Candidate, Strategy, Task, hookimpl

WEIGHT = "weight"
"""Label of a worker: how many turns it gets beside others."""


class RoundRobin(Strategy):
    """All get as many turns."""

    def __init__(self, random: random.Random) -> None:
        super().__init__(random)
        self._now = 0.0
        """When the turn chosen last ends."""
        self._ends: dict[str, float] = {}
        """Worker id → when its last turn ends."""

    def rate(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """The sooner its next turn would end, the better; only the end of its last turn counts, so
        that a rating holds until the worker itself is chosen."""
        ends = self._ends
        return [-(ends.get(node.id, 0.0) + self._length(node)) for node in nodes]

    def chose(self, task: Task, node: Candidate) -> None:
        """It has its turn."""
        end = self._ends.get(node.id, 0.0) + self._length(node)
        self._now = self._ends[node.id] = max(self._now, end)

    def _length(self, node: Candidate) -> float:
        return 1.0


class WeightedRoundRobin(RoundRobin):
    """Each gets as many turns as its label `weight` says; 1 where it says no number above 0."""

    def _length(self, node: Candidate) -> float:
        try:
            length = 1.0 / float(node.labels[WEIGHT])
        except (KeyError, ValueError, ZeroDivisionError):
            return 1.0
        return length if 0.0 < length < float("inf") else 1.0


@hookimpl
def strategies() -> Mapping[str, type[Strategy]]:
    """Both strategies by their names."""
    return {"round-robin": RoundRobin, "weighted-round-robin": WeightedRoundRobin}


@hookimpl
def task_labels() -> Collection[str]:
    """They look at no label of tasks."""
    return ()
