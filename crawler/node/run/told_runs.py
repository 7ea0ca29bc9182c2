"""What the `.runs` of a task tells of the runs before: which epochs have begun on this machine.

An epoch has one run. If etcd was put back to a backup, the leader gives out epochs for a second
time. Two runs of one epoch would write into the same file of items, and whoever reads them would
take the earlier run for the later one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import gevent

from crawler.engine.frontier.store import StaleRun
from crawler.items.names import RUNS
from crawler.model.records import Resource
from crawler.node.run.naming import id_name, task_folder


class Past(Protocol):
    """What knows which runs have begun before."""

    def check(self, resource: Resource) -> None:
        """Raise StaleRun if a run of this epoch of a task, or of a later one, has begun before."""
        ...


class ToldRuns:
    """The runs of which the folder of all items tells."""

    def __init__(self, items: Path) -> None:
        self._items = items

    def check(self, resource: Resource) -> None:
        """Raise StaleRun if a run of this epoch of a task, or of a later one, has begun here. The
        leader then gives the task an epoch above that one."""
        if not resource.epoch:  # another program gave it none
            return
        last = gevent.get_hub().threadpool.apply(last_epoch, (self._items, resource))
        if resource.epoch <= last:
            where = task_folder(self._items, resource) / RUNS
            raise StaleRun(f"{where}: epoch {resource.epoch} is over; the last one is {last}", last)


def last_epoch(items: Path, resource: Resource) -> int:
    """Return the highest epoch of the runs of this task, or of this shard of it, that have begun in
    this folder of items; 0 if there is none. It blocks."""
    try:
        told = (task_folder(items, resource) / RUNS).read_bytes()
    except OSError:  # what cannot be read says itself when the run is noted
        return 0
    return max(map(_Epoch(resource).of, told.splitlines()), default=0)


class _Epoch:
    """Finds the epochs of one task, or of one of its shards."""

    def __init__(self, resource: Resource) -> None:
        self._id = id_name(resource.id)
        self._shard = resource.spec.shard

    def of(self, line: bytes) -> int:
        """Return the epoch of a line; 0 if the line is about another run, or cannot be read."""
        try:
            told = json.loads(line)
        except ValueError:
            return 0
        if not isinstance(told, dict) or told.get("id") != self._id:
            return 0
        epoch = told.get("epoch")
        is_mine = told.get("shard", 0) == self._shard
        return epoch if is_mine and isinstance(epoch, int) else 0
