"""The grace: the time that a new leader gives missing workers to come back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crawler.model.records import Node, Resource
from crawler.node.master.workers import Incarnation, WorkerSnapshot, incarnation_of


class GracePeriod:
    """The missing workers, and the time until which the leader waits for them.

    While nobody led, or etcd did not answer, dozens of leases may have ended. Their workers will
    soon register again. Without the grace, the first worker to register would get the tasks of all.
    """

    def __init__(self, absent: Iterable[Incarnation], until_s: float) -> None:
        self._absent = frozenset(absent)
        self._until_s = until_s

    @classmethod
    def begin(
        cls, resources: Iterable[Resource], live: Mapping[str, Node], until_s: float
    ) -> GracePeriod:
        """Return the grace of all owners of unfinished resources that are not registered now."""
        present = WorkerSnapshot(live)
        owners = {r.owner for r in resources if r.owner is not None and not r.state.finished}
        return cls((incarnation_of(o) for o in owners if not present.stands_by(o)), until_s)

    def left_s(self, now_s: float) -> float:
        """Return the seconds until the grace ends; 0 if it has ended, or if no worker is
        missing."""
        return max(0.0, self._until_s - now_s) if self._absent else 0.0

    def spared(self, now_s: float) -> frozenset[Incarnation]:
        """Return the workers that must not be declared dead yet."""
        return self._absent if self.left_s(now_s) else frozenset()
