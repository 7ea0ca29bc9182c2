"""What ends a crawl before it is done: a stop, the wish of a callback, or a bound it was given."""

from __future__ import annotations

import math
from collections.abc import Callable

from crawler.clock import Clock
from crawler.crawl_settings import CrawlSettings
from crawler.engine.tally import Tally


class Ending:
    """Watches the tally of a crawl; settings that are 0 bound nothing, and cost nothing."""

    def __init__(self, settings: CrawlSettings, tally: Tally, clock: Clock) -> None:
        self.stopped = False
        """Whether the run was cut short from outside; its outcome says nothing then."""
        self.reason = ""
        """Why it ends by itself: the setting whose bound is reached, or what a callback said."""
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

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done."""
        return self.stopped or bool(self.reason)

    def begin(self) -> None:
        """The time runs from now."""
        self.deadline_s = self._clock.monotonic() + self._max_run_s

    def check(self) -> None:
        """See whether a bound is reached."""
        self.reason = self.reason or self._reached()

    def _reached(self) -> str:
        for name, most, count in self._counts:
            if count() >= most:
                return name
        if self.deadline_s < math.inf and self._clock.monotonic() >= self.deadline_s:
            return "max_run_s"
        return ""
