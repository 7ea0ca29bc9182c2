"""Has the files of crawls that nobody goes on with end, by any process of the crew.

The process that wrote them may be gone. And the worker itself does not touch them: it may be root,
and the files, and what is linked in their folders, are of another user (`worker.run_as`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import gevent
from gevent.event import Event

from crawler.clock import Clock
from crawler.node.crew.distant_run import DistantRun
from crawler.node.crew.hosts import numbers
from crawler.node.crew.process import CrawlProcess
from crawler.supervision import OnEnd, Supervisor

AGAIN_S = 0.5
"""The pause before it is looked again whether a process serves."""


class FileEnds:
    """Asks a process, and another one if that dies, until one has answered."""

    def __init__(self, serving: Callable[[], Iterable[CrawlProcess]], clock: Clock) -> None:
        """`serving` returns the processes that take orders."""
        self._serving = serving
        self._clock = clock
        self._supervisor = Supervisor("files", clock=clock)
        self._next = numbers()
        self._asked: dict[int, Event] = {}

    def end(self, run: DistantRun, how: str) -> None:
        """Have the files of a run end when it is over. `how` says why nothing more comes."""
        if run.how_ended(how):
            self._supervisor.spawn(run.name, self._end, run, how, on_end=OnEnd.LOG)

    def take(self, number: int) -> None:
        """A process has answered."""
        if number in self._asked:
            self._asked[number].set()

    def stop(self, patience_s: float) -> None:
        """Let those that are under way end, for a while."""
        until_s = self._clock.monotonic() + patience_s
        while self._supervisor.count and self._clock.monotonic() < until_s:
            self._clock.sleep(0.01)
        self._supervisor.stop()

    def _end(self, run: DistantRun, how: str) -> None:
        if run.process is not None:
            run.over.wait()
        told = run.how_ended(how)
        while told and not self._is_done(run, told):
            self._clock.sleep(AGAIN_S)

    def _is_done(self, run: DistantRun, how: str) -> bool:
        """Ask a process, and wait for its answer. Return whether it came."""
        process = self._liveliest()
        if process is None:
            return False
        number = self._next()
        answered = self._asked[number] = Event()
        try:
            process.tell("end_files", number, run.resource, how, run.is_torn)
            gevent.wait([answered, process.gone], count=1)
        finally:
            del self._asked[number]
        return bool(answered.is_set())

    def _liveliest(self) -> CrawlProcess | None:
        """The process whose hub has turned last: it does not compute."""
        return max(self._serving(), key=lambda each: each.glance().turned_s, default=None)
