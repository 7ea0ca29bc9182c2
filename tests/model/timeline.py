"""Time that moves by hand and greenlets that take turns in one fixed order.

Nothing here knows real time. A run is a pure function of the steps it is given: whatever is ready
runs in the order in which it became ready, and sleepers wake one by one, in the order of their
deadlines. `settle` goes on until nobody has anything to do, and finds who never stops.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import gevent
from gevent.event import Event
from gevent.hub import Waiter

WRITE_S = 0.0002
"""How often it is asked whether native threads have written what they were given."""
MOST_TURNS = 20_000
"""Turns without an end: somebody works for ever at one point in time."""


class Timer:
    """Something that happens at a point in time, unless it is cancelled first."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], object]) -> None:
        self.action: Callable[[], object] | None = action

    def cancel(self) -> None:
        self.action = None


class Timeline:
    """The world's clock, and the only thing that moves it."""

    def __init__(self, wall_ns: int = 1_670_841_268_798_763_000) -> None:
        self.now_s = 1_000.0
        self._began_s = self.now_s
        self._wall_ns = wall_ns
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._hub = gevent.get_hub()

    @property
    def wall_ns(self) -> int:
        return self._wall_ns + int((self.now_s - self._began_s) * 1e9)

    def call_in(self, duration_s: float, action: Callable[[], object]) -> Timer:
        timer = Timer(action)
        heapq.heappush(self._timers, (self.now_s + duration_s, next(self._order), timer))
        return timer

    def block(self, event: Event | None, duration_s: float | None) -> None:
        """Until the event is set, or so long."""
        waiter = Waiter(self._hub)

        def wake(_: object = None) -> None:
            waiter.switch(None)

        def wake_soon() -> None:
            self._hub.loop.run_callback(wake)

        timer = None if duration_s is None else self.call_in(duration_s, wake_soon)
        if event is not None:
            event.rawlink(wake)
        try:
            waiter.get()
        finally:
            if event is not None:
                event.unlink(wake)
            if timer is not None:
                timer.cancel()

    def advance(self, duration_s: float, after_each: Callable[[], None]) -> None:
        """Move on; whoever is woken on the way does all it can before the next is woken."""
        self.settle()
        end_s = self.now_s + duration_s
        while self._timers and self._timers[0][0] <= end_s:
            due_s, _, timer = heapq.heappop(self._timers)
            if timer.action is None:
                continue
            self.now_s = max(self.now_s, due_s)
            timer.action()
            self.settle()
            after_each()
        self.now_s = end_s

    def settle(self) -> None:
        """Let everybody run until nobody can. What a native thread writes takes real time."""
        written = self._hub.threadpool.task_queue
        for _ in range(MOST_TURNS):
            gevent.sleep(0)
            while written.unfinished_tasks:
                gevent.sleep(WRITE_S)
            if not len(self._hub.loop._callbacks):
                return
        raise AssertionError(f"no end of work at {self.now_s:.3f} s: somebody spins")


class NodeClock:
    """A node's view of time: stands still for nobody, but a paused node does not look at it.

    `rate` is how fast the node's clock runs against the store's; `wall_offset_ns` is how wrong its
    wall clock is.
    """

    def __init__(self, timeline: Timeline, rate: float = 1.0) -> None:
        self._timeline = timeline
        self.rate = rate
        self.wall_offset_ns = 0
        self.running = Event()
        """Clear while the node is paused: then nothing of it goes on."""
        self.running.set()

    def monotonic(self) -> float:
        return self._timeline.now_s * self.rate

    def time_ns(self) -> int:
        return self._timeline.wall_ns + self.wall_offset_ns

    def sleep(self, duration_s: float) -> None:
        self._timeline.block(None, max(0.0, duration_s) / self.rate)
        self.running.wait()

    def wait(self, event: Event, timeout_s: float | None = None) -> bool:
        if event.is_set() or (timeout_s is not None and timeout_s <= 0):
            gevent.sleep(0)
        else:
            self._timeline.block(event, None if timeout_s is None else timeout_s / self.rate)
        self.running.wait()
        return bool(event.is_set())
