"""The workers as plugins see them, alone (`Candidate`) or as part of a domain (`Domain`).

The counts belong to the `ClusterState`. It changes them when tasks arrive and leave, and while a
pass places tasks. Plugins only read them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from crawler.model.constraints import NODE, UNBOUNDED
from crawler.model.records import Node, WorkerLoad
from crawler.scheduler.task import PLAIN, Load


class Tally:
    """The sums of unfinished tasks, on one worker or in one domain."""

    __slots__ = ("_labels", "_repelled", "_shards")

    def __init__(self) -> None:
        self._labels: dict[tuple[str, str], int] = {}
        self._repelled: dict[tuple[str, str, str], int] = {}
        self._shards: dict[str, int] = {}

    def count(self, label: str, value: str) -> int:
        """Return how many unfinished tasks have that label with that value."""
        return self._labels.get((label, value), 0)

    def shards(self, task: str) -> int:
        """Return how many unfinished shards of that task are here, its head among them."""
        return self._shards.get(task, 0)

    def repels(self, over: str, label: str, value: str) -> bool:
        """Whether an unfinished task here must be apart, over domains of the label `over`, from
        tasks with that label and value."""
        return (over, label, value) in self._repelled

    def add(self, load: Load, sign: int) -> None:
        """Add an unfinished task to the sums (`sign` 1), or remove it (-1)."""
        for pair in load.labels:
            _count(self._labels, pair, sign)
        for term in load.repels:
            _count(self._repelled, term, sign)
        if load.shard_of:
            _count(self._shards, load.shard_of, sign)

    def _copy_counts(self, other: Tally) -> None:
        self._labels = dict(other._labels)
        self._repelled = dict(other._repelled)
        self._shards = dict(other._shards)


class Candidate(Tally):
    """A live worker with its tasks, at this point of the pass."""

    __slots__ = ("_used", "id", "node", "owned", "reported", "schedulable", "unfinished")

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node
        self.id = node.id
        """The id of the worker."""
        self.unfinished = 0
        """How many of its tasks are neither done nor failed, including those placed earlier in this
        pass."""
        self.owned = 0
        """How many tasks it owns in all."""
        self.reported = WorkerLoad()
        """The load that the worker reported last."""
        self.schedulable = True
        """Whether it takes new tasks."""
        self._used: dict[str, float] = {}

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the worker."""
        return self.node.labels

    @property
    def value(self) -> str:
        """Its value as a domain of its own (`over: node`): its id."""
        return self.node.id

    def without(self, load: Load, finished: bool) -> Candidate:
        """Return a copy that does not count one of its tasks."""
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
        """Return how much of a quantity its unfinished tasks request."""
        return self._used.get(quantity, 0.0)

    @property
    def amounts(self) -> Mapping[str, float]:
        """Quantity → how much of it the unfinished tasks request."""
        return {quantity: amount for quantity, amount in self._used.items() if amount}

    def capacity(self, quantity: str) -> float:
        """Return how much of a quantity the worker has; infinite if it is not limited."""
        return self.node.capacity.get(quantity, float("inf") if quantity in UNBOUNDED else 0.0)

    def add(self, load: Load, sign: int) -> None:
        """Add an unfinished task to the sums (`sign` 1), or remove it (-1)."""
        self.unfinished += sign
        if load is PLAIN:
            return
        super().add(load, sign)
        for quantity, amount in load.requests:
            # Sums of fractions drift. Rounding makes taking and returning an amount cancel out.
            self._used[quantity] = round(self._used.get(quantity, 0.0) + sign * amount, 6)


class Domain(Tally):
    """All live workers that have the same value of a label."""

    __slots__ = ("key", "value", "workers")

    def __init__(self, key: str, value: str) -> None:
        super().__init__()
        self.key = key
        """The label."""
        self.value = value
        """The value of the label; empty for workers without the label, which have nothing in
        common."""
        self.workers = 0
        """How many workers it has."""

    def without(self, load: Load) -> Domain:
        """Return a copy that does not count one of its unfinished tasks."""
        copied = Domain(self.key, self.value)
        copied.workers = self.workers
        copied._copy_counts(self)
        copied.add(load, -1)
        return copied


Place = Candidate | Domain
"""What `filter_domains` and `score_domains` judge. For `node` these are the workers themselves."""


def place_of(node: Node, key: str) -> str:
    """Return the value of the domain of a worker, over that label."""
    return node.id if key == NODE else node.labels.get(key, "")


def _count(counts: dict[Any, int], key: Hashable, sign: int) -> None:
    count = counts.get(key, 0) + sign
    if count:
        counts[key] = count
    else:
        counts.pop(key, None)
