"""Strategies `round-robin` and `weighted-round-robin`: the workers take turns.

A virtual time decides the turns. A turn of a worker takes 1 / its weight. The next is the worker
whose turn would end first. A worker that could not be chosen for a while gets one turn at once, but
not all that it missed: its turn ends at the present.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence

from crawler.scheduler.hookspecs import Candidate, Strategy, Task, hookimpl

WEIGHT = "weight"
"""The label of a worker for how many turns it gets in proportion to others."""

LEAST, MOST = 1e-6, 1e6
"""The bounds of a weight. Beyond them the virtual time would soon stand still."""


class RoundRobin(Strategy):
    """Gives all workers equally many turns."""

    def __init__(self, random: random.Random) -> None:
        super().__init__(random)
        self._now = 0.0
        """The virtual time at which the turn that was chosen last ends."""
        self._ends: dict[str, float] = {}
        """Worker id → the virtual time at which its last turn ends."""

    def rate(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """Rate a worker higher if its next turn would end sooner. Only the end of its own last turn
        counts, so a rating stays valid until the worker itself is chosen."""
        ends = self._ends
        return [-(ends.get(node.id, 0.0) + self._length(node)) for node in nodes]

    def chose(self, task: Task, node: Candidate) -> None:
        """Count the turn of the worker."""
        end = self._ends.get(node.id, 0.0) + self._length(node)
        self._now = self._ends[node.id] = max(self._now, end)

    def _length(self, node: Candidate) -> float:
        return 1.0


class WeightedRoundRobin(RoundRobin):
    """Gives each worker as many turns as its label `weight` says; 1 if it is not a number
    from `LEAST` to `MOST`."""

    def _length(self, node: Candidate) -> float:
        try:
            weight = float(node.labels[WEIGHT])
        except (KeyError, ValueError):
            return 1.0
        return 1.0 / weight if LEAST <= weight <= MOST else 1.0


@hookimpl
def strategies() -> Mapping[str, type[Strategy]]:
    """Return both strategies by their names."""
    return {"round-robin": RoundRobin, "weighted-round-robin": WeightedRoundRobin}


@hookimpl
def task_labels() -> Collection[str]:
    """They look at no label of tasks."""
    return ()
