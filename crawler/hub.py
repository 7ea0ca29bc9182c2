"""Watches the hub from a native thread: whether it turns, and what blocks it.

All greenlets share one thread, so a callback that computes for long blocks all others, even those
that could report it. Work that must go on meanwhile, or must notice, runs in a native thread.
"""

from __future__ import annotations

import faulthandler
import os
import re
from collections.abc import Callable
from typing import NamedTuple

import gevent
from gevent import monkey

from crawler.clock import SystemClock
from crawler.logs import get_logger

log = get_logger(__name__)

TICK_S = 0.1
"""The seconds between two notes that the hub turns."""

_start_thread = monkey.get_original("_thread", "start_new_thread")
_new_lock = monkey.get_original("_thread", "allocate_lock")


class NativeAlarm:
    """A native thread sleeps on this alarm; the hub wakes it. Neither can block the other."""

    def __init__(self) -> None:
        self._lock = _new_lock()
        self._lock.acquire()

    def wait(self, timeout_s: float) -> None:
        """Sleep that long, or until `ring`. Only for native threads."""
        self._lock.acquire(timeout=max(0.0, timeout_s))

    def ring(self) -> None:
        """Wake the thread, now or when it waits next."""
        if self._lock.locked():
            self._lock.release()


def run_beside(function: Callable[[], None]) -> None:
    """Run a function in a native thread, which ends with the process at the latest.

    The function must neither use greenlets nor log, because both need the hub. `Logger.emergency`
    does not need it.
    """
    _start_thread(function, ())


class Place(NamedTuple):
    """A line of code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f'  File "{self.file}", line {self.line}, in {self.function}'


_PLACE = re.compile(r'  File "(.*)", line (\d+) in (.*)')


def stack_of(thread: int) -> list[Place]:
    """The code that another thread executes, innermost line first. Empty if the thread is not among
    the first hundred.

    It is not safe to walk its frames from here: the thread may go on between two steps, and ended
    frames are no longer objects. faulthandler does it in one step.
    """
    with open(os.memfd_create("stack"), "w+b", buffering=0) as file:
        faulthandler.dump_traceback(file.fileno(), all_threads=True)
        file.seek(0)
        text = file.read().decode(errors="replace")
    _, _, own = text.partition(f"hread 0x{thread:016x}")
    lines = own.partition("\n\n")[0].splitlines()
    found = (_PLACE.fullmatch(line) for line in lines)
    return [Place(each[1], int(each[2]), each[3]) for each in found if each]


class Pulse:
    """Notes when this thread's hub last turned. A native thread decides what follows from this."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._hub = gevent.get_hub()
        self._turned_s = self._clock.monotonic()
        self._timer = self._hub.loop.timer(TICK_S, TICK_S)
        self._alarm = NativeAlarm()
        self._stopped = True

    @property
    def silent_s(self) -> float:
        """The seconds since the hub last turned. Any thread may read it."""
        return max(0.0, self._clock.monotonic() - self._turned_s)

    def stack(self) -> list[Place]:
        """The code that the hub's thread executes now, innermost line first. For other threads."""
        return stack_of(self._hub.thread_ident)

    def start(self) -> None:
        """Start to watch."""
        if not self._stopped:
            return
        self._stopped = False
        self._tick()
        self._timer.start(self._tick)
        run_beside(self._watch)

    def stop(self) -> None:
        """Stop to watch. Calling it again changes nothing."""
        self._stopped = True
        self._timer.stop()
        self._alarm.ring()

    def _tick(self) -> None:
        self._turned_s = self._clock.monotonic()

    def _watch(self) -> None:
        """The body of the native thread."""
        raise NotImplementedError


class HubWatch(Pulse):
    """Reports what blocks the hub."""

    def __init__(self, limit_s: float) -> None:
        """The hub counts as blocked if it does not turn for longer than `limit_s`."""
        super().__init__()
        self.limit_s = limit_s
        self.blockages = 0
        """How often the hub was blocked."""
        self.blocked_s = 0.0
        """The seconds that it was blocked in all, including those below the limit."""

    @property
    def blocked(self) -> bool:
        """Whether the hub has not turned for longer than the limit."""
        return self.silent_s > self.limit_s

    def _watch(self) -> None:
        since_s: float | None = None
        while not self._stopped:
            if self.blocked and since_s is None:
                since_s = self._turned_s
                self.blockages += 1
                self._report()
            elif since_s is not None and not self.blocked:
                lasted_s = self._clock.monotonic() - since_s
                self.blocked_s += lasted_s
                log.emergency("the hub turns again", blocked_s=round(lasted_s, 2))
                since_s = None
            self._alarm.wait(min(TICK_S, self.limit_s / 4))

    def _report(self) -> None:
        outermost_first = reversed(self.stack())
        log.emergency(
            "the hub is blocked: a callback computes without yielding",
            silent_s=round(self.silent_s, 2),
            limit_s=self.limit_s,
            stack="\n".join(map(str, outermost_first)),
        )
