"""The time that a new leader gives to the workers it misses before it declares them dead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crawler.model.records import Node, Resource
from crawler.node.master.workers import Incarnation, WorkerSnapshot, incarnation_of


class GracePeriod:
    """Who is missed, and until when the leader waits for them.

    While nobody led, or etcd stood still, leases may have ended by the dozen, and their workers are
    about to register again. Without the grace the first of them would get the tasks of all.
    """

    def __init__(self, absent: Iterable[Incarnation], until_s: float) -> None:
        self._absent = frozenset(absent)
        self._until_s = until_s

    @classmethod
    def begin(
        cls, resources: Iterable[Resource], live: Mapping[str, Node], until_s: float
    ) -> GracePeriod:
        """For the owners of unfinished resources that are not registered now."""
        present = WorkerSnapshot(live)
        owners = {r.owner for r in resources if r.owner is not None and not r.state.finished}
        return cls((incarnation_of(o) for o in owners if not present.stands_by(o)), until_s)

    def left_s(self, now_s: float) -> float:
        """Seconds until it ends; 0 when it has, or when nobody is missed."""
        return max(0.0, self._until_s - now_s) if self._absent else 0.0

    def spared(self, now_s: float) -> frozenset[Incarnation]:
        """Those that are not to be declared dead yet."""
        return self._absent if self.left_s(now_s) else frozenset()
