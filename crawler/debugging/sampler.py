"""Samples what a process computes: which stacks its time goes to.

A native thread looks at the hub's thread every few milliseconds, whatever the hub does. It does not
walk the frames of that thread, because a greenlet may be switched away between two steps, and its
frames with it. It asks the interpreter to call back in the hub's thread, between two instructions.
There nothing moves, and the present greenlet is known (docs/decisions/0030-profile.md).
"""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter, itemgetter
from types import CodeType, FrameType
from typing import Any

import gevent
from gevent import monkey
from gevent.hub import Hub

from crawler.debugging.places import shown_code, shown_place
from crawler.hub import NativeAlarm, run_beside, stacks_of_threads

LOOK_S = 0.01
"""The seconds between two looks."""

MOST_STACKS = 10_000
"""How many different stacks are told apart. The others count as one."""

MOST_FRAMES = 100
"""How many of the innermost frames of a stack count."""

ENOUGH_NS = 1_000_000
"""A native thread is looked at each time it has computed for so long."""

WAITS = "(waits for events)"
OTHERS = "(other stacks)"
THREAD = "(native thread)"

_get_ident = monkey.get_original("_thread", "get_ident")
_HUB_WAITS = Hub.run.__code__

Stack = tuple[str, ...]
"""The name of a greenlet, then its functions, the outermost first."""


class Sampler:
    """One profile of this process, made from `start` to `stop`."""

    def __init__(self) -> None:
        self._hub = gevent.get_hub()
        self._times: dict[tuple[Any, ...], int] = {}
        """The nanoseconds of each stack. Its functions are the numbers of their code."""
        self._codes: dict[int, CodeType] = {}
        """The code by number. It is kept here, so that no number gets another code."""
        self._threads = _Threads(self._hub.thread_ident)
        self._alarm = NativeAlarm()
        self._stopped = False
        self._is_asked = False
        """Whether the hub's thread is about to call back."""
        self._is_late = False
        """Whether it waited for events since it was asked: then the time was not its own."""
        self._counted_ns = 0
        """Until when the time of the hub's thread is counted."""
        self._callback = _Callback(self._look_here)

    def start(self) -> None:
        """Begin to look."""
        self._counted_ns = time.perf_counter_ns()
        run_beside(self._look_forever)

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        self._alarm.ring()

    def times(self) -> Mapping[Stack, int]:
        """Return for each stack how many microseconds went to it: of the hub's thread by the
        clock, of native threads those of a processor."""
        found: dict[Stack, int] = {}
        for (name, *numbers), spent_ns in list(self._times.items()):
            stack = (name, *(shown_code(self._codes[number]) for number in reversed(numbers)))
            found[stack] = found.get(stack, 0) + spent_ns // 1000
        for stack, spent_ns in list(self._threads.times.items()):
            found[stack] = found.get(stack, 0) + spent_ns // 1000
        return {stack: spent_us for stack, spent_us in found.items() if spent_us}

    def _look_forever(self) -> None:
        """The body of the native thread."""
        while not self._stopped:
            self._alarm.wait(LOOK_S)
            threads, code = _threads_and_code_of(self._hub.thread_ident)
            if code is _HUB_WAITS:
                self._is_late = self._is_asked
                self._count((WAITS,))
            elif not self._is_asked:
                self._is_asked = self._callback.ask()
            self._threads.look(threads)

    def _look_here(self) -> None:
        """Count the present stack. It runs in the hub's thread, within whatever runs there."""
        is_late, self._is_asked, self._is_late = self._is_late, False, False
        if is_late or self._stopped:
            return
        frame: FrameType | None = sys._getframe(2)  # beyond this function and its caller
        numbers: list[int] = []
        while frame is not None and len(numbers) < MOST_FRAMES:
            code = frame.f_code
            self._codes[id(code)] = code
            numbers.append(id(code))
            frame = frame.f_back
        self._count((self._name(), *numbers))

    def _name(self) -> str:
        present = gevent.getcurrent()
        if present is self._hub:
            return "hub"
        # Only a name that was given: to make one is too much in the midst of anything.
        return str(getattr(present, "__dict__", {}).get("name", "greenlet"))

    def _count(self, stack: tuple[Any, ...]) -> None:
        now_ns = time.perf_counter_ns()
        if stack not in self._times and len(self._times) >= MOST_STACKS:
            stack = (OTHERS,)
        self._times[stack] = self._times.get(stack, 0) + now_ns - self._counted_ns
        self._counted_ns = now_ns


def _threads_and_code_of(thread: int) -> tuple[Sequence[int], CodeType | None]:
    """Return all threads, and which code one of them executes: that of its innermost frame.

    Other threads go on as soon as this one lets go of the interpreter's lock. A frame that ended
    then is no object any more, or this thread would be the last that holds it, and would have to
    clear up for a greenlet of another thread. So each list of frames is made, read and dropped
    within one call of a function written in C, which keeps the lock. No collection of garbage may
    run in it, as before CPython 3.12 at any new object: its finalizers let go of the lock.
    """
    with _no_collection():
        threads = next(map(tuple, iter(sys._current_frames, None)))
        try:
            frames = map(itemgetter(thread), iter(sys._current_frames, None))
            return threads, next(map(attrgetter("f_code"), frames))
        except KeyError:  # it begins or ends a greenlet, and has no frame
            return threads, None


@contextmanager
def _no_collection() -> Iterator[None]:
    """A context in which no garbage is collected, except on demand."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Threads:
    """Counts what the native threads compute. Those that wait cost nothing."""

    def __init__(self, hub: int) -> None:
        self.times: dict[Stack, int] = {}
        """The nanoseconds of a processor of each stack."""
        self._hub = hub
        self._clocks: dict[int, int] = {}
        self._counted_ns: dict[int, int] = {}

    def look(self, threads: Sequence[int]) -> None:
        """Count for the threads that have computed enough since they were counted last."""
        own = _get_ident()
        busy: dict[int, int] = {}
        for thread in threads:
            if thread not in (own, self._hub):
                spent_ns = self._spent_ns(thread)
                if spent_ns >= ENOUGH_NS:
                    busy[thread] = spent_ns
        if busy:
            self._count(busy)

    def _count(self, busy: Mapping[int, int]) -> None:
        stacks = stacks_of_threads()
        for thread, spent_ns in busy.items():
            self._counted_ns[thread] += spent_ns
            stack = (THREAD, *(shown_place(place) for place in reversed(stacks.get(thread, ()))))
            if stack not in self.times and len(self.times) >= MOST_STACKS:
                stack = (OTHERS,)
            self.times[stack] = self.times.get(stack, 0) + spent_ns

    def _spent_ns(self, thread: int) -> int:
        """Return what a thread has computed since it was counted last."""
        try:
            if thread not in self._clocks:
                self._clocks[thread] = time.pthread_getcpuclockid(thread)
            now_ns = time.clock_gettime_ns(self._clocks[thread])
        except OSError:  # it has ended; another may get its number
            self._clocks.pop(thread, None)
            self._counted_ns.pop(thread, None)
            return 0
        return now_ns - self._counted_ns.setdefault(thread, now_ns)


_FUNCTION = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_kept: list[Any] = []
"""The last functions that the interpreter was given. It may call one after its profile ended."""


class _Callback:
    """Has the main thread of this process call a function, between two of its instructions."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._made = _FUNCTION(self._call)
        _kept[:] = [*_kept[-1:], self._made]

    def ask(self) -> bool:
        """Have it called soon, in the midst of whatever runs there. Any thread may ask. Return
        whether it will be: few calls can wait at once."""
        return bool(ctypes.pythonapi.Py_AddPendingCall(self._made, None) == 0)

    def _call(self, _: Any) -> int:
        self._function()
        return 0


@contextmanager
def sampled() -> Iterator[Sampler]:
    """A context of which a profile is made."""
    sampler = Sampler()
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.stop()
