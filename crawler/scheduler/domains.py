"""The domains: the live workers grouped by the value of a label.

A label is counted from the moment when a task first asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crawler.model.records import Node
from crawler.scheduler.candidate import Candidate, Domain, place_of
from crawler.scheduler.task import PLAIN, Load


class Domains:
    """The sums of the unfinished tasks of all domains."""

    def __init__(self) -> None:
        self._domains: dict[str, dict[str, Domain]] = {}
        """Label of workers → value → domain."""

    def __contains__(self, key: str) -> bool:
        return key in self._domains

    def of(self, key: str, workers: Iterable[Candidate]) -> Sequence[Domain]:
        """Return the domains of a label that these workers belong to, in the order of the
        workers."""
        domains = self._domains[key]
        values = dict.fromkeys(place_of(worker.node, key) for worker in workers)
        return [domains[value] for value in values]

    def count(self, key: str, workers: Iterable[tuple[Node, Sequence[Load]]]) -> None:
        """Start to count a label. `workers` are all workers, each with the loads of its unfinished
        tasks."""
        self._domains[key] = {}
        for node, loads in workers:
            domain = self._enter(key, node)
            for load in loads:
                if load is not PLAIN:
                    domain.add(load, 1)

    def join(self, node: Node) -> None:
        """Add a worker, which has no tasks yet."""
        for key in self._domains:
            self._enter(key, node)

    def leave(self, node: Node) -> None:
        """Remove a worker, whose tasks were removed before."""
        for key, domains in self._domains.items():
            domain = domains[place_of(node, key)]
            domain.workers -= 1
            if not domain.workers:
                del domains[domain.value]

    def add(self, node: Node, load: Load, sign: int) -> None:
        """Add an unfinished task of a worker to the sums (`sign` 1), or remove it (-1)."""
        for key, domains in self._domains.items():
            domains[place_of(node, key)].add(load, sign)

    def _enter(self, key: str, node: Node) -> Domain:
        value = place_of(node, key)
        domain = self._domains[key].get(value)
        if domain is None:
            domain = self._domains[key][value] = Domain(key, value)
        domain.workers += 1
        return domain
