"""What ends a crawl before it is done: a stop, the wish of a callback, or a bound it was given."""

from __future__ import annotations

import math
from collections.abc import Callable

from crawler.clock import Clock
from crawler.engine.stats.counters import Counters
from crawler.settings.crawl import CrawlSettings


class CloseConditions:
    """Watches the counters of a crawl; settings that are 0 bound nothing, and cost nothing."""

    def __init__(self, settings: CrawlSettings, counters: Counters, clock: Clock) -> None:
        self.over = False
        """Whether nothing more is to be done; asked at every link."""
        self.stopped = False
        """Whether the run was cut short from outside; its outcome says nothing then."""
        self.reason = ""
        """Why it ends by itself: the setting whose bound is reached, or what a callback said."""
        self._clock = clock
        self._max_run_s = settings.max_run_s or math.inf
        self.deadline_s = math.inf
        """The moment at which the time is up."""
        counts: list[tuple[str, int, Callable[[], int]]] = [
            ("max_items", settings.max_items, lambda: counters.items),
            ("max_pages", settings.max_pages, lambda: counters.pages),
            ("max_failures", settings.max_failures, lambda: counters.failures),
        ]
        self._counts = [each for each in counts if each[1]]

    def begin(self) -> None:
        """The time runs from now."""
        self.deadline_s = self._clock.monotonic() + self._max_run_s

    def stop(self) -> None:
        """It is cut short."""
        self.stopped = self.over = True

    def end(self, reason: str) -> None:
        """It ends by itself; the first reason counts."""
        self.reason = self.reason or reason
        self.over = True

    def check(self) -> None:
        """See whether a bound is reached."""
        reason = self._reached()
        if reason:
            self.end(reason)

    def _reached(self) -> str:
        for name, most, count in self._counts:
            if count() >= most:
                return name
        if self.deadline_s < math.inf and self._clock.monotonic() >= self.deadline_s:
            return "max_run_s"
        return ""
