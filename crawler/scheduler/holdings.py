"""What the cluster state knows of each task, with indexes by worker, by spider and by repelled
label.

This module does not know which workers live.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from crawler.model.records import Node, Owner, Resource, Spec, State
from crawler.scheduler.task import Load


class Holding(NamedTuple):
    """What the cluster state knows of one task."""

    state: State
    owner: Owner | None
    load: Load
    group: str
    awaited: str
    """The spider that the task waits for, because no worker had it; empty for all other tasks."""
    spec: Spec

    def tells_of(self, resource: Resource) -> bool:
        """Whether the resource has the same content as this holding, by a quick comparison."""
        return (
            self.spec is resource.spec
            and self.state is resource.state
            and self.owner is resource.owner
            and bool(self.awaited) is resource.awaits_spider
        )

    @property
    def open(self) -> bool:
        """Whether the task has an owner and is unfinished."""
        return self.owner is not None and not self.state.finished


class Holdings:
    """The holding of each task, by name."""

    def __init__(self) -> None:
        self._held: dict[str, Holding] = {}
        self.get: Callable[[str], Holding | None] = self._held.get
        """What is believed of a task. Each task is looked up several times in a pass: no call of
        ours stands between."""
        self._on_node: dict[str, set[str]] = {}
        """Node id → the tasks assigned to that node, in any of its lives."""
        self._awaiting: dict[str, set[str]] = {}
        """Spider → the tasks that wait for a worker with it."""
        self._repelling: dict[tuple[str, str], Counter[str]] = {}
        """Label and value that unfinished tasks want to be apart from → the labels of the domains.
        Waiting tasks count too, because a pass may place them at any moment."""

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def of(self, name: str) -> Holding:
        """Return what is believed of a task that is there."""
        return self._held[name]

    def on(self, node: Node) -> Iterator[Holding]:
        """Yield the tasks that this exact life of a worker owns."""
        for name in self._on_node.get(node.id, ()):
            holding = self._held[name]
            if holding.owner is not None and node.owns(holding.owner):
                yield holding

    def names_on(self, node_id: str) -> Iterable[str]:
        """Return the names of the tasks assigned to a node, in any of its lives."""
        return tuple(self._on_node.get(node_id, ()))

    def awaiting(self, node: Node) -> Iterator[str]:
        """Yield the tasks that wait for a spider which this worker has."""
        for spider, names in self._awaiting.items():
            if node.has_spider(spider):
                yield from names

    def repelled_over(self, labels: Mapping[str, str]) -> set[str]:
        """Return the labels over whose domains some task wants to be apart from tasks with these
        labels."""
        return {over for pair in labels.items() for over in self._repelling.get(pair, ())}

    def put(self, name: str, now: Holding) -> None:
        """Add a task that is not there yet."""
        self._held[name] = now
        if now.load.repels:
            self._repel(now, 1)
        if now.awaited:
            self._awaiting.setdefault(now.awaited, set()).add(name)
        if now.owner is not None:
            self._index_owner(name, now.owner.node_id)

    def remove(self, name: str, before: Holding) -> None:
        """Remove a task, which had this holding."""
        del self._held[name]
        if before.load.repels:
            self._repel(before, -1)
        if before.awaited:
            _discard(self._awaiting, before.awaited, name)
        if before.owner is not None:
            _discard(self._on_node, before.owner.node_id, name)

    def assign(self, name: str, held: Holding, owner: Owner) -> Holding:
        """Give a task to a worker. Return its new holding."""
        state, previous, load, group, awaited, spec = held
        now = Holding(State.ASSIGNED, owner, load, group, "", spec)
        is_plain = previous is None and not awaited
        if is_plain and state is State.PENDING:  # there is little to index
            self._held[name] = now
            self._index_owner(name, owner.node_id)
        else:
            self.remove(name, held)
            self.put(name, now)
        return now

    def _index_owner(self, name: str, node_id: str) -> None:
        there = self._on_node.get(node_id)
        if there is None:
            there = self._on_node[node_id] = set()
        there.add(name)

    def _repel(self, holding: Holding, sign: int) -> None:
        """Count (`sign` 1) or remove (-1) what an unfinished task wants to be apart from."""
        if holding.state.finished:
            return
        for over, label, value in holding.load.repels:
            kinds = self._repelling.get((label, value))
            if kinds is None:
                kinds = self._repelling[label, value] = Counter()
            kinds[over] += sign
            if not kinds[over]:
                del kinds[over]
            if not kinds:
                del self._repelling[label, value]


def _discard(index: dict[str, set[str]], key: str, name: str) -> None:
    names = index[key]
    names.discard(name)
    if not names:
        del index[key]
