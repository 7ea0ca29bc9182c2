"""The statistics of a worker's crawls as one caller may see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from crawler.api.service import Crawls
from crawler.errors import NotFound
from crawler.model.access import Caller
from crawler.model.processes import ProcessLoad
from crawler.model.shards import shard_names
from crawler.model.statistics import Statistics, together

LabelsOf = Callable[[str, str], Mapping[str, str] | None]
"""Returns the labels of a task with that name and id that this worker has; None of another one."""


def no_labels(task: str, id: str) -> None:
    """Say of every task that it is not here."""
    return None


def crawls_for(caller: Caller | None, crawls: Crawls, labels_of: LabelsOf) -> Crawls:
    """Return the crawls that a caller may see."""
    return BoundedCrawls(crawls, caller, labels_of) if caller and caller.labels else crawls


class BoundedCrawls:
    """The crawls of the tasks that are within a caller's bounds. Others do not exist for it."""

    def __init__(self, crawls: Crawls, caller: Caller, labels_of: LabelsOf) -> None:
        self._crawls = crawls
        self._caller = caller
        self._labels_of = labels_of

    def all(self) -> Sequence[Statistics]:
        """Return the statistics of these crawls."""
        return [found for found in self._crawls.all() if self._owns(found)]

    def of(self, task: str) -> Statistics:
        """Return the statistics of the crawl of a task. Raises NotFound."""
        return self._own([task])[0]

    def of_task(self, task: str) -> Statistics:
        """Return the statistics of all crawls of a task here. Raises NotFound."""
        names = [task, *shard_names(task)]
        own = self._own(names)
        running = [found for found in own if not found.ended_ns]
        latest = running or [found for found in own if found.ended_ns >= own[0].began_ns]
        parts = {found.task: found for found in reversed(latest)}
        return replace(together([parts[name] for name in names if name in parts]), task=task)

    def processes(self) -> Sequence[ProcessLoad]:
        """Return what each crawl process does. No task is named there."""
        return self._crawls.processes()

    def _own(self, names: Sequence[str]) -> Sequence[Statistics]:
        """Return the crawls with these names that the caller may see, the latest first. It judges
        each by its own task: a crawl that has ended may be of an earlier task of the same name."""
        found = [each for each in self.all() if each.task in names]
        if not found:
            raise NotFound("no such crawl")
        return found

    def _owns(self, found: Statistics) -> bool:
        labels = self._labels_of(found.task, found.task_id)
        return labels is not None and self._caller.owns(labels)
