"""Bounds how many refusals and failed calls are written.

A flood of them then fills no disk and slows no node.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from crawler.clock import Clock

MOST_LINES = 20
"""How many failed calls of a kind are logged a second. /metrics counts all of them."""
MOST_OF_ADDRESS = 10
"""How many refusals of an address are written in a minute. Further ones are counted."""
MOST_OF_ALL = 100
"""How many refusals are written in a minute in all."""
MOST_ADDRESSES = 100
"""For how many addresses refusals are counted in a minute. All others share a count."""
OTHERS = "others"
"""What stands for the address of those."""


class Sparing:
    """Allows so many log lines a second, and no more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = -math.inf
        self._left = 0

    def allows(self) -> bool:
        """Whether another line may be written now."""
        now_s = math.floor(self._clock.monotonic())
        if now_s != self._second:
            self._second, self._left = now_s, MOST_LINES
        self._left -= 1
        return self._left >= 0


class SparseRefusals:
    """Decides which refusals are written one by one, and counts the others, minute by minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute = -1
        self._written: dict[str, int] = {}
        """Address → how many of its refusals of this minute were written. Their sum is bounded, and
        so is this."""
        self._left = MOST_OF_ALL
        self._counts: dict[str, int] = {}

    def admits(self, address: str) -> bool:
        """Return whether a refusal is to be written; if not, count it."""
        written = self._written.get(address, 0)
        if written < MOST_OF_ADDRESS and self._left > 0:
            self._written[address] = written + 1
            self._left -= 1
            return True
        is_known = address in self._counts or len(self._counts) < MOST_ADDRESSES
        key = address if is_known else OTHERS
        self._counts[key] = self._counts.get(key, 0) + 1
        return False

    def counted(self, now: bool = False) -> Mapping[str, int]:
        """Return the counts of the minute, if it has ended or is to end `now`, by address. Another
        one begins then."""
        minute = math.floor(self._clock.monotonic() / 60.0)
        if minute == self._minute and not now:
            return {}
        found, self._counts = self._counts, {}
        self._minute, self._written, self._left = minute, {}, MOST_OF_ALL
        return found
