"""Which workers a leader counts on: who is alive, who may yet come back, who takes new tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from crawler.model.records import Node, Owner


class Incarnation(NamedTuple):
    """One life of a worker."""

    node_id: str
    revision: int
    """Create revision of its registration; 0 when another program did not say."""


def incarnation_of(owner: Owner) -> Incarnation:
    """The life of a worker that an assignment was made to."""
    return Incarnation(owner.node_id, owner.incarnation)


@dataclass(frozen=True, slots=True)
class WorkerSnapshot:
    """The workers as a leader judges them at one moment."""

    live: Mapping[str, Node]
    """The registered ones by id."""
    spared: frozenset[Incarnation] = frozenset()
    """Absent when the leader took over, and not yet declared dead."""
    cordoned: frozenset[str] = frozenset()
    """Ids of those that shall have no tasks."""

    def stands_by(self, owner: Owner) -> bool:
        """Whether that life of a worker goes on, or may yet."""
        node = self.live.get(owner.node_id)
        # Under its id lives another: the earlier life is surely over.
        return node.owns(owner) if node is not None else incarnation_of(owner) in self.spared

    @property
    def schedulable(self) -> Iterator[Node]:
        """Those that take tasks."""
        for node in self.live.values():
            if not node.draining and node.id not in self.cordoned:
                yield node

    def has_spider(self, spider: str) -> bool:
        """Whether a worker that takes tasks can run that spider."""
        return any(node.has_spider(spider) for node in self.schedulable)
