"""What the runs of tasks have counted, as their workers reported it last.

It stays in the memory of the leader (docs/decisions/0004). The resources in etcd have the counts of
runs that have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crawler.model.records import NO_COUNTS, Report, Resource, State
from crawler.model.shards import total
from crawler.node.master.shards import shards_of

Find = Callable[[str], Resource | None]


class LiveCounts:
    """The counts of the runs that go on."""

    def __init__(self, find: Find) -> None:
        """`find` returns the present resource of a name."""
        self._find = find
        self._runs: dict[str, Report] = {}
        """Name → the latest report of its run."""

    def note(self, reports: Iterable[Report]) -> None:
        """Take the counts of reports about present runs."""
        for report in reports:
            self._runs[report.name] = report

    def forget(self) -> None:
        """Drop the counts of runs that have ended."""
        for name in list(self._runs):
            resource = self._find(name)
            if resource is None or resource.state.finished:
                del self._runs[name]

    def of_run(self, resource: Resource) -> Resource:
        """Return a resource with the latest counts of its own run."""
        is_running = resource.state is State.RUNNING
        run = self._runs.get(resource.name)
        if not is_running or run is None or (run.id, run.epoch) != (resource.id, resource.epoch):
            return resource.replace(running=int(is_running))
        return resource.replace(counts=run.counts, shard_counts=run.shard_counts, running=1)

    def of_task(self, resource: Resource) -> Resource:
        """Return a resource with the latest counts of its run and of its shards, together. What a
        shard has counted that was removed, or has reported nothing yet, the head has told."""
        head = self.of_run(resource)
        if resource.spec.shard or not (resource.spec.workers > 1 or head.shard_counts):
            return head
        shards = [self.of_run(each) for each in shards_of(self._find, resource.name)]
        told = {each.spec.shard: each.counts for each in shards if each.counts != NO_COUNTS}
        counts = {**head.shard_counts, **told}
        return head.replace(
            counts=total([head.counts, *counts.values()]),
            running=head.running + sum(each.running for each in shards),
        )
