"""The shards of a task: the resources with which it runs on several workers at once.

A task with `workers: 4` has four resources: its own, the head, and `books~1` to `books~3`. What
they have in common follows from the head alone, so that it can be made again at any moment.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator

from crawler.model.records import Counts, Spec

MAX_WORKERS = 64
"""On how many workers a task may run at once."""

_NAME = re.compile(r"(?s:.+)~[1-9][0-9]?")


def shard_name(task: str, number: int) -> str:
    """Return the name of a shard of a task. Number 0 is the task itself."""
    return f"{task}~{number}" if number else task


def is_like_shard(name: str) -> bool:
    """Whether a shard may have that name. No new task may have it: its name would be taken as soon
    as somebody asks for more workers for another task."""
    return _NAME.fullmatch(name) is not None


def is_sharded(spec: Spec) -> bool:
    """Whether a resource is the head of a task on several workers, or one of its shards."""
    return spec.workers > 1 or spec.shard > 0


def shard_spec(head: Spec, number: int) -> Spec:
    """Return the specification of a shard: that of its task but for the name."""
    return dataclasses.replace(
        head,
        name=shard_name(head.name, number),
        spider=head.spider_name,
        shard=number,
        shard_of=head.name,
    )


def shard_names(task: str, workers: int = MAX_WORKERS) -> Iterator[str]:
    """Yield the names of the shards of a task beside its head, in their order."""
    return (shard_name(task, number) for number in range(1, workers))


def total(counts: Iterable[Counts]) -> Counts:
    """Return the counts of runs that go on at the same time, together: their times overlap."""
    all = list(counts)
    return Counts(
        sum(each.pages for each in all),
        sum(each.items for each in all),
        sum(each.failures for each in all),
        max((each.seconds for each in all), default=0.0),
    )
