"""The slots of a crawl: how many requests are in flight at once, to all hosts together.

A host that does not answer must not hold a slot that others need. So a request that has waited for
longer than `PATIENCE_S` is set aside: it goes on, but no longer counts toward `concurrency`, and
its slot is free. `slow_concurrency` limits the requests set aside. Each call takes constant time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

PATIENCE_S = 1.5
"""The seconds after which a request without an answer is set aside, and its host counts as slow."""


class Slot:
    """The slot of one request in flight."""

    __slots__ = ("aside", "held", "host", "since_s")

    def __init__(self, since_s: float, host: str, aside: bool) -> None:
        self.since_s = since_s
        self.host = host
        self.aside = aside
        """Whether the request does not count toward `concurrency`."""
        self.held = True


class Slots:
    """At most `most` ordinary slots, and `most_aside` slots beside them.

    `lags` is called with each host whose request is set aside.
    """

    def __init__(
        self, most: int, most_aside: int, lags: Callable[[str], None] = lambda host: None
    ) -> None:
        self.busy = 0
        """The number of slots in use, including those set aside."""
        self._most = most
        self._most_aside = most_aside
        self._lags = lags
        self._aside = 0
        self._waiting: deque[Slot] = deque()

    def resize(self, most: int, most_aside: int) -> None:
        """Change how many slots there are. Those in use stay."""
        self._most, self._most_aside = most, most_aside

    @property
    def has_spare(self) -> bool:
        """Whether one more request may be set aside."""
        return self._aside < self._most_aside

    @property
    def is_full(self) -> bool:
        """Whether there are at least as many requests as ordinary slots."""
        return self.busy >= self._most

    @property
    def room(self) -> int:
        """How many ordinary slots are free."""
        return max(0, self._most - self.busy + self._aside)

    def has_room(self, now_s: float) -> bool:
        """Whether an ordinary slot is free. Late requests are set aside first."""
        self._set_aside(now_s)
        return self.busy - self._aside < self._most

    def next_s(self) -> float:
        """The monotonic time at which the next request will be set aside; infinity if none."""
        if not self._waiting or not self.has_spare:
            return math.inf
        return self._waiting[0].since_s + PATIENCE_S

    def take(self, now_s: float, host: str = "", beside: bool = False) -> Slot:
        """Take a slot for a request that is sent now. `beside` sets it aside at once if it can."""
        slot = Slot(now_s, host, beside and self.has_spare)
        self.busy += 1
        self._aside += slot.aside
        if not slot.aside:
            self._waiting.append(slot)
        return slot

    def answered(self, slot: Slot) -> None:
        """Record an answer. It uses an ordinary slot until `settle`."""
        slot.held = False
        self._aside -= slot.aside

    def settle(self) -> None:
        """Free the slot of an answer that was processed."""
        self.busy -= 1

    def free(self, slot: Slot) -> None:
        """Free the slot of a request that needs no processing."""
        self.answered(slot)
        self.settle()

    def _set_aside(self, now_s: float) -> None:
        waiting = self._waiting
        while waiting and (not waiting[0].held or self._is_late(waiting[0], now_s)):
            slot = waiting.popleft()
            if slot.held:
                slot.aside = True
                self._aside += 1
                self._lags(slot.host)

    def _is_late(self, slot: Slot, now_s: float) -> bool:
        return self.has_spare and slot.since_s + PATIENCE_S <= now_s
