"""The live workers with the sums of their tasks, and the domains and groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from crawler.model.constraints import NODE
from crawler.model.records import Node, WorkerLoad
from crawler.scheduler.candidate import Candidate, Place
from crawler.scheduler.changes import PendingChanges
from crawler.scheduler.domains import Domains
from crawler.scheduler.holdings import Holding, Holdings
from crawler.scheduler.relevant_labels import RelevantLabels
from crawler.scheduler.task import PLAIN, Load

MOST_LEAVING = 10_000
"""How many lives of leaving workers are remembered. Beyond that all are forgotten, which only means
that tasks may be blamed for the end of these workers."""


class WorkerPool:
    """The workers that may get tasks."""

    def __init__(
        self, holdings: Holdings, changes: PendingChanges, relevant_labels: RelevantLabels
    ) -> None:
        self._holdings = holdings
        self._changes = changes
        self._relevant_labels = relevant_labels
        self.groups: Counter[str] = Counter()
        """How many unfinished tasks of each group are on workers that take new tasks."""
        self.candidates: dict[str, Candidate] = {}
        """All live workers by id."""
        self._domains = Domains()
        self._cordoned: frozenset[str] = frozenset()
        self._schedulable: Sequence[Candidate] | None = None
        self._leaving: set[tuple[str, int]] = set()
        """The lives of workers that announced that they leave: (id, incarnation)."""

    # -- what is read --------------------------------------------------------------------------

    @property
    def cordoned(self) -> frozenset[str]:
        """The ids of the workers that take no tasks until somebody allows it again."""
        return self._cordoned

    @property
    def schedulable(self) -> Sequence[Candidate]:
        """The workers that take new tasks, sorted by id."""
        if self._schedulable is None:
            chosen = [candidate for candidate in self.candidates.values() if candidate.schedulable]
            self._schedulable = sorted(chosen, key=lambda candidate: candidate.id)
        return self._schedulable

    def schedulable_among(self, ids: Iterable[str]) -> Sequence[Candidate]:
        """Return those of these workers that take new tasks, sorted by id."""
        present = (self.candidates[id] for id in sorted(ids) if id in self.candidates)
        return [candidate for candidate in present if candidate.schedulable]

    def places(self, key: str) -> Sequence[Place]:
        """Return the domains of a label that have a worker which takes new tasks."""
        if key == NODE:
            return self.schedulable
        if key not in self._domains:
            self._domains.count(key, self._open_loads())
        return self._domains.of(key, self.schedulable)

    def left_in_order(self, life: tuple[str, int]) -> bool:
        """Whether that life of a worker, (id, incarnation), had announced that it leaves."""
        return life in self._leaving

    # -- workers -------------------------------------------------------------------------------

    def join(self, node: Node) -> None:
        """Add a worker that registered, or whose registration changed."""
        present = self.candidates.get(node.id)
        if present is not None and present.node == node:
            return
        if present is not None:
            self._remove(present)
            self._changes.suspect(self._holdings.awaiting(present.node))
            # Other workers may take some tasks only now that the earlier worker is gone.
            self._changes.left()
        same = present is not None and present.node.incarnation == node.incarnation
        self._enter(node, present.reported if present is not None and same else WorkerLoad())
        if node.draining:
            self._note_leaving(node)
        self._changes.freed(node.id)
        self._changes.suspect(self._holdings.names_on(node.id))
        self._changes.suspect(self._holdings.awaiting(node))
        self.suspect_all(self._cordoned)  # tasks on cordoned workers may wait for such a worker

    def leave(self, node_id: str) -> None:
        """Remove a worker whose registration is gone."""
        present = self.candidates.get(node_id)
        if present is not None:
            self._remove(present)
            self._changes.suspect(self._holdings.names_on(node_id))
            self._changes.suspect(self._holdings.awaiting(present.node))
            self._changes.left()

    def forget(self, node_id: str) -> None:
        """Give no tasks to a worker that could not be added or removed. Those that it has may have
        to move."""
        self.candidates.pop(node_id, None)
        self._schedulable = None
        self._changes.suspect(self._holdings.names_on(node_id))
        self._changes.left()

    def cordon(self, node_ids: frozenset[str]) -> None:
        """Make exactly these workers take no new tasks."""
        changed = node_ids ^ self._cordoned
        present = [self.candidates[id] for id in changed if id in self.candidates]
        for candidate in present:
            self._remove(candidate)
        self._cordoned = node_ids
        for candidate in present:
            self._enter(candidate.node, candidate.reported)
            self._changes.suspect(self._holdings.awaiting(candidate.node))
        if present:
            self._changes.left()
        for node_id in changed:
            self._changes.freed(node_id)
            self._changes.suspect(self._holdings.names_on(node_id))

    def report(self, node_id: str, load: WorkerLoad) -> None:
        """Note the load that a worker reported."""
        candidate = self.candidates.get(node_id)
        if candidate is not None:
            candidate.reported = load

    def suspect_all(self, node_ids: Iterable[str]) -> None:
        """Make the next pass look at all tasks of these nodes."""
        for node_id in node_ids:
            self._changes.suspect(self._holdings.names_on(node_id))

    # -- tasks ---------------------------------------------------------------------------------

    def weigh(self, holding: Holding, sign: int) -> None:
        """Add a task with an owner to the sums of its worker and group (`sign` 1), or remove it
        (-1)."""
        owner = holding.owner
        assert owner is not None  # the callers checked it
        candidate = self.candidates.get(owner.node_id)
        if candidate is None:
            return
        if owner is not candidate.node.as_owner and not candidate.node.owns(owner):
            return
        candidate.owned += sign
        if not holding.state.finished:
            self._add(candidate, holding, sign)
        self._changes.weighed(candidate.id, sign)

    def _add(self, candidate: Candidate, holding: Holding, sign: int) -> None:
        load = holding.load
        candidate.add(load, sign)
        if not candidate.schedulable:
            return  # its tasks are about to move, and must not count against themselves
        self.groups[holding.group] += sign
        if load is not PLAIN:
            self._domains.add(candidate.node, load, sign)

    def _enter(self, node: Node, reported: WorkerLoad) -> None:
        """Make a candidate of a worker, with all tasks that it owns."""
        candidate = self.candidates[node.id] = Candidate(node)
        candidate.reported = reported
        candidate.schedulable = not node.draining and node.id not in self._cordoned
        self._schedulable = None
        self._domains.join(node)
        self._relevant_labels.join(node)
        for holding in self._holdings.on(node):
            candidate.owned += 1
            if not holding.state.finished:
                self._add(candidate, holding, 1)

    def _remove(self, candidate: Candidate) -> None:
        """Remove a worker. Nobody may use this candidate any more."""
        node = candidate.node
        for holding in self._holdings.on(node):
            if holding.open:
                self._add(candidate, holding, -1)
        self._domains.leave(node)
        self._relevant_labels.leave(node)
        del self.candidates[node.id]
        self._schedulable = None

    def _note_leaving(self, node: Node) -> None:
        if len(self._leaving) >= MOST_LEAVING:
            self._leaving.clear()
        self._leaving.add((node.id, node.incarnation))

    def _open_loads(self) -> Iterator[tuple[Node, Sequence[Load]]]:
        """Yield each worker with the loads of its unfinished tasks."""
        for candidate in self.candidates.values():
            open = (holding for holding in self._holdings.on(candidate.node) if holding.open)
            yield candidate.node, [h.load for h in open] if candidate.schedulable else []
