"""The workers as the leader judges them: live, spared for a grace, or cordoned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from crawler.model.records import Node, Owner


class Incarnation(NamedTuple):
    """One life of a worker."""

    node_id: str
    revision: int
    """The create revision of its registration, or 0 if another program did not write it."""


def incarnation_of(owner: Owner) -> Incarnation:
    """Return the life of a worker to which an assignment was made."""
    return Incarnation(owner.node_id, owner.incarnation)


@dataclass(frozen=True, slots=True)
class WorkerSnapshot:
    """The workers as the leader judges them at one moment."""

    live: Mapping[str, Node]
    """The registered workers by id."""
    spared: frozenset[Incarnation] = frozenset()
    """Workers that were missing when the leader took over, and are not declared dead yet."""
    cordoned: frozenset[str] = frozenset()
    """The ids of the workers that must have no tasks."""
    hosts_lost: Mapping[str, float] = field(default_factory=dict)
    """The hosts of masters that went without notice, and when (monotonic)."""

    def stands_by(self, owner: Owner) -> bool:
        """Whether that life of a worker goes on, or may come back."""
        node = self.live.get(owner.node_id)
        # If another life has this id, the earlier life is certainly over.
        return node.owns(owner) if node is not None else incarnation_of(owner) in self.spared

    @property
    def schedulable(self) -> Iterator[Node]:
        """The live workers that take new tasks."""
        for node in self.live.values():
            if not node.draining and node.id not in self.cordoned:
                yield node

    def has_spider(self, spider: str) -> bool:
        """Whether a worker that takes new tasks can run that spider."""
        return any(node.has_spider(spider) for node in self.schedulable)
