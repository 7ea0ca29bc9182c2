"""Which crawls of a worker one caller may see."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crawler.model.access import Caller
from crawler.model.statistics import Owns, Statistics, anybodys

LabelsOf = Callable[[str, str], Mapping[str, str] | None]
"""Returns the labels of a task with that name and id that this worker has; None of another one."""


def no_labels(task: str, id: str) -> None:
    """Say of every task that it is not here."""
    return None


def owned_by(caller: Caller | None, labels_of: LabelsOf) -> Owns:
    """Return how to tell the crawls that a caller may see. Others do not exist for it.

    Each is judged by its own task: a crawl that has ended may be of an earlier task of the same
    name.
    """
    if caller is None or not caller.labels:
        return anybodys

    def owns(found: Statistics) -> bool:
        labels = labels_of(found.task, found.task_id)
        return labels is not None and caller.owns(labels)

    return owns
