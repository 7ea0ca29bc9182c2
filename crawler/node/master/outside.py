"""Knows of which deaths of workers no task can be guilty, because their cause came from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crawler.node.master.workers import Incarnation, WorkerSnapshot

MOST_REMEMBERED = 10_000
"""How many deaths are remembered. Beyond that all are forgotten."""


class OutsideCauses:
    """The deaths that were caused from outside, as far as this term can tell.

    If several nodes died at once, their machine, their network or a person is a more likely cause
    than a task. Two lives of one node are one node. Found dead in one pass is at once. On one
    machine, deaths within `within_s` seconds are at once too: its leases end one after the other,
    each as long after its last renewal.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._seen: dict[Incarnation, tuple[str, float]] = {}
        """Each life that ended → its host, and when that was noticed."""
        self._excused: set[Incarnation] = set()

    def __contains__(self, life: Incarnation) -> bool:
        return life in self._excused

    def note(
        self, dead: Mapping[Incarnation, str], workers: WorkerSnapshot, now_s: float
    ) -> Iterable[Incarnation]:
        """Note lives that ended without notice, with their hosts. Return those that turn out to be
        excused now."""
        if len(self._seen) + len(dead) > MOST_REMEMBERED:
            self._seen.clear()
            self._excused.clear()
        for life, host in dead.items():
            self._seen.setdefault(life, (host, now_s))
        excused = set(dead) if len({life.node_id for life in dead}) > 1 else set()
        excused |= {life for life in dead if life.node_id in workers.cordoned}
        # A worker that was missing when this leader took over died about when the last leader did.
        excused |= workers.spared
        found = (excused | self._together(workers.hosts_lost, now_s)) - self._excused
        self._excused |= found
        return found

    def _together(self, hosts_lost: Mapping[str, float], now_s: float) -> set[Incarnation]:
        """Return the lives that ended just now together with another node of their host."""
        if not self._within_s:
            return set()
        recent = [
            (life, host, at_s)
            for life, (host, at_s) in self._seen.items()
            if now_s - at_s <= self._within_s
        ]
        return {
            life
            for life, host, at_s in recent
            if abs(hosts_lost.get(host, -self._within_s - 1) - at_s) <= self._within_s
            or any(other.node_id != life.node_id and there == host for other, there, _ in recent)
        }


def host_of(address: str) -> str:
    """Return the host of `host:port`."""
    return address.rpartition(":")[0]
