"""The slots of a crawl: how many requests are on their way at once, whatever hosts they go to.

A host that does not answer must not hold a slot that others need. So a request that has waited for
longer than `PATIENCE_S` is set aside: it goes on beside the `concurrency` of the crawl, within a
bound of its own, and its slot is free. Each call takes constant time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

PATIENCE_S = 1.5
"""A request without an answer for so long is set aside, and its host counts as one that lags."""


class Slot:
    """What one request holds while it is on its way."""

    __slots__ = ("aside", "held", "host", "since_s")

    def __init__(self, since_s: float, host: str, aside: bool) -> None:
        self.since_s = since_s
        self.host = host
        self.aside = aside
        """Whether it does not count towards `concurrency`."""
        self.held = True


class Slots:
    """At most `most` ordinary slots and `most_aside` beside them. `lags` is told each host
    whose request is set aside."""

    def __init__(
        self, most: int, most_aside: int, lags: Callable[[str], None] = lambda host: None
    ) -> None:
        self.busy = 0
        """Slots in use, those set aside included."""
        self._most = most
        self._most_aside = most_aside
        self._lags = lags
        self._aside = 0
        self._waiting: deque[Slot] = deque()

    @property
    def has_spare(self) -> bool:
        """Whether one more request may be set aside."""
        return self._aside < self._most_aside

    @property
    def is_full(self) -> bool:
        """Whether there are as many requests as there are ordinary slots."""
        return self.busy >= self._most

    def has_room(self, now_s: float) -> bool:
        """Whether an ordinary slot is free; what lags is set aside for it."""
        self._set_aside(now_s)
        return self.busy - self._aside < self._most

    def next_s(self) -> float:
        """When the next request will have waited for too long; infinity when none can."""
        if not self._waiting or not self.has_spare:
            return math.inf
        return self._waiting[0].since_s + PATIENCE_S

    def take(self, now_s: float, host: str = "", beside: bool = False) -> Slot:
        """A slot for a request that is sent now; beside the others at once if so asked."""
        slot = Slot(now_s, host, beside and self.has_spare)
        self.busy += 1
        self._aside += slot.aside
        if not slot.aside:
            self._waiting.append(slot)
        return slot

    def answered(self, slot: Slot) -> None:
        """The answer is here, and takes an ordinary slot until it is dealt with: `settle`."""
        slot.held = False
        self._aside -= slot.aside

    def settle(self) -> None:
        """An answer was dealt with."""
        self.busy -= 1

    def free(self, slot: Slot) -> None:
        """A request has ended without anything to deal with."""
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
