"""Watches the hub from a native thread: whether it turns, and what blocks it.

All greenlets share one thread, so a callback that computes for long blocks all others, even those
that could report it. Work that must go on meanwhile, or must notice, runs in a native thread.
"""

from __future__ import annotations

import faulthandler
import os
import re
import time
from _thread import get_native_id
from collections.abc import Callable
from typing import NamedTuple

import gevent
from gevent import monkey

from crawler.clock import SystemClock
from crawler.logs import get_logger

log = get_logger(__name__)

TICK_S = 0.1
"""The seconds between two notes that the hub turns."""

LEAST_SHARE = 0.1
"""The least share of a processor that a thread has which computes, on a machine that is busy with
other things too. Below that its processor time stands still."""

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


_THREAD = re.compile(r"^(?:Current t|T)hread 0x([0-9a-f]+)", re.MULTILINE)


def stacks_of_threads() -> dict[int, list[Place]]:
    """The code that each thread executes, innermost line first; of the first hundred threads.

    It is not safe to walk frames of another thread: it may go on between two steps, and ended
    frames are no longer objects. faulthandler does it in one step.
    """
    with open(os.memfd_create("stack"), "w+b", buffering=0) as file:
        faulthandler.dump_traceback(file.fileno(), all_threads=True)
        file.seek(0)
        text = file.read().decode(errors="replace")
    _, *parts = _THREAD.split(text)
    return {int(parts[at], 16): _places(parts[at + 1]) for at in range(0, len(parts), 2)}


def stack_of(thread: int) -> list[Place]:
    """The code that another thread executes, innermost line first. Empty if the thread is not among
    the first hundred."""
    return stacks_of_threads().get(thread, [])


def _places(text: str) -> list[Place]:
    found = (_PLACE.fullmatch(line) for line in text.splitlines())
    return [Place(each[1], int(each[2]), each[3]) for each in found if each]


class Mark(NamedTuple):
    """A moment, by three clocks. All are seconds."""

    at_s: float
    """On the monotonic clock."""
    cpu_s: float
    """What the hub's thread has computed so far."""
    missed_s: float
    """For how long the process got no processor so far."""


class Pulse:
    """Notes when this thread's hub last turned. A native thread decides what follows from this.

    A hub may stand still without any callback to blame: the process is paused (SIGSTOP), the
    machine is suspended, swaps, or has too much to do. Then the native thread sleeps for longer
    than it meant to, and the process computes nothing meanwhile.
    """

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._hub = gevent.get_hub()
        self._tid = get_native_id()
        self._cpu_clock = time.pthread_getcpuclockid(self._hub.thread_ident)
        self._missed_s = 0.0
        self._turned = self._mark()
        self._timer = self._hub.loop.timer(TICK_S, TICK_S)
        self._alarm = NativeAlarm()
        self._stopped = True

    @property
    def silent_s(self) -> float:
        """The seconds since the hub last turned. Any thread may read it."""
        return max(0.0, self._clock.monotonic() - self._turned.at_s)

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
        self._turned = self._mark()

    def _watch(self) -> None:
        """The body of the native thread."""
        raise NotImplementedError

    def _mark(self) -> Mark:
        """Return the present moment. Any thread may call it."""
        cpu_s = time.clock_gettime(self._cpu_clock)
        return Mark(self._clock.monotonic(), cpu_s, self._missed_s)

    def _kept_since(self, mark: Mark) -> float:
        """Return for how many seconds since then the program itself kept the hub from turning:
        without the time in which it got no processor."""
        now = self._mark()
        awake_s = (now.at_s - mark.at_s) - (now.missed_s - mark.missed_s)
        return max(0.0, awake_s, now.cpu_s - mark.cpu_s)

    def _rest(self, step_s: float) -> float:
        """Sleep for one step of the native thread. Return for how many seconds the process got no
        processor meanwhile."""
        began_s, computed_s = self._clock.monotonic(), time.process_time()
        self._alarm.wait(step_s)
        late_s = self._clock.monotonic() - began_s - step_s
        # A callback may hold the interpreter's lock for long. Then this thread is late too, but
        # the process computes.
        if late_s <= 0 or time.process_time() - computed_s > late_s * LEAST_SHARE:
            return 0.0
        self._missed_s += late_s
        return late_s


class Blockage(NamedTuple):
    """A callback that kept the hub from turning."""

    began_s: float
    """Monotonic."""
    task: str
    """The task of the callback; empty if it is not known."""
    lasted_s: float | None = None
    """None while it lasts."""


class HubWatch(Pulse):
    """Reports what blocks the hub."""

    def __init__(self, limit_s: float) -> None:
        """The hub counts as blocked if it does not turn for longer than `limit_s`."""
        super().__init__()
        self.limit_s = limit_s
        self.task_of: Callable[[], str] = lambda: ""
        """Returns the task whose callback runs now. The native thread calls it."""
        self.blockages = 0
        """How often a callback blocked the hub."""
        self.blocked_s = 0.0
        """The seconds that callbacks blocked it in all, including those below the limit."""
        self.missed_s = 0.0
        """The seconds in all that the process got no processor, each time for longer than the
        limit."""
        self.latest: Blockage | None = None
        """The latest blockage."""
        self._told = 0.0
        """The turn after which a lack of processor was told."""

    @property
    def blocked(self) -> bool:
        """Whether the hub has not turned for longer than the limit, for whatever reason."""
        return self.silent_s > self.limit_s

    def _watch(self) -> None:
        while not self._stopped:
            missed_s = self._rest(min(TICK_S, self.limit_s / 4))
            if self.latest is not None and self.latest.lasted_s is None:
                self._await_end(self.latest)
            elif missed_s > self.limit_s:
                self._tell_missed(missed_s)
            elif self.blocked:
                self._judge()

    def _judge(self) -> None:
        """Find out why the hub does not turn, and tell it."""
        turned = self._turned
        kept_s = self._kept_since(turned)
        if kept_s > self.limit_s:
            stack = self.stack()
            computes = self._mark().cpu_s - turned.cpu_s > kept_s * LEAST_SHARE
            if computes or not self._starves(stack):
                self._report(turned, stack, computes)
                return
        missed_s = self.silent_s - (self._mark().cpu_s - turned.cpu_s)
        if turned.at_s != self._told and missed_s > self.limit_s:
            self._tell_missed(missed_s)

    def _starves(self, stack: list[Place]) -> bool:
        """Whether the hub's thread would go on if it got a processor, or the memory that was
        swapped out; or waits for events, and nobody's code."""
        return _is_idle(stack) or _state_of(self._tid) in "RDT"

    def _await_end(self, blockage: Blockage) -> None:
        if self.blocked:
            return
        lasted_s = self._clock.monotonic() - blockage.began_s
        self.blocked_s += lasted_s
        self.latest = blockage._replace(lasted_s=lasted_s)
        log.emergency("the hub turns again", blocked_s=round(lasted_s, 2))

    def _tell_missed(self, missed_s: float) -> None:
        self._told = self._turned.at_s
        self.missed_s += missed_s
        log.warning_beside(
            f"this process got no processor for {missed_s:.1f} s: it was paused, or its machine"
            " was suspended, swaps, or has too much to do; no callback is to blame",
            seconds=round(missed_s, 2),
            limit_s=self.limit_s,
        )

    def _report(self, turned: Mark, stack: list[Place], computes: bool) -> None:
        self.blockages += 1
        self.latest = Blockage(turned.at_s, self.task_of())
        log.emergency(
            f"the hub is blocked: a callback {'computes' if computes else 'waits'} without"
            " yielding",
            task=self.latest.task,
            silent_s=round(self.silent_s, 2),
            limit_s=self.limit_s,
            stack="\n".join(map(str, reversed(stack))),
        )


def _is_idle(stack: list[Place]) -> bool:
    """Whether the hub waits for events, so that no greenlet runs."""
    return bool(stack) and stack[0].function == "run" and stack[0].file.endswith("gevent/hub.py")


def _state_of(tid: int) -> str:
    """Return the state of a thread of this process, as in proc(5): R runs or waits for a processor,
    S sleeps, D waits for a disk, T is stopped. `?` if the system does not tell."""
    try:
        with open(f"/proc/self/task/{tid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "?"
