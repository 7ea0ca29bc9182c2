"""How long a crawl may compute before the rest of the process gets its turn."""

from __future__ import annotations

from collections.abc import Callable

from crawler.clock import Clock, give_turn

SLICE_S = 0.005
"""Everything else in the process waits at most this long for each crawl."""


class TimeSlice:
    """Lets other greenlets run whenever a slice of time is used up."""

    def __init__(self, clock: Clock, rest: Callable[[], None] = give_turn) -> None:
        self._now_s = clock.monotonic
        self._rest = rest
        self._ends_s = 0.0

    def begin(self) -> None:
        """A new slice starts now: others have just run."""
        self._ends_s = self._now_s() + SLICE_S

    def give_way(self) -> None:
        """Called between two small pieces of work; yields when the slice is used up."""
        if self._now_s() >= self._ends_s:
            self._rest()
            self.begin()
