"""By what a listing sorts tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter

from crawler.model.records import Counts, Resource, Sort

TOLD_STATES = ("pending", "assigned", "running", "paused", "done", "failed", "stopped")
"""The words of `Resource.told_state`, in the order of a listing by state."""

_RANKS = {word: rank for rank, word in enumerate(TOLD_STATES)}

_OF_COUNTS: Mapping[Sort, Callable[[Counts], int]] = {
    Sort.PAGES: attrgetter("pages"),
    Sort.ITEMS: attrgetter("items"),
    Sort.FAILURES: attrgetter("failures"),
}
_OF_TEXT: Mapping[Sort, Callable[[Resource], str]] = {
    Sort.NAME: lambda task: task.spec.name,
    Sort.SPIDER: lambda task: task.spec.spider or task.spec.name,
    Sort.NODE: lambda task: task.owner.node_id if task.owner is not None else "",
}
_OF_NUMBER: Mapping[Sort, Callable[[Resource], int]] = {
    Sort.STATE: lambda task: _RANKS[task.told_state],
    Sort.CREATED: lambda task: task.creation_time,
}


def value_of(sort: Sort) -> Callable[[Resource], int | str]:
    """Return what tells by what a task is sorted, as it tells its counts itself."""
    return text_of(sort) or number_of(sort)


def text_of(sort: Sort) -> Callable[[Resource], str] | None:
    """Return what tells the text by which tasks are sorted; None if that is a number."""
    return _OF_TEXT.get(sort)


def number_of(
    sort: Sort, counts_of: Callable[[Resource], Counts] = attrgetter("counts")
) -> Callable[[Resource], int]:
    """Return what tells the number by which tasks are sorted. `counts_of` tells the counts of a
    task. Raises KeyError for an order by text."""
    if sort not in _OF_COUNTS:
        return _OF_NUMBER[sort]
    read = _OF_COUNTS[sort]
    return lambda task: read(counts_of(task))
