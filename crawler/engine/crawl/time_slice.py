"""Limits how long a crawl computes before other greenlets get a turn."""

from __future__ import annotations

from collections.abc import Callable

from crawler.clock import Clock, give_turn

SLICE_S = 0.005
"""The seconds of one slice. All other greenlets wait that long at most for each crawl."""


class TimeSlice:
    """Lets other greenlets run whenever a slice of time is used up."""

    def __init__(self, clock: Clock, rest: Callable[[], None] = give_turn) -> None:
        self._now_s = clock.monotonic
        self._rest = rest
        self._ends_s = 0.0
        self.turns = 0
        """How often others have had their turn."""

    def begin(self) -> None:
        """Start a slice. Call it when other greenlets have just run."""
        self._ends_s = self._now_s() + SLICE_S
        self.turns += 1

    @property
    def is_over(self) -> bool:
        """Whether the slice is used up."""
        return self._now_s() >= self._ends_s

    def give_way(self) -> None:
        """Let other greenlets run if the slice is used up. Call it between small pieces of work."""
        if self._now_s() >= self._ends_s:
            self._rest()
            self.begin()
