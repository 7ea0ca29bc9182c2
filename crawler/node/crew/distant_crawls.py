"""The statistics of crawls that are in the processes of a crew."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import gevent
from gevent.event import AsyncResult

from crawler.engine.stats.totals import ENDED
from crawler.errors import NotFound
from crawler.model.processes import ProcessLoad
from crawler.model.shards import shard_names
from crawler.model.statistics import Statistics, together
from crawler.node.crew.hosts import numbers
from crawler.node.crew.process import CrawlProcess

ANSWER_S = 2.0
"""The seconds for which a process is waited for. One that computes does not answer."""


class DistantCrawls:
    """Asks the processes for the crawls that run, and remembers those that have ended."""

    def __init__(self, processes: Callable[[], Iterable[CrawlProcess]]) -> None:
        self._processes = processes
        self._ended: deque[Statistics] = deque(maxlen=ENDED)
        self._next = numbers()
        self._asked: dict[int, tuple[list[Statistics], AsyncResult]] = {}

    def all(self) -> Sequence[Statistics]:
        """The statistics of the running crawls, then those of the ended ones, the last first."""
        return [*self._running(), *reversed(self._ended)]

    def of(self, task: str) -> Statistics:
        """The statistics of a task: of its running crawl, or its last one. Raises NotFound."""
        for found in self.all():
            if found.task == task:
                return found
        raise NotFound(f"no statistics of task {task!r} here; it did not run here lately")

    def of_task(self, task: str) -> Statistics:
        """The statistics of the crawls of a task here, its head and its shards, together. Raises
        NotFound."""
        names = [task, *shard_names(task)]
        running = {each.task: each for each in self._running() if each.task in names}
        parts = running or self._ended_together(names)
        if not parts:
            return self.of(task)
        return replace(together([parts[name] for name in names if name in parts]), task=task)

    def processes(self) -> Sequence[ProcessLoad]:
        """What each process does now."""
        return [process.load() for process in self._processes()]

    def take(self, number: int, found: Sequence[Any], is_last: bool) -> None:
        """Take what a process answers."""
        if number not in self._asked:
            return
        parts, answered = self._asked[number]
        parts += map(Statistics.from_json, found)
        if is_last:
            answered.set(parts)

    def ended(self, found: Any) -> None:
        """Remember a crawl that has ended."""
        self._ended.append(Statistics.from_json(found))

    def _running(self) -> list[Statistics]:
        asked = {}
        for process in self._processes():
            number = self._next()
            asked[number] = self._asked[number] = ([], AsyncResult())
            process.tell("statistics", number)
        try:
            gevent.wait([answered for _, answered in asked.values()], timeout=ANSWER_S)
        finally:
            for number in asked:
                del self._asked[number]
        return [each for parts, _ in asked.values() for each in parts]

    def _ended_together(self, names: Sequence[str]) -> dict[str, Statistics]:
        """The last crawl of each name that was not over when the very last of them began."""
        ended = [found for found in self._ended if found.task in names]
        since_ns = ended[-1].began_ns if ended else 0
        return {found.task: found for found in ended if found.ended_ns >= since_ns}
