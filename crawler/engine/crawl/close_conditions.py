"""Ends a crawl before it is done: at a stop, at the wish of a callback, or at a limit."""

from __future__ import annotations

import math
from collections.abc import Callable

from crawler.clock import Clock
from crawler.engine.stats.counters import Counters
from crawler.model.records import NO_COUNTS
from crawler.settings.crawl import CrawlSettings


class CloseConditions:
    """Compares the counters of a crawl with its limits. A setting of 0 is no limit."""

    def __init__(self, settings: CrawlSettings, counters: Counters, clock: Clock) -> None:
        self.over = False
        """Whether the crawl has to end. The crawl checks it after each output of a callback."""
        self.stopped = False
        """Whether the run was stopped from outside. Its outcome has no meaning then."""
        self.lets_finish = False
        """Whether a stop lets the running callback come to its end, and the answers under way."""
        self.reason = ""
        """The finish reason: the setting whose limit is reached, or a callback's reason."""
        self.wish = ""
        """The reason to end that other shards cannot see for themselves: that of a callback, or
        `max_run_s`. Empty if there is none."""
        self.keeps_time = True
        """Whether it is this crawl that compares `max_run_s`: of a task on several workers, its
        head does so for all."""
        self.others = NO_COUNTS
        """What the other shards of the task have counted. The limits are for all together."""
        self._clock = clock
        self._settings = settings
        self._counters = counters
        self._began_s = math.inf
        self.deadline_s = math.inf
        """The monotonic time at which `max_run_s` is used up."""
        self._counts: list[tuple[str, int, Callable[[], int]]] = []
        self.adjust()

    def adjust(self) -> None:
        """Read the limits again, because they may have changed."""
        settings, counters = self._settings, self._counters
        counts: list[tuple[str, int, Callable[[], int]]] = [
            ("max_items", settings.max_items, lambda: counters.items + self.others.items),
            ("max_pages", settings.max_pages, lambda: counters.pages + self.others.pages),
            (
                "max_failures",
                settings.max_failures,
                lambda: counters.failures + self.others.failures,
            ),
        ]
        self._counts = [each for each in counts if each[1]]
        most_s = settings.max_run_s if self.keeps_time else 0.0
        self.deadline_s = self._began_s + (most_s or math.inf)

    def begin(self) -> None:
        """Start the running time of the crawl."""
        self._began_s = self._clock.monotonic()
        self.adjust()

    @property
    def breaks_off(self) -> bool:
        """Whether a running callback has to end at its next output."""
        return self.over and not (self.stopped and self.lets_finish and not self.reason)

    def stop(self) -> None:
        """Stop the crawl from outside. A second time, it does not wait for what is under way."""
        self.lets_finish = self.lets_finish and not self.stopped
        self.stopped = self.over = True

    def end(self, reason: str) -> None:
        """End the crawl for a reason that counts for all shards. The first reason counts."""
        self.wish = self.wish or reason
        self._end(reason)

    def check(self) -> None:
        """End the crawl if a limit is reached."""
        if reached := self.limit:
            self._end(reached)
        elif self.deadline_s < math.inf and self._clock.monotonic() >= self.deadline_s:
            self.end("max_run_s")

    @property
    def limit(self) -> str:
        """The limit over all runs that is reached; empty if none is."""
        for name, most, count in self._counts:
            if count() >= most:
                return name
        return ""

    def _end(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.over = True
