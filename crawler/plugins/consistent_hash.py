"""Strategy `consistent-hash`: the name of a task decides, whatever the load.

Rendezvous hashing: each worker gets a number from the task's name and its own id, and the highest
number wins. When a worker leaves, only its tasks move. When one joins, it takes over its share, and
nothing else moves. All processes agree at any time.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from crawler.scheduler.hookspecs import Candidate, Strategy, Task, hookimpl

MOST_KNOWN = 100_000
"""For how many worker ids the numbers are kept."""


class ConsistentHash(Strategy):
    """It needs one multiplication a pair, because there may be 1,000 workers for each task."""

    per_task: ClassVar[bool] = True

    def __init__(self, random: random.Random) -> None:
        super().__init__(random)
        self._known: dict[str, float] = {}

    def rate(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """Rate each worker by the fraction of the product of its number and the task's, from 0 to
        1. Floating point multiplies equally everywhere, to the last bit."""
        name = float(_digest(task.name) >> 37)  # 27 bits before the point leave 26 behind it
        known = self._known
        try:
            return [name * known[node.id] % 1.0 for node in nodes]
        except KeyError:
            self._learn(nodes)
            return [name * known[node.id] % 1.0 for node in nodes]

    def _learn(self, nodes: Sequence[Candidate]) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known.update({node.id: 1.0 + _digest(node.id) / 2**64 for node in nodes})


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


@hookimpl
def strategies() -> Mapping[str, type[Strategy]]:
    """Return the strategy by its name."""
    return {"consistent-hash": ConsistentHash}


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at no label."""
    return ()
