"""The statistics of crawls that are in the processes of a crew."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import gevent
from gevent.event import AsyncResult

from crawler.engine.stats.totals import ENDED
from crawler.errors import NotFound, Unavailable
from crawler.model.processes import ProcessLoad
from crawler.model.records import NO_COUNTS
from crawler.model.shards import shard_names
from crawler.model.statistics import Statistics, together
from crawler.node.crew.distant_run import DistantRun
from crawler.node.crew.hosts import numbers
from crawler.node.crew.process import CrawlProcess
from crawler.plural import counted

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
        found, _ = self._running()
        return [*found, *reversed(self._ended)]

    def of(self, task: str) -> Statistics:
        """The statistics of a task: of its running crawl, or its last one. Raises NotFound, and
        Unavailable if the process of its crawl does not answer."""
        running, silent = self._running()
        return self._of(task, running, silent)

    def of_task(self, task: str) -> Statistics:
        """The statistics of the crawls of a task here, its head and its shards, together. Raises
        NotFound, and Unavailable if no process of its crawls answers."""
        names = [task, *shard_names(task)]
        found, silent = self._running()
        parts = {each.task: each for each in found if each.task in names}
        if not parts:
            self._refuse_silent(names, silent)
            parts = self._ended_together(names)
        if not parts:
            return self._of(task, found, silent)
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

    def _of(
        self, task: str, running: Iterable[Statistics], silent: Sequence[CrawlProcess]
    ) -> Statistics:
        for found in running:
            if found.task == task:
                return found
        self._refuse_silent([task], silent)
        for found in reversed(self._ended):
            if found.task == task:
                return found
        if any(run.name == task for process in self._processes() for run in process.runs.values()):
            raise NotFound(f"no statistics of task {task!r} yet; its crawl is about to begin")
        raise NotFound(f"no statistics of task {task!r} here; it did not run here lately")

    def _refuse_silent(self, names: Sequence[str], silent: Sequence[CrawlProcess]) -> None:
        """Raise Unavailable if a process without an answer has a crawl of one of these names. It
        says what the process has counted before."""
        for process in silent:
            for run in process.runs.values():
                if run.name in names:
                    raise Unavailable(_told_of(run, process))

    def _running(self) -> tuple[list[Statistics], list[CrawlProcess]]:
        """Ask all processes. Return the statistics of the crawls that run, and the processes that
        did not answer in time."""
        asked, of = {}, {}
        for process in self._processes():
            number = self._next()
            of[number] = process
            asked[number] = self._asked[number] = ([], AsyncResult())
            process.tell("statistics", number)
        try:
            gevent.wait([answered for _, answered in asked.values()], timeout=ANSWER_S)
        finally:
            for number in asked:
                del self._asked[number]
        found = [each for parts, _ in asked.values() for each in parts]
        return found, [
            of[number] for number, (_, answered) in asked.items() if not answered.ready()
        ]

    def _ended_together(self, names: Sequence[str]) -> dict[str, Statistics]:
        """The last crawl of each name that was not over when the very last of them began."""
        ended = [found for found in self._ended if found.task in names]
        since_ns = ended[-1].began_ns if ended else 0
        return {found.task: found for found in ended if found.ended_ns >= since_ns}


def _told_of(run: DistantRun, process: CrawlProcess) -> str:
    """Return what is known of a crawl whose process does not answer."""
    counts, at_work = run.status().counts, process.runs.get(process.glance().slot)
    pages = f"{counted(counts.pages, 'page')} and {counted(counts.items, 'item')} were counted"
    so_far = pages if counts.pages or counts.items else "nothing was counted yet"
    has_begun = at_work is run or counts != NO_COUNTS
    stage = "has begun" if has_begun else f"was given to process {process.number}"
    whose = f" of task {at_work.name!r}" if at_work is not None and at_work is not run else ""
    silent_s = max(ANSWER_S, process.load().late_s)
    return (
        f"the crawl of task {run.name!r} {stage}, and {so_far}; its process has not answered for"
        f" {silent_s:.1f} s, because a callback{whose} computes, or it gets no processor; try again"
        " later"
    )
