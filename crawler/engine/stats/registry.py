"""The statistics of all crawls of an engine: those that run, and those that ended last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from gevent.event import Event

from crawler.clock import Clock, give_turn
from crawler.engine.stats.counters import Counters
from crawler.engine.stats.ended import EndedCrawls, as_one, crawl_names
from crawler.engine.stats.totals import Totals
from crawler.logs import get_logger
from crawler.model.processes import ProcessLoad
from crawler.model.statistics import Owns, Statistics, anybodys

log = get_logger(__name__)

LOOK_S = 1.0
"""The seconds between two checks whether a log line is due."""
SLICE = 100
"""The crawls that are summed before other greenlets get a turn, in about half a millisecond."""


class Watched(Protocol):
    """What the registry needs from a crawl."""

    name: str
    """The name of its task."""
    spider: Any
    counters: Counters
    ended: Event

    @property
    def statistics(self) -> Statistics:
        """The statistics at this moment."""
        ...

    @property
    def store_bytes(self) -> int:
        """About how much room its state takes; 0 if none is kept, or nobody knows."""
        ...


class StatisticsRegistry:
    """Knows every crawl of an engine, and sums up their counters."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._crawls: WeakKeyDictionary[Watched, float] = WeakKeyDictionary()
        self._ended = EndedCrawls()
        self._done = Totals()

    def watch(self, crawl: Watched) -> None:
        """Register a crawl, whether it starts soon or never."""
        self._crawls[crawl] = self._clock.monotonic()
        crawl.ended.rawlink(lambda _: self._archive(crawl))

    def all(self, owns: Owns = anybodys) -> Sequence[Statistics]:
        """The statistics of the running crawls, then those of the ended ones, the last first."""
        return [*filter(owns, self.running()), *self._ended.all(owns)]

    def running(self) -> Sequence[Statistics]:
        """The statistics of the running crawls."""
        return [crawl.statistics for crawl in self._begun()]

    def of(self, task: str, owns: Owns = anybodys) -> Statistics:
        """The statistics of a task: of its running crawl, or its last one. Raises NotFound."""
        return self._running([task], owns).get(task) or self._ended.of(task, owns)

    def of_task(self, task: str, owns: Owns = anybodys) -> Statistics:
        """The statistics of the crawls of a task here, its head and its shards, together: of those
        that run, or of the last ones, which ran at the same time. Raises NotFound."""
        names = crawl_names(task)
        parts = self._running(names, owns) or self._ended.together(names, owns)
        return as_one(task, parts) if parts else self._ended.of(task, owns)

    def processes(self) -> Sequence[ProcessLoad]:
        """None: these crawls are in the process that asks."""
        return ()

    def totals(self) -> Totals:
        """The sums over all crawls since the start. Each crawl counts once.

        This takes one pass over the counters, and makes no statistics of them. Other greenlets get
        a turn between two slices, however many crawls there are.
        """
        # A crawl that ends meanwhile is in this list, but not in this copy.
        totals, begun = self._done.copy(), self._begun()
        for at in range(0, len(begun), SLICE):
            for crawl in begun[at : at + SLICE]:
                totals.add(crawl.counters)
            give_turn()
        return totals

    def pending(self) -> int:
        """How many requests of all crawls that run have no end."""
        return sum(crawl.counters.pending for crawl in self._begun())

    def store_bytes(self) -> int:
        """About how many bytes the states of all crawls that run take."""
        return sum(crawl.store_bytes for crawl in self._begun())

    def log_forever(self) -> None:
        """Log the state of each crawl, as often as its settings ask for."""
        while True:
            self._clock.sleep(LOOK_S)
            self.log_due()

    def log_due(self) -> None:
        """Log the crawls whose line is due."""
        now_s = self._clock.monotonic()
        for crawl in self._begun():
            every_s = crawl.spider.settings.log_stats_s
            if every_s and now_s >= self._crawls[crawl] + every_s:
                self._crawls[crawl] = now_s
                _log(crawl.statistics)

    def _begun(self) -> list[Watched]:
        return [crawl for crawl in self._crawls if crawl.counters.timing.begun]

    def _running(self, names: Sequence[str], owns: Owns) -> Mapping[str, Statistics]:
        """The statistics of the running crawls with these names. No others are made."""
        found = [crawl.statistics for crawl in self._begun() if crawl.name in names]
        return {each.task: each for each in found if owns(each)}

    def _archive(self, crawl: Watched) -> None:
        self._crawls.pop(crawl, None)
        self._ended.add(crawl.statistics)
        self._done.add(crawl.counters)


def _log(found: Statistics) -> None:
    log.info(
        "crawl goes on",
        task=found.task,
        spider=found.spider,
        pages=found.pages,
        pages_per_s=round(found.pages_per_s, 1),
        items=found.items,
        failures=sum(found.failures.values()),
        pending=found.pending,
        seconds=round(found.seconds, 1),
    )
