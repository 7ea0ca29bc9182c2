"""What a crawl asks of its checkpoints; without a store they do nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from gevent.event import Event

from crawler.model.records import NO_SHARD_COUNTS, Counts, State
from crawler.model.statistics import Statistics

End: TypeAlias = tuple[State, str]
"""How a crawl ended: DONE, or FAILED with a reason."""


class NoCheckpoints:
    """The checkpoints of a crawl without a store."""

    wake: Callable[[], object] = staticmethod(lambda: None)
    """Is called when a checkpoint has failed, and `look` raises why; and when other shards have
    told something."""
    is_over = True
    """Whether other shards can bring no more requests."""
    is_behind = False
    """Whether so much waits for the next checkpoint that the start must wait, too."""
    has_read_start = False
    """Whether this crawl has read the start of the spider to its end."""
    elsewhere = 0
    """How many requests of the task other shards have, or may have."""
    others: Mapping[int, Counts] = NO_SHARD_COUNTS
    """What each other shard of the task has counted, by its number."""
    shards: Mapping[int, Statistics] = MappingProxyType({})
    """The statistics of each other shard of the task, by its number, if this is its head."""
    no_page = ""
    """Why another shard had no page, if all its requests were filtered."""

    @property
    def next_s(self) -> float:
        """The monotonic time at which `look` must be called next; infinity if there is none."""
        return math.inf

    @property
    def store_bytes(self) -> int:
        """About how much room the store takes; 0 if there is none, or nobody knows."""
        return 0

    def begin(self, woken: Event) -> None:
        """Take over what an earlier run has kept. Called before the sinks are opened. `woken` is
        set by a stop, which ends the wait for the delay."""

    def opened(self) -> None:
        """Keep how long the files of items are. Called before the first item."""

    def is_known_start(self, output: Any) -> bool:
        """Whether an earlier run has taken this output of the spider's start."""
        return False

    def look(self) -> None:
        """Make a checkpoint if it is time. Called between two pages."""

    def end(self, is_done: bool = False) -> None:
        """Make the last checkpoint: the crawl stops before it is done, or somebody will ask how it
        ended."""

    def close(self, is_done: bool, is_void: bool, end: End | None) -> None:
        """Close the store, or clear it if the crawl is done. Called after the items are written.

        `is_void` says that it has failed and that nothing of it is worth keeping. `end` is how the
        crawl ended; None if it was stopped, or could not be kept.
        """
