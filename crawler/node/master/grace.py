"""Which workers a leader counts on: who is alive, who may yet come back, who takes new tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from crawler.model.records import Node, Owner, Resource


class Incarnation(NamedTuple):
    """One life of a worker."""

    node_id: str
    revision: int
    """Create revision of its registration; 0 when another program did not say."""


def incarnation_of(owner: Owner) -> Incarnation:
    """The life of a worker that an assignment was made to."""
    return Incarnation(owner.node_id, owner.incarnation)


@dataclass(frozen=True, slots=True)
class WorkerGrace:
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


class Grace:
    """The time that a new leader gives to the workers it misses before it declares them dead.

    While nobody led, or etcd stood still, leases may have ended by the dozen, and their workers are
    about to register again. Without the grace the first of them would get the tasks of all.
    """

    def __init__(self, absent: Iterable[Incarnation], until_s: float) -> None:
        self._absent = frozenset(absent)
        self._until_s = until_s

    @classmethod
    def begin(
        cls, resources: Iterable[Resource], live: Mapping[str, Node], until_s: float
    ) -> Grace:
        """For the owners of unfinished resources that are not registered now."""
        present = WorkerGrace(live)
        owners = {r.owner for r in resources if r.owner is not None and not r.state.finished}
        return cls((incarnation_of(o) for o in owners if not present.stands_by(o)), until_s)

    def left_s(self, now_s: float) -> float:
        """Seconds until it ends; 0 when it has, or when nobody is missed."""
        return max(0.0, self._until_s - now_s) if self._absent else 0.0

    def spared(self, now_s: float) -> frozenset[Incarnation]:
        """Those that are not to be declared dead yet."""
        return self._absent if self.left_s(now_s) else frozenset()
