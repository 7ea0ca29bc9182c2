"""The workers as plugins see them: each with what it owns, alone or as part of a place.

The counts belong to the `ClusterState`, which changes them as tasks come and go and while a pass
places them; plugins only read.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from crawler.model.constraints import NODE, UNBOUNDED
from crawler.model.records import Node, WorkerLoad
from crawler.scheduler.task import PLAIN, Load


class Tally:
    """What unfinished tasks add up to, on one worker or on all of a place."""

    __slots__ = ("_labels", "_repelled")

    def __init__(self) -> None:
        self._labels: dict[tuple[str, str], int] = {}
        self._repelled: dict[tuple[str, str, str], int] = {}

    def count(self, label: str, value: str) -> int:
        """How many unfinished tasks have that label with that value."""
        return self._labels.get((label, value), 0)

    def repels(self, over: str, label: str, value: str) -> bool:
        """Whether an unfinished task here wants to be apart, over that kind of place, from tasks
        with that label."""
        return (over, label, value) in self._repelled

    def add(self, load: Load, sign: int) -> None:
        """Count an unfinished task in (1) or out (-1)."""
        for pair in load.labels:
            _count(self._labels, pair, sign)
        for term in load.repels:
            _count(self._repelled, term, sign)

    def _copy_counts(self, other: Tally) -> None:
        self._labels = dict(other._labels)
        self._repelled = dict(other._repelled)


class Candidate(Tally):
    """A live worker, with what it owns at this point of the pass."""

    __slots__ = ("_used", "id", "node", "owned", "reported", "schedulable", "unfinished")

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node
        self.id = node.id
        """The id of the worker."""
        self.unfinished = 0
        """Tasks that are not done or failed, those placed earlier in this pass included."""
        self.owned = 0
        """Tasks in all."""
        self.reported = WorkerLoad()
        """What the worker last said of itself."""
        self.schedulable = True
        """Whether it takes new tasks."""
        self._used: dict[str, float] = {}

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the worker."""
        return self.node.labels

    @property
    def value(self) -> str:
        """As a place of its own (`over: node`) it goes by its id."""
        return self.node.id

    def without(self, load: Load, finished: bool) -> Candidate:
        """A copy that does not count one of its tasks."""
        copied = Candidate(self.node)
        copied.unfinished, copied.owned, copied.reported = (
            self.unfinished,
            self.owned - 1,
            self.reported,
        )
        copied.schedulable = self.schedulable
        copied._used = dict(self._used)
        copied._copy_counts(self)
        if not finished:
            copied.add(load, -1)
        return copied

    def used(self, quantity: str) -> float:
        """How much of a quantity its unfinished tasks asked for."""
        return self._used.get(quantity, 0.0)

    @property
    def amounts(self) -> Mapping[str, float]:
        """How much of which quantity its unfinished tasks asked for."""
        return {quantity: amount for quantity, amount in self._used.items() if amount}

    def capacity(self, quantity: str) -> float:
        """How much of a quantity it has; infinite where it is not limited."""
        return self.node.capacity.get(quantity, float("inf") if quantity in UNBOUNDED else 0.0)

    def add(self, load: Load, sign: int) -> None:
        """Count an unfinished task in or out."""
        self.unfinished += sign
        if load is PLAIN:
            return
        super().add(load, sign)
        for quantity, amount in load.requests:
            # Sums of fractions drift; rounded, what was taken and given back is as it was.
            self._used[quantity] = round(self._used.get(quantity, 0.0) + sign * amount, 6)


class Domain(Tally):
    """A place: all live workers that have the same value of a label."""

    __slots__ = ("key", "value", "workers")

    def __init__(self, key: str, value: str) -> None:
        super().__init__()
        self.key = key
        """The label."""
        self.value = value
        """Its value; empty for the workers without that label, which are no place in common."""
        self.workers = 0
        """How many they are."""

    def without(self, load: Load) -> Domain:
        """A copy that does not count one of its unfinished tasks."""
        copied = Domain(self.key, self.value)
        copied.workers = self.workers
        copied._copy_counts(self)
        copied.add(load, -1)
        return copied


Place = Candidate | Domain
"""What `filter_domains` and `score_domains` look at: for `node`, the workers themselves."""


def place_of(node: Node, key: str) -> str:
    """The value of the place, over that label, in which a worker stands."""
    return node.id if key == NODE else node.labels.get(key, "")


def _count(counts: dict[Any, int], key: Hashable, sign: int) -> None:
    count = counts.get(key, 0) + sign
    if count:
        counts[key] = count
    else:
        counts.pop(key, None)
