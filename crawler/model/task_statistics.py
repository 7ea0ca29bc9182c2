"""The statistics of a task with all its crawls, and how far each can be relied on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crawler.model.statistics import Statistics


@dataclass(frozen=True, slots=True)
class CrawlPart:
    """What is known of one crawl of a task."""

    name: str
    """Of the task itself, or of one of its shards."""
    node: str = ""
    """The id of the worker that has it; empty if none has."""
    statistics: Statistics | None = None
    """None if there are none. Then `note` says why."""
    age_s: float | None = None
    """They were counted at most so many seconds ago; None if nobody knows."""
    of_head: bool = False
    """Whether the worker of a shard does not tell them, but the head of its task knows them."""
    silent: bool = False
    """Whether its worker does not answer."""
    note: str = ""
    """Why its worker tells nothing."""


@dataclass(frozen=True, slots=True)
class TaskStatistics:
    """The statistics of a task at one moment."""

    name: str
    statistics: Statistics | None
    """Those of all its crawls as of one crawl; None if nobody tells any."""
    parts: Sequence[CrawlPart]
    """The task itself first, then its shards."""

    @property
    def workers(self) -> Mapping[str, int]:
        """How many crawls of the task each worker has."""
        return Counter(part.node for part in self.parts if part.node)
