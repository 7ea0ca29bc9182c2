"""How much a crawl may do before it ends by itself: items, pages, failures, time."""

from __future__ import annotations

import math
from collections.abc import Callable

from crawler.clock import Clock
from crawler.crawl_settings import CrawlSettings
from crawler.engine.tally import Tally


class Bounds:
    """Watches the tally of a crawl; settings that are 0 bound nothing, and cost nothing."""

    def __init__(self, settings: CrawlSettings, tally: Tally, clock: Clock) -> None:
        self._clock = clock
        self._max_run_s = settings.max_run_s or math.inf
        self.deadline_s = math.inf
        """The moment at which the time is up."""
        counts: list[tuple[str, int, Callable[[], int]]] = [
            ("max_items", settings.max_items, lambda: tally.items),
            ("max_pages", settings.max_pages, lambda: tally.pages),
            ("max_failures", settings.max_failures, lambda: tally.failures),
        ]
        self._counts = [each for each in counts if each[1]]

    def begin(self) -> None:
        """The time runs from now."""
        self.deadline_s = self._clock.monotonic() + self._max_run_s

    def reached(self) -> str:
        """The setting whose bound is reached; empty when none is."""
        for name, most, count in self._counts:
            if count() >= most:
                return name
        if self.deadline_s < math.inf and self._clock.monotonic() >= self.deadline_s:
            return "max_run_s"
        return ""
