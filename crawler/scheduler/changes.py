"""The changes that the next pass has to look at. They are collected between passes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Changes:
    """What happened since the last pass."""

    suspects: dict[str, None] = field(default_factory=dict)
    """The tasks that may need an owner because something about them changed, in the order of the
    changes. A set would scatter them: its order takes a hundred thousand tasks from all over
    memory."""
    freed: set[str] = field(default_factory=set)
    """The workers that may take more than before: new, changed, or with fewer tasks."""
    grown: set[str] = field(default_factory=set)
    """The workers that got tasks, which helps tasks that want to be near others."""
    left: bool = False
    """Whether a worker left."""


class PendingChanges:
    """Collects changes while this master places tasks. A follower collects none."""

    def __init__(self) -> None:
        self._gathered: Changes | None = None
        self._sharded: dict[str, None] = {}

    def begin(
        self, tasks: Iterable[str], workers: Iterable[str], sharded: Iterable[str] = ()
    ) -> None:
        """Start to collect. The first pass has to look at all tasks and workers, and at the shards
        of these tasks."""
        self._gathered = Changes(dict.fromkeys(tasks), set(workers))
        self._sharded = dict.fromkeys(sharded)

    def end(self) -> None:
        """Stop to collect: this master no longer places tasks."""
        self._gathered = None
        self._sharded = {}

    def take_sharded(self) -> Iterable[str]:
        """Return the tasks that have shards, or had some, and about which something changed since
        the last call."""
        sharded, self._sharded = self._sharded, {}
        return sharded

    def sharded(self, task: str) -> None:
        """Note that something about a task with shards changed, or about one of them."""
        if self._gathered is not None:
            self._sharded[task] = None

    def take(self) -> Changes:
        """Return the changes since the last call."""
        gathered = self._gathered or Changes()
        if self._gathered is not None:
            self._gathered = Changes()
        return gathered

    def suspect(self, names: Iterable[str]) -> None:
        """Note that something about these tasks changed."""
        if self._gathered is not None:
            self._gathered.suspects.update(dict.fromkeys(names))

    def weighed(self, node_id: str, sign: int) -> None:
        """Note that a worker got a task (`sign` 1) or has one fewer (-1)."""
        if self._gathered is not None:
            (self._gathered.grown if sign > 0 else self._gathered.freed).add(node_id)

    def freed(self, node_id: str) -> None:
        """Note that a worker may take more than before."""
        if self._gathered is not None:
            self._gathered.freed.add(node_id)

    def left(self) -> None:
        """Note that a worker left."""
        if self._gathered is not None:
            self._gathered.left = True
