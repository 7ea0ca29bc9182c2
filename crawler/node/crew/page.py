"""A page of memory that a crawl process shares with its worker.

The process notes there whose callback runs, and that its hub turns. The worker reads it while the
process computes, and after it has died: then the page says who was at it.
"""

from __future__ import annotations

import mmap
import os
import time
from typing import NamedTuple

from crawler.redaction import hide

SIZE = mmap.PAGESIZE
_TURNED, _SINCE = 0, 1
_SLOT, _CALLS, _LENGTH, _LIMIT, _CUT, _LATE = 2, 3, 4, 5, 6, 7
_TEXT = 64
"""Where the text begins."""
MOST_TEXT_BYTES = 2000
TURN_S = 0.1
"""How often a process notes that its hub turns."""


class Glance(NamedTuple):
    """What a page says at one moment."""

    slot: int
    """The number of the run whose callback is being called; 0 if none is."""
    call: int
    """The number of that call among all calls of the process."""
    since_s: float
    """When the call began, on the monotonic clock, which all processes of a machine share."""
    turned_s: float
    """When the hub turned last; 0 if it never did."""
    about: str = ""
    """The page for which it is called."""
    limit_s: float = 0.0
    """How long it may compute; 0 means that there is no limit."""

    @property
    def is_sure(self) -> bool:
        """Whether the callback, and nothing else, has run since it was called."""
        return bool(self.slot) and self.turned_s <= self.since_s


class Page:
    """A page. Each value is eight bytes, and is stored at once."""

    def __init__(self, file: int) -> None:
        """`file` is the number of an open file of that size."""
        self._map = mmap.mmap(file, SIZE)
        self._memory = memoryview(self._map)
        self._moments = self._memory.cast("d")
        self._numbers = self._memory.cast("Q")
        self._text = self._memory[_TEXT : _TEXT + MOST_TEXT_BYTES]
        self._made_s = time.monotonic()
        self._last: Glance | None = None
        """What it said when it was closed."""

    @staticmethod
    def create() -> int:
        """Make a page. Return the number of its file, which the caller closes."""
        file = os.memfd_create("crawl process", os.MFD_CLOEXEC)
        os.ftruncate(file, SIZE)
        return file

    def close(self) -> None:
        """Let go of the memory. From now on it says what it says now. Repeating it is harmless."""
        if self._last is None:
            self._last = self.glance()
            for view in (self._moments, self._numbers, self._text, self._memory):
                view.release()
            self._map.close()

    def tell(self, about: str, limit_s: float = 0.0) -> None:
        """Note for which page the next callback is called, and how long it may compute."""
        self._moments[_LIMIT] = limit_s
        text = about.encode(errors="replace")
        if len(text) > MOST_TEXT_BYTES:  # a secret that is cut would not be found
            text = hide(about).encode(errors="replace")[:MOST_TEXT_BYTES]
        self._numbers[_LENGTH] = 0
        self._text[: len(text)] = text
        self._numbers[_LENGTH] = len(text)

    def enter(self, slot: int) -> None:
        """Note that the callback of a run is called."""
        self._moments[_SINCE] = time.monotonic()
        self._numbers[_CALLS] += 1
        self._numbers[_SLOT] = slot

    def leave(self) -> None:
        """Note that it has returned."""
        self._numbers[_SLOT] = 0

    def turn(self) -> None:
        """Note that the hub turns, and how late it is, if it is later than before."""
        now_s, before_s = time.monotonic(), self._moments[_TURNED]
        if before_s:
            self._moments[_LATE] = max(self._moments[_LATE], now_s - before_s - TURN_S)
        self._moments[_TURNED] = now_s

    def take_late_s(self) -> float:
        """By how many seconds the hub was late since the last call, at worst, also now."""
        if self._last is not None:
            return 0.0
        late_s, self._moments[_LATE] = self._moments[_LATE], 0.0
        return max(self.late_s(), self._possible(late_s))

    def late_s(self) -> float:
        """For how many seconds the hub has not turned although it should have."""
        turned_s = self.glance().turned_s
        return self._possible(time.monotonic() - turned_s - TURN_S) if turned_s else 0.0

    def _possible(self, late_s: float) -> float:
        """No hub is later than its page is old. Spiders may write anything here, also no number."""
        return max(0.0, min(late_s, time.monotonic() - self._made_s))

    @property
    def cut(self) -> int:
        """The run whose callback the worker wants to end where it is; 0 if there is none."""
        return self._numbers[_CUT]

    def cut_off(self, slot: int) -> None:
        """Note that the callback of a run must end where it is."""
        if self._last is None:
            self._numbers[_CUT] = slot

    def glance(self) -> Glance:
        """Read it. If a call begins meanwhile, it may be that call or the one before."""
        if self._last is not None:
            return self._last
        slot, call = self._numbers[_SLOT], self._numbers[_CALLS]
        about = bytes(self._text[: min(self._numbers[_LENGTH], MOST_TEXT_BYTES)])
        text = about.decode(errors="replace")
        since_s, turned_s = self._moments[_SINCE], self._moments[_TURNED]
        return Glance(slot, call, since_s, turned_s, text, self._moments[_LIMIT])
