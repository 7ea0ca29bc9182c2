"""The statistics of a worker's crawls as one caller may see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from crawler.api.service import Crawls
from crawler.errors import NotFound
from crawler.model.access import Caller
from crawler.model.processes import ProcessLoad
from crawler.model.statistics import Statistics

LabelsOf = Callable[[str], Mapping[str, str] | None]
"""Returns the labels of a task that this worker has; None of another one."""


def no_labels(task: str) -> None:
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
        return [found for found in self._crawls.all() if self._owns(found.task)]

    def of(self, task: str) -> Statistics:
        """Return the statistics of the crawl of a task. Raises NotFound."""
        self._check(task)
        return self._crawls.of(task)

    def of_task(self, task: str) -> Statistics:
        """Return the statistics of all crawls of a task here. Raises NotFound."""
        self._check(task)
        return self._crawls.of_task(task)

    def processes(self) -> Sequence[ProcessLoad]:
        """Return what each crawl process does. No task is named there."""
        return self._crawls.processes()

    def _check(self, task: str) -> None:
        if not self._owns(task):
            raise NotFound("no such crawl")

    def _owns(self, task: str) -> bool:
        labels = self._labels_of(task)
        return labels is not None and self._caller.owns(labels)
