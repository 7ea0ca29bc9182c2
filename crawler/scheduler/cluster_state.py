"""The tasks and workers as the scheduler knows them, updated with each change.

For each task the cluster state keeps the latest value that it got. That value comes from the
mirrors, from the draft of a pass (a reservation), or again from the mirrors if that draft was not
committed. All sums follow from these values. `see` takes the old value out before it puts the new
one in, so the sums cannot drift. A property test compares them with a cluster state made from
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crawler.model.records import Node, Resource
from crawler.model.shards import is_sharded
from crawler.scheduler.candidate import Candidate, Place
from crawler.scheduler.changes import PendingChanges
from crawler.scheduler.holdings import Holding, Holdings
from crawler.scheduler.relevant_labels import RelevantLabels
from crawler.scheduler.task import load_of
from crawler.scheduler.worker_pool import WorkerPool


class ClusterState:
    """The workers, and the tasks that each of them owns."""

    def __init__(self, group_label: str = "") -> None:
        """Tasks with the same value of the label `group_label` are one group. An empty text means
        no groups."""
        self._group_label = group_label
        self.changes = PendingChanges()
        """What the next pass has to look at."""
        self.relevant_labels = RelevantLabels()
        self.holdings = Holdings()
        """What the cluster state knows of each task."""
        self.workers = WorkerPool(self.holdings, self.changes, self.relevant_labels)
        """The live workers with the sums of their tasks."""
        self.candidates: Mapping[str, Candidate] = self.workers.candidates
        """All live workers by id."""

    def begin(self) -> None:
        """Start to collect changes: this master places tasks from now on, and has to look at
        everything."""
        specs = (self.holdings.of(name).spec for name in self.holdings)
        sharded = [spec.task for spec in specs if is_sharded(spec)]
        self.changes.begin(self.holdings, self.workers.candidates, sharded)

    def end(self) -> None:
        """Stop to collect changes: this master no longer places tasks."""
        self.changes.end()

    def without_tasks(self) -> ClusterState:
        """Return another cluster state with the same workers, and no task yet."""
        other = ClusterState(self._group_label)
        other.workers.cordon(self.workers.cordoned)
        for candidate in list(self.workers.candidates.values()):
            other.workers.join(candidate.node)
            other.workers.report(candidate.id, candidate.reported)
        return other

    # -- what plugins ask ----------------------------------------------------------------------

    @property
    def schedulable(self) -> Sequence[Candidate]:
        """The workers that take new tasks, sorted by id."""
        return self.workers.schedulable

    def places(self, key: str) -> Sequence[Place]:
        """Return the domains of a label that have a worker which takes new tasks."""
        return self.workers.places(key)

    def repelled_over(self, labels: Mapping[str, str]) -> set[str]:
        """Return the labels over whose domains some task wants to be apart from tasks with these
        labels."""
        return self.holdings.repelled_over(labels)

    # -- tasks ---------------------------------------------------------------------------------

    def see(self, name: str, resource: Resource | None) -> None:
        """Take the present value of a task; None if it was deleted."""
        before = self.holdings.get(name)
        self._note_shards(before, resource)
        if before is not None and resource is not None and before.tells_of(resource):
            if resource.owner is None:
                self.changes.suspect([name])
            return
        now = None if resource is None else self._holding_of(resource)
        if now == before:
            if now is not None and now.owner is None:
                self.changes.suspect([name])
            return
        if before is not None:
            self.holdings.remove(name, before)
            if before.owner is not None:
                self.workers.weigh(before, -1)
        if now is not None:
            self.holdings.put(name, now)
            if now.owner is not None:
                self.workers.weigh(now, 1)
        self.changes.suspect([name])

    def _note_shards(self, before: Holding | None, after: Resource | None) -> None:
        for known in (before, after):
            if known is not None and is_sharded(known.spec):
                self.changes.sharded(known.spec.task)

    def reserve(self, name: str, node: Node) -> bool:
        """Give this task to that worker in a pass. `see` confirms or undoes it later.

        Returns False if the task does not exist.
        """
        held = self.holdings.get(name)
        if held is None:
            return False
        now = self.holdings.assign(name, held, node.as_owner)
        if held.owner is not None:
            self.workers.weigh(held, -1)
        self.workers.weigh(now, 1)
        return True

    def is_reserved(self, name: str, node: Node) -> bool:
        """Whether that reservation still stands: nobody has written the task meanwhile."""
        held = self.holdings.get(name)
        return held is not None and held.owner is node.as_owner

    def group_of(self, resource: Resource) -> str:
        """Return the group of a task; empty if it has none."""
        return resource.spec.labels.get(self._group_label, "") if self._group_label else ""

    def _holding_of(self, resource: Resource) -> Holding:
        load = load_of(resource.spec)
        if load.repels:
            self.relevant_labels.hear(load)
        awaited = resource.spec.offered_as if resource.awaits_spider else ""
        group = self.group_of(resource)
        return Holding(resource.state, resource.owner, load, group, awaited, resource.spec)
