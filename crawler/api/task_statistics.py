"""The statistics of a task, put together from the workers that have its crawls.

Any master can do this: the leader says which crawls a task has and where, and their workers are
asked. The head of a task knows what its shards had counted a moment ago. That counts where the
worker of a shard tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from crawler.api.backend import Backend, Call
from crawler.api.workers import Reach, ask_all, brief, resources_of
from crawler.clock import Clock, SystemClock
from crawler.errors import NotFound
from crawler.model.records import Resource, State
from crawler.model.statistics import Statistics, together
from crawler.model.task_statistics import CrawlPart, TaskStatistics

REMOVED = "no worker has this shard any more"
"""What is said of a shard that the head alone knows."""


class TaskCounts:
    """The statistics of one task, for one caller."""

    def __init__(
        self,
        backend: Callable[[Call], Backend],
        reach: Reach,
        name: str,
        call: Call,
        clock: Clock | None = None,
    ) -> None:
        self._backend = backend
        self._reach = reach
        self._name = name
        self._call = call
        self._clock = clock or SystemClock()

    def whole(self) -> TaskStatistics:
        """Return what the workers tell now. Raises NotFound, and whatever calls of the leader
        raise."""
        head, shards = resources_of(self._backend, self._name, self._call)
        parts = self._asked([head, *shards])
        parts = [*self._with_known(parts)]
        found = [replace(part.statistics, shards={}) for part in parts if part.statistics]
        if found and not parts[0].statistics and not head.state.finished:
            # A shard may have ended while the task goes on, so none stands for the head.
            found.insert(0, Statistics(head.name, head.spec.spider_name))
        return TaskStatistics(head.name, together(found) if found else None, parts)

    def _asked(self, resources: Sequence[Resource]) -> list[CrawlPart]:
        """Return what the workers tell of these crawls, in that order."""
        owned = [each for each in resources if each.owner is not None]
        answers, silent = ask_all(owned, self._ask)
        told = {part.name: part for _, part in answers}
        for each, why in silent:
            told[each.name] = CrawlPart(each.name, _node(each), silent=True, note=why)
        return [
            self._aged(told[each.name]) if each.name in told else _without_worker(each)
            for each in resources
        ]

    def _ask(self, resource: Resource) -> CrawlPart:
        """Return what the worker of a crawl tells. `age_s` is the time of the question yet. Raises
        whatever calls raise."""
        assert resource.owner is not None  # only such are asked for
        asked_s = self._clock.monotonic()
        with closing(self._reach(resource.owner.address)) as client:
            try:
                found = client.statistics(resource.name, brief(self._call))
                _check_id(found, resource)
            except NotFound as error:
                return CrawlPart(resource.name, _node(resource), note=_why_none(resource, error))
        return CrawlPart(resource.name, _node(resource), found, asked_s)

    def _aged(self, part: CrawlPart) -> CrawlPart:
        """Return a part with its age instead of the time of the question."""
        if part.age_s is None:
            return part
        return replace(part, age_s=self._clock.monotonic() - part.age_s)

    def _with_known(self, parts: Sequence[CrawlPart]) -> Iterator[CrawlPart]:
        """Yield the parts with what the head knows of shards that are not told, or are no more."""
        head = parts[0].statistics
        known = {shard.task: shard for _, shard in sorted(head.shards.items())} if head else {}
        for part in parts:
            yield self._or_known(part, known)
        names = {part.name for part in parts}
        for name in [name for name in known if name not in names]:
            yield self._or_known(CrawlPart(name, note=REMOVED), known)

    def _or_known(self, part: CrawlPart, known: Mapping[str, Statistics]) -> CrawlPart:
        if part.statistics is not None or part.name not in known:
            return part
        found = known[part.name]
        age_s = max(0.0, (self._clock.time_ns() - found.counted_ns) / 1e9)
        aged = age_s if found.counted_ns else None
        return replace(part, statistics=found, age_s=aged, of_head=True)


def _check_id(found: Statistics, resource: Resource) -> None:
    """Raise NotFound if statistics are of an earlier task of the same name: it may have been that
    of others."""
    if found.task_id not in ("", resource.id):
        raise NotFound(f"no statistics of task {resource.name!r} yet")


def _node(resource: Resource) -> str:
    return resource.owner.node_id if resource.owner else ""


def _without_worker(resource: Resource) -> CrawlPart:
    reason = f": {resource.told_reason}" if resource.told_reason else ""
    return CrawlPart(resource.name, note=f"{resource.name} has no worker{reason}")


def _why_none(resource: Resource, error: NotFound) -> str:
    """Return why a worker has no statistics of a crawl that it has."""
    if resource.state is State.ASSIGNED:
        return f"the crawl of {resource.name} has not begun yet"
    if resource.state is State.RUNNING:
        return str(error)
    reason = f": {resource.told_reason}" if resource.told_reason else ""
    return f"{error}; the task is {resource.state.value}{reason}"
