"""The statistics of crawls that are in the processes of a crew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gevent
from gevent.event import AsyncResult

from crawler.engine.stats.ended import EndedCrawls, as_one, crawl_names
from crawler.errors import NotFound, Unavailable
from crawler.model.processes import ProcessLoad
from crawler.model.records import NO_COUNTS
from crawler.model.statistics import Owns, Statistics, anybodys
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
        self._ended = EndedCrawls()
        self._next = numbers()
        self._asked: dict[int, tuple[list[Statistics], AsyncResult]] = {}

    def all(self, owns: Owns = anybodys) -> Sequence[Statistics]:
        """The statistics of the running crawls, then those of the ended ones, the last first."""
        found, _ = self._running(owns)
        return [*found, *self._ended.all(owns)]

    def of(self, task: str, owns: Owns = anybodys) -> Statistics:
        """The statistics of a task: of its running crawl, or its last one. Raises NotFound, and
        Unavailable if the process of its crawl does not answer."""
        running, silent = self._running(owns)
        for found in running:
            if found.task == task:
                return found
        self._refuse_silent([task], silent, owns)
        return self._ended_of(task, owns)

    def of_task(self, task: str, owns: Owns = anybodys) -> Statistics:
        """The statistics of the crawls of a task here, its head and its shards, together. Raises
        NotFound, and Unavailable if no process of its crawls answers."""
        names = crawl_names(task)
        found, silent = self._running(owns)
        running = {each.task: each for each in found if each.task in names}
        if not running:
            self._refuse_silent(names, silent, owns)
        parts = running or self._ended.together(names, owns)
        return as_one(task, parts) if parts else self._ended_of(task, owns)

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

    def ended(self, found: Any) -> Statistics:
        """Remember a crawl that has ended, and return its statistics."""
        statistics = Statistics.from_json(found)
        self._ended.add(statistics)
        return statistics

    def _ended_of(self, task: str, owns: Owns) -> Statistics:
        """The last crawl of a task that has none which runs. Raises NotFound."""
        try:
            return self._ended.of(task, owns)
        except NotFound:
            runs = (run for process in self._processes() for run in process.runs.values())
            if any(_has([task], run, owns) for run in runs):
                told = f"no statistics of task {task!r} yet; its crawl is about to begin"
                raise NotFound(told) from None
            raise

    def _refuse_silent(
        self, names: Sequence[str], silent: Sequence[CrawlProcess], owns: Owns
    ) -> None:
        """Raise Unavailable if a process without an answer has a crawl of one of these names. It
        says what the process has counted before."""
        for process in silent:
            for run in process.runs.values():
                if _has(names, run, owns):
                    raise Unavailable(_told_of(run, process, owns))

    def _running(self, owns: Owns) -> tuple[list[Statistics], list[CrawlProcess]]:
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
        found = [each for parts, _ in asked.values() for each in parts if owns(each)]
        return found, [
            of[number] for number, (_, answered) in asked.items() if not answered.ready()
        ]


def _has(names: Sequence[str], run: DistantRun, owns: Owns) -> bool:
    """Return whether a run has one of these names, and the caller may see its crawl."""
    return run.name in names and _is_owned(run, owns)


def _is_owned(run: DistantRun, owns: Owns) -> bool:
    report = run.status()
    return owns(Statistics(report.name, "", task_id=report.id))


def _told_of(run: DistantRun, process: CrawlProcess, owns: Owns) -> str:
    """Return what is known of a crawl whose process does not answer."""
    counts, at_work = run.status().counts, process.runs.get(process.glance().slot)
    pages = f"{counted(counts.pages, 'page')} and {counted(counts.items, 'item')} were counted"
    so_far = pages if counts.pages or counts.items else "nothing was counted yet"
    has_begun = at_work is run or counts != NO_COUNTS
    stage = "has begun" if has_begun else f"was given to process {process.number}"
    whose = _whose(at_work, owns) if at_work is not None and at_work is not run else ""
    silent_s = max(ANSWER_S, process.load().late_s)
    return (
        f"the crawl of task {run.name!r} {stage}, and {so_far}; its process has not answered for"
        f" {silent_s:.1f} s, because a callback{whose} computes, or it gets no processor; try again"
        " later"
    )


def _whose(at_work: DistantRun, owns: Owns) -> str:
    """Return whose callback it is. The names of tasks that a caller may not see are not told."""
    return f" of task {at_work.name!r}" if _is_owned(at_work, owns) else " of another task"
