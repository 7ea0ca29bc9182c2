"""All access to time. Deadlines are monotonic; wall time is only for people and ids.

Everything that waits takes a `Clock`, so tests move time by hand instead of sleeping.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

import gevent
from gevent.event import Event


class Clock(Protocol):
    """What the program needs from a clock. All durations are float seconds."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def time_ns(self) -> int:
        """Unix time in nanoseconds. It may jump in both directions."""
        ...

    def sleep(self, duration_s: float) -> None:
        """Let other greenlets run for at least that long."""
        ...

    def wait(self, event: Event, timeout_s: float | None = None) -> bool:
        """Wait until the event is set. Returns False if the time ran out first."""
        ...


def _best_monotonic() -> Callable[[], float]:
    # A lease runs on while a machine is suspended; CLOCK_MONOTONIC would not.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    return time.monotonic


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(_best_monotonic())
    """Seconds on the machine's monotonic clock, including suspended time if the machine can tell.

    A crawl reads it for every link, so no function of ours wraps it.
    """

    def time_ns(self) -> int:
        """The machine's wall time in nanoseconds."""
        return time.time_ns()

    def sleep(self, duration_s: float) -> None:
        """Sleep without blocking the hub."""
        gevent.sleep(duration_s)

    def wait(self, event: Event, timeout_s: float | None = None) -> bool:
        """Wait for the event, at most that long."""
        return bool(event.wait(timeout_s))


class ManualClock:
    """A clock that moves only when a test moves it. Wall time can be set separately."""

    def __init__(self, wall_ns: int = 1_670_841_268_798_763_000) -> None:
        self._now_s = 1_000.0
        self._wall_ns = wall_ns
        self._sleepers: list[tuple[float, int, Event]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        """Seconds moved so far, from an arbitrary start."""
        return self._now_s

    def time_ns(self) -> int:
        """The wall time as set and advanced."""
        return self._wall_ns

    def set_wall(self, wall_ns: int) -> None:
        """Set the wall clock, also backwards. The monotonic clock stays."""
        self._wall_ns = wall_ns

    def sleep(self, duration_s: float) -> None:
        """Block until `advance` has moved the clock that far."""
        self.wait(Event(), duration_s)

    def wait(self, event: Event, timeout_s: float | None = None) -> bool:
        """Block until the event is set or `advance` passes the timeout."""
        if event.is_set() or timeout_s is None:
            return bool(event.wait())
        if timeout_s <= 0:
            gevent.sleep(0)
            return bool(event.is_set())
        wake = Event()
        heapq.heappush(self._sleepers, (self._now_s + timeout_s, next(self._order), wake))
        gevent.wait([event, wake], count=1)
        return bool(event.is_set())

    def advance(self, duration_s: float) -> None:
        """Move both clocks. Wakes the sleepers in the order of their deadlines, one by one."""
        end_s = self._now_s + duration_s
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, wake = heapq.heappop(self._sleepers)
            self._move(max(0.0, due_s - self._now_s))
            wake.set()
            settle()
        self._move(end_s - self._now_s)
        settle()

    def _move(self, duration_s: float) -> None:
        self._now_s += duration_s
        self._wall_ns += int(duration_s * 1e9)


def settle(turns: int = 10) -> None:
    """Let every greenlet run that can run, for some turns of the hub."""
    for _ in range(turns):
        give_turn()


TURN_S = 1e-9
"""Any time above zero lets the loop check its sockets and timers.

`sleep(0)` does not: gevent runs up to 50 such callbacks before it checks, which took a quarter of a
second at 5 ms each (measured). A time that is not over when the loop checks costs a millisecond; of
one microsecond, every fourth did.
"""


def give_turn() -> None:
    """Let everything else run that is ready, sockets and timers included."""
    gevent.sleep(TURN_S)


class Backoff:
    """Growing pauses between attempts: they double from `first_s` to `most_s`. `reset` on success.

    The default suits etcd: whatever waits for etcd must be back within 2 s of etcd's return, and
    may have to wait for another part that also waits.
    """

    def __init__(self, first_s: float = 0.1, most_s: float = 0.5) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s
        self.attempts = 0
        """The number of pauses since the last success."""

    def next_s(self) -> float:
        """The pause before the next attempt, in seconds."""
        self.attempts += 1
        pause_s = self._next_s
        self._next_s = min(self._next_s * 2, self._most_s)
        return pause_s

    def reset(self) -> None:
        """Start over with the shortest pause."""
        self.attempts = 0
        self._next_s = self._first_s
