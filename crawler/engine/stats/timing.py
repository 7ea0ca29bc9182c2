"""Measures when a crawl ran, and its recent pages per second."""

from __future__ import annotations

from collections import deque

from crawler.clock import Clock

RATE_S = 10.0
"""Pages per second are measured over this many seconds."""
SAMPLE_S = 1.0
"""The least seconds between two samples."""


class Timing:
    """The start and the end of one crawl, and samples of its pages in between."""

    def __init__(self, clock: Clock) -> None:
        self.began_ns = 0
        """The wall time of the start; 0 before it."""
        self.ended_ns = 0
        """The wall time of the end; 0 before it."""
        self._clock = clock
        self.before_s = 0.0
        """The seconds of the runs before this one."""
        self._began_s: float | None = None
        self._took_s: float | None = None
        self._samples: deque[tuple[float, int]] = deque(maxlen=int(RATE_S / SAMPLE_S) + 1)
        self._sample_s = 0.0

    @property
    def begun(self) -> bool:
        """Whether the crawl has started."""
        return self._began_s is not None

    @property
    def seconds(self) -> float:
        """The seconds that the crawl has run so far."""
        if self._took_s is not None:
            return self._took_s
        if self._began_s is None:
            return self.before_s
        return self.before_s + self._clock.monotonic() - self._began_s

    @property
    def now_ns(self) -> int:
        """The present wall time; after the end, that of the end."""
        return self.ended_ns or self._clock.time_ns()

    def go_on(self, seconds: float, pages: int) -> None:
        """Go on after runs that took so many seconds and fetched so many pages."""
        self.before_s = seconds
        self._samples.clear()
        self._sample_s = 0.0
        self.note(pages)

    def begin(self) -> None:
        """Record the start of the crawl."""
        self._began_s = self._clock.monotonic()
        self.began_ns = self._clock.time_ns()
        self.note(0)

    def end(self) -> None:
        """Record the end of the crawl."""
        self._took_s = self.seconds
        self.ended_ns = self._clock.time_ns()

    def note(self, pages: int) -> None:
        """Record the present number of pages."""
        now_s = self._clock.monotonic()
        if now_s >= self._sample_s:
            self._samples.append((now_s, pages))
            self._sample_s = now_s + SAMPLE_S

    def pages_per_s(self, pages: int) -> float:
        """Recent pages per second; after the end, those of the whole crawl."""
        if self._took_s is not None or not self._samples:
            return pages / self._took_s if self._took_s else 0.0
        now_s = self._clock.monotonic()
        while len(self._samples) > 1 and self._samples[1][0] <= now_s - RATE_S:
            self._samples.popleft()
        since_s, before = self._samples[0]
        return (pages - before) / max(now_s - since_s, SAMPLE_S)
