"""How long a crawl may compute before the rest of the process gets its turn."""

from __future__ import annotations

from collections.abc import Callable

import gevent

from crawler.clock import Clock

SLICE_S = 0.005
"""Keepalives of the node's lease wait that long at most behind each crawl."""
TURN_S = 1e-6
"""Any time above zero lets the loop look at its sockets and timers. `sleep(0)` does not: gevent
runs up to 50 such callbacks before it looks, a quarter of a second at 5 ms each (measured)."""


def give_turn() -> None:
    """Let everything else run that is ready."""
    gevent.sleep(TURN_S)


class Pace:
    """Lets other greenlets run whenever a slice of time is used up."""

    def __init__(self, clock: Clock, rest: Callable[[], None] = give_turn) -> None:
        self._clock = clock
        self._rest = rest
        self._ends_s = 0.0

    def begin(self) -> None:
        """A new slice starts now: others have just run."""
        self._ends_s = self._clock.monotonic() + SLICE_S

    def breathe(self) -> None:
        """Called between two small pieces of work; yields when the slice is used up."""
        if self._clock.monotonic() >= self._ends_s:
            self._rest()
            self.begin()
