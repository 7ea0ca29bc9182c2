"""What the runs of tasks have counted, as their workers reported it last.

It stays in the memory of the leader (docs/decisions/0004). The resources in etcd have the counts of
runs that have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crawler.model.records import Counts, Report, Resource, State
from crawler.node.master.shards import shards_of

Find = Callable[[str], Resource | None]


class LiveCounts:
    """The counts of the runs that go on."""

    def __init__(self, find: Find) -> None:
        """`find` returns the present resource of a name."""
        self._find = find
        self._runs: dict[str, tuple[str, int, Counts]] = {}
        """Name → id, epoch and counts of its run, from the latest report."""

    def note(self, reports: Iterable[Report]) -> None:
        """Take the counts of reports about present runs."""
        for report in reports:
            self._runs[report.name] = (report.id, report.epoch, report.counts)

    def forget(self) -> None:
        """Drop the counts of runs that have ended."""
        for name in list(self._runs):
            resource = self._find(name)
            if resource is None or resource.state.finished:
                del self._runs[name]

    def of_run(self, resource: Resource) -> Resource:
        """Return a resource with the latest counts of its own run."""
        is_running = resource.state is State.RUNNING
        counts = resource.counts
        run = self._runs.get(resource.name)
        if is_running and run is not None and run[:2] == (resource.id, resource.epoch):
            counts = run[2]
        return resource.replace(counts=counts, running=int(is_running))

    def of_task(self, resource: Resource) -> Resource:
        """Return a resource with the latest counts of its run and of its shards, together."""
        head = self.of_run(resource)
        if resource.spec.workers == 1 or resource.spec.shard:
            return head
        parts = [head, *map(self.of_run, shards_of(self._find, resource.name))]
        running = sum(part.running for part in parts)
        return head.replace(counts=total([part.counts for part in parts]), running=running)


def total(counts: Iterable[Counts]) -> Counts:
    """Return the counts of runs that go on at the same time, together: their times overlap."""
    all = list(counts)
    return Counts(
        sum(each.pages for each in all),
        sum(each.items for each in all),
        sum(each.failures for each in all),
        max((each.seconds for each in all), default=0.0),
    )
