"""The statistics of all crawls of an engine: of those that run, and of those that ended last."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from gevent.event import Event

from crawler.clock import Clock
from crawler.engine.stats.statistics import CrawlStats, Statistics
from crawler.errors import NotFound
from crawler.logs import get_logger

log = get_logger(__name__)

ENDED = 100
"""So many crawls that have ended are remembered."""
LOOK_S = 1.0
"""How often it is looked whether a line of the log is due."""
TOTALS = (
    *("pages", "items", "requests", "retries", "redirects", "from_cache"),
    *("bytes_received", "bytes_expanded", "slow_callbacks"),
)
"""What is summed over all crawls, beside failures and filtered."""


class Watched(Protocol):
    """What is asked of a crawl."""

    spider: Any
    stats: CrawlStats
    ended: Event

    @property
    def statistics(self) -> Statistics:
        """As they stand."""
        ...


class StatisticsRegistry:
    """Knows every crawl of an engine, and sums up what they have done."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._crawls: WeakKeyDictionary[Watched, float] = WeakKeyDictionary()
        self._ended: deque[Statistics] = deque(maxlen=ENDED)
        self._done = {name: Counter[str]() for name in ("sums", "failures", "filtered")}

    def watch(self, crawl: Watched) -> None:
        """Know a crawl, whether it starts soon or never."""
        self._crawls[crawl] = self._clock.monotonic()
        crawl.ended.rawlink(lambda _: self._archive(crawl))

    def all(self) -> Sequence[Statistics]:
        """Those that run, then those that ended, the last of them first."""
        return [*(crawl.statistics for crawl in self._begun()), *reversed(self._ended)]

    def of(self, task: str) -> Statistics:
        """Those of a task: of the crawl that runs, or the last that did. Raises NotFound."""
        for found in self.all():
            if found.task == task:
                return found
        raise NotFound(f"no statistics of task {task!r} here; it did not run here of late")

    def sums(self) -> Counter[str]:
        """TOTALS over all crawls since the start."""
        return self._total("sums")

    def sum(self, name: str) -> int:
        """One of TOTALS."""
        begun = sum(getattr(crawl.statistics, name) for crawl in self._begun())
        return self._done["sums"][name] + int(begun)

    def failures(self) -> Counter[str]:
        """Failures by reason, likewise."""
        return self._total("failures")

    def filtered(self) -> Counter[str]:
        """Requests that were not sent, by reason, likewise."""
        return self._total("filtered")

    def log_forever(self) -> None:
        """Log how each crawl stands, as often as its settings want it."""
        while True:
            self._clock.sleep(LOOK_S)
            self.log_due()

    def log_due(self) -> None:
        """Log those whose time has come."""
        now_s = self._clock.monotonic()
        for crawl in self._begun():
            every_s = crawl.spider.settings.log_stats_s
            if every_s and now_s >= self._crawls[crawl] + every_s:
                self._crawls[crawl] = now_s
                _log(crawl.statistics)

    def _begun(self) -> list[Watched]:
        return [crawl for crawl in self._crawls if crawl.stats.begun]

    def _total(self, name: str) -> Counter[str]:
        total = self._done[name].copy()
        for crawl in self._begun():
            total.update(_parts(crawl.statistics)[name])
        return total

    def _archive(self, crawl: Watched) -> None:
        self._crawls.pop(crawl, None)
        found = crawl.statistics
        self._ended.append(found)
        for name, counts in _parts(found).items():
            self._done[name].update(counts)


def _parts(found: Statistics) -> dict[str, dict[str, int]]:
    return {
        "sums": {name: getattr(found, name) for name in TOTALS},
        "failures": dict(found.failures),
        "filtered": dict(found.filtered),
    }


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
