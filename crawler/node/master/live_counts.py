"""What the runs of tasks have counted, as their workers reported it last.

It stays in the memory of the leader (docs/decisions/0004). The resources in etcd have the counts of
runs that have ended. A task that moves keeps what was counted last until its new run has counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from crawler.model.records import NO_COUNTS, Counts, Report, Resource, State
from crawler.model.shards import total
from crawler.node.master.shards import shards_of
from crawler.settings import live

Find = Callable[[str], Resource | None]


@dataclass(frozen=True, slots=True)
class Counted:
    """What a run has counted, and the task as it was then."""

    report: Report
    task: Resource

    def is_of(self, resource: Resource) -> bool:
        """Whether it is of the present run of that task."""
        return self._run == (resource.id, resource.epoch) and resource.state is State.RUNNING

    def goes_on_in(self, resource: Resource) -> bool:
        """Whether the task may go on with that crawl. It begins anew if somebody asked for that,
        or changed its spider or its arguments."""
        if resource.state.finished or resource.epoch < self.report.epoch:
            return False
        if (resource.id, resource.generation) != (self.task.id, self.task.generation):
            return False
        if self.task.spec is resource.spec:  # as it is for nearly all, and quick to see
            return True
        settings = f"parameters.{live.SETTINGS}"
        changed = live.changes(self.task.spec, resource.spec)
        return all(path == settings or path.startswith(f"{settings}.") for path in changed)

    @property
    def _run(self) -> tuple[str, int]:
        return self.report.id, self.report.epoch


class LiveCounts:
    """The counts of the runs that go on."""

    def __init__(self, find: Find) -> None:
        """`find` returns the present resource of a name."""
        self._find = find
        self._runs: dict[str, Counted] = {}
        """Name → what was reported last of a run of it."""

    def note(self, reports: Iterable[tuple[Report, Resource]]) -> None:
        """Take the counts of reports about present runs. A run that has counted nothing yet, not
        even seconds, does not know either how far the one before had come."""
        for report, task in reports:
            known = self._runs.get(report.name)
            goes_on = known is not None and known.goes_on_in(task)
            if report.counts == NO_COUNTS and (goes_on or task.counts != NO_COUNTS):
                continue
            self._runs[report.name] = Counted(report, task)

    def filled(self, report: Report, task: Resource) -> Report:
        """Return a report, of a run that failed before it counted, with the counts of the run
        before. They are stored with the failure, and nobody tells them after it."""
        known = self._runs.get(report.name)
        if report.state is not State.FAILED or report.counts != NO_COUNTS:
            return report
        if known is None or not known.goes_on_in(task):
            return report
        kept = known.report
        return replace(report, counts=kept.counts, shard_counts=kept.shard_counts)

    def forget(self) -> None:
        """Drop the counts of runs that have ended."""
        for name in list(self._runs):
            resource = self._find(name)
            if resource is None or resource.state.finished:
                del self._runs[name]

    def of_run(self, resource: Resource) -> Resource:
        """Return a resource with the latest counts of its own run. Before that has counted, they
        are those of the run before."""
        running = int(resource.state is State.RUNNING)
        told = self._told(resource)
        if told is None:
            return resource.replace(running=running) if running != resource.running else resource
        return resource.replace(counts=told.counts, shard_counts=told.shard_counts, running=running)

    def of_task(self, resource: Resource) -> Resource:
        """Return a resource with the latest counts of its run and of its shards, together. What a
        shard has counted that was removed, or has reported nothing yet, the head has told."""
        head = self.of_run(resource)
        if resource.spec.shard or not (resource.spec.workers > 1 or head.shard_counts):
            return head
        stored = list(shards_of(self._find, resource.name))
        shards = [self.of_run(each) for each in stored]
        known = {each.spec.shard: each.counts for each in shards if each.counts != NO_COUNTS}
        earlier = {each.spec.shard for each in stored if self._only_ran_before(each)}
        told = {shard: each for shard, each in known.items() if shard not in earlier}
        counts = {**known, **head.shard_counts, **told}
        return head.replace(
            counts=total([head.counts, *counts.values()]),
            running=head.running + sum(each.running for each in shards),
        )

    def counts_of_run(self, resource: Resource) -> Counts:
        """Return the counts that `of_run` has, which costs less."""
        told = self._told(resource)
        return resource.counts if told is None else told.counts

    def counts_of_task(self, resource: Resource) -> Counts:
        """Return the counts that `of_task` has, which costs less for a task on one worker."""
        told = self._told(resource)
        head = resource if told is None else told
        spec = resource.spec
        if spec.shard or not (spec.workers > 1 or head.shard_counts):
            return head.counts
        return self.of_task(resource).counts

    def _told(self, resource: Resource) -> Report | None:
        """Return what was told last of its own run, or of the one before if it goes on with
        that."""
        counted = self._runs.get(resource.name)
        if counted is None or not (counted.is_of(resource) or counted.goes_on_in(resource)):
            return None
        return counted.report

    def _only_ran_before(self, resource: Resource) -> bool:
        """Whether the latest counts are of a run before the present one."""
        counted = self._runs.get(resource.name)
        return counted is not None and not counted.is_of(resource) and counted.goes_on_in(resource)
