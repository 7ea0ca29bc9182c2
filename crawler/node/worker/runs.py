"""The runs of a worker: one greenlet and one engine crawl for each task that it was given.

Only a limited number run at once, which limits a worker's memory however many tasks it has. The
others wait in a queue, higher priority first.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import gevent
from gevent import Greenlet

from crawler.clock import Clock
from crawler.errors import CrawlerError
from crawler.logs import get_logger
from crawler.model.records import Resource
from crawler.node.crew.crew import Crew
from crawler.node.run.naming import RunKey
from crawler.node.run.run import Run
from crawler.node.run.run_logs import RunLogs
from crawler.node.run.states import END_S
from crawler.supervision import OnEnd, Supervisor
from crawler.tracing.tracing import NoTracing, Tracing

log = get_logger(__name__)

STOP_S = 0.25
"""How many seconds a run may take to stop before it is cut off. Its fetches end at once; this time
is for a running callback and for the last items. STOP_S and CUT_OFF_S together fit the margin of
the shortest lease."""

LEAVE_S = 0.15
"""The same for a worker whose lease is over. Shortly after that its guard kills all processes that
crawl."""

CUT_OFF_S = 0.15
"""How many seconds it may take to end after it was cut off."""

KILLS = 4
"""How often it is cut off in that time. Each kill interrupts one step of its end, and so many may
wait for a disk: the checkpoint under way, the items, and the store, twice. They go on aside."""

WRITE_S = 5.0
"""How many seconds the last items of a run may take to be written when its node leaves in order.
Nothing cuts them off before that: the disk, or a database, may be slow."""

MOST_STOPS = 20
"""How often a run is told to stop and cut off. A run that still goes on after that never ends: its
callback catches the exception that should end it."""

LAST_S = 1.0
"""How many seconds a run has for its last checkpoint when the worker leaves. Before that it waits
for answers under way."""


class RunGoesOn(CrawlerError):
    """A run cannot be ended while its process lives."""


def _begun(runs: Iterable[tuple[Run, Greenlet | None]]) -> list[Greenlet]:
    """Return the greenlets of those runs that have one."""
    return [greenlet for _, greenlet in runs if greenlet is not None]


def _end(greenlets: Sequence[Greenlet], patience_s: float) -> None:
    """Wait until they have ended. Cut off those that have not after `patience_s` seconds."""
    gevent.joinall(greenlets, timeout=patience_s)
    _cut_off(greenlets)


def _cut_off(greenlets: Sequence[Greenlet]) -> None:
    for _ in range(KILLS):
        gevent.killall([greenlet for greenlet in greenlets if not greenlet.dead], block=False)
        gevent.joinall(greenlets, timeout=CUT_OFF_S / KILLS)


class Runs:
    """All runs of a worker. It only starts and stops them."""

    def __init__(
        self,
        crew: Crew,
        clock: Clock,
        on_end: Callable[[], None],
        most: int,
        with_secrets: Callable[[Run], AbstractContextManager[bool]] = lambda run: nullcontext(True),
        logs: RunLogs | None = None,
        tracing: Tracing | None = None,
        on_over: Callable[[Run], None] = lambda run: None,
    ) -> None:
        """`most` is how many run at once. `with_secrets` surrounds a run, and tells whether it can
        begin. `logs` are those of the runs, `tracing` makes their spans. `on_over` takes each run
        that does nothing more, whether it has ended or was stopped."""
        self._tracing = tracing or NoTracing()
        self._logs = logs
        self._on_over = on_over
        self._with_secrets = with_secrets
        self._most = most
        self._crew = crew
        self._clock = clock
        self._on_end = on_end
        self._supervisor = Supervisor("runs", clock=clock)
        self._runs: dict[str, tuple[Run, Greenlet | None]] = {}
        """Each run with its greenlet, once it has one."""
        self._ending: dict[Run, tuple[Greenlet, float]] = {}
        """The runs that end in order: each with its greenlet, and until when it may take."""
        self._line: list[tuple[int, int, Run]] = []
        """The runs that wait for another to end. Some may have been stopped meanwhile."""
        self._order = itertools.count()
        self._running = 0
        self._halted = False

    def known(self) -> dict[str, RunKey]:
        """Return name → identity of each run, including ended ones."""
        return {name: run.key for name, (run, _) in self._runs.items()}

    def all(self) -> list[Run]:
        """Return the runs, including ended ones."""
        return [run for run, _ in self._runs.values()]

    def of(self, name: str) -> Run:
        """Return the run of a task."""
        return self._runs[name][0]

    @property
    def running(self) -> int:
        """How many have begun and not ended."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many wait for another run to end."""
        return sum(run.waits for run in self.all())

    def start(self, resource: Resource) -> None:
        """Start a run of that resource, now or when it is its turn."""
        run = self._crew.run(resource)
        self._runs[run.name] = (run, None)
        heapq.heappush(self._line, (-resource.spec.priority, next(self._order), run))
        self._admit()

    def _admit(self) -> None:
        while self._line and self._running < self._most and not self._halted:
            *_, run = heapq.heappop(self._line)
            if self._runs.get(run.name, (None,))[0] is run:
                self._begin(run)

    def _begin(self, run: Run) -> None:
        if self._logs is not None:
            self._logs.begin(run.resource)
        greenlet = self._supervisor.spawn(f"run {run.name}", self._execute, run, on_end=OnEnd.LOG)
        self._running += 1
        greenlet.rawlink(self._free)
        greenlet.rawlink(lambda _: self._ended_in_order(run) if run in self._ending else None)
        greenlet.rawlink(lambda _: self._end_log(run))
        if self._tracing.is_on:
            began_ns = self._clock.time_ns()
            greenlet.rawlink(lambda _: self._end_span(run, began_ns))
        self._runs[run.name] = (run, greenlet)
        log.info("run started", task=run.name, epoch=run.key.epoch)

    def _free(self, _: Greenlet) -> None:
        """Let the next run begin, because one has ended in whatever way."""
        self._running -= 1
        self._admit()

    def _end_log(self, run: Run) -> None:
        """Say in its log how a run has ended."""
        if self._logs is not None:
            if run.ended:  # else another line says that it stopped
                log.info("run ended", task=run.name, state=run.status().state.value)
            self._logs.end(run.resource)

    def _end_span(self, run: Run, began_ns: int) -> None:
        """Tell the traces how a run has ended."""
        self._tracing.ran(run.resource, run.status(), began_ns, self._clock.time_ns())

    def adjust(self, resources: Iterable[Resource]) -> None:
        """Let runs that go on take over settings of their tasks that changed."""
        for resource in resources:
            run, _ = self._runs.get(resource.name, (None, None))
            if run is not None and run.key == RunKey(resource.id, resource.epoch):
                run.adjust(resource.spec)

    def stop(self, names: Iterable[str]) -> None:
        """Stop these runs, all at once, and forget those that ended.

        A run whose state is kept ends in order: it is forgotten at once, and `tend` looks after it.
        Any other that does not stop in time is cut off, and stays known until it has ended. Only a
        callback that computes without ever giving others a turn survives that.
        """
        self._cut_short([name for name in names if not self._ends_in_order(name)])

    def _ends_in_order(self, name: str) -> bool:
        """Let a run end in order, if its state is kept. Its answers under way are not lost then."""
        run, greenlet = self._runs.get(name, (None, None))
        if run is None or greenlet is None or greenlet.dead or not run.is_kept:
            return False
        run.stop()
        self._ending[run] = (greenlet, self._clock.monotonic() + END_S)
        del self._runs[name]
        log.info("run ends in order", task=name, epoch=run.key.epoch)
        return True

    def ending(self, names: Collection[str]) -> list[Run]:
        """Return the runs of these tasks that end in order."""
        return [run for run in self._ending if run.name in names]

    def wait(self, run: Run, most_s: float) -> None:
        """Wait until a run has ended that ends in order."""
        if run in self._ending:
            gevent.joinall([self._ending[run][0]], timeout=most_s)

    def tend(self) -> bool:
        """Cut off the runs that take too long to end. Returns whether any has not ended."""
        now_s = self._clock.monotonic()
        self._break_off([run for run, (_, until_s) in self._ending.items() if now_s >= until_s])
        return bool(self._ending)

    def cut_short(self, names: Collection[str]) -> None:
        """Stop these runs as `stop` does, but let none take its time."""
        self._cut_short(names)
        self._break_off(self.ending(names))

    def _cut_short(self, names: Iterable[str]) -> None:
        stopping = [self._runs[name] for name in names if name in self._runs]
        for run, _ in stopping:
            run.break_off()
        _end(_begun(stopping), STOP_S)
        for run, greenlet in stopping:
            self._forget(run, greenlet)

    def _break_off(self, late: Sequence[Run]) -> None:
        for run in late:
            run.break_off()
        _end([self._ending[run][0] for run in late], STOP_S)

    def _ended_in_order(self, run: Run) -> None:
        self._ending.pop(run, None)
        log.info("run stopped", task=run.name, epoch=run.key.epoch, ended=run.ended)

    def halt(self, patience_s: float) -> None:
        """Let every run end at a safe point: a running callback may finish, answers under way too
        if the state is kept, and its items are written.

        A callback that takes longer than `patience_s` is cut off. The last items have `WRITE_S` for
        themselves. The runs stay known, so that they can be reported.
        """
        self._halted = True
        last_s = min(LAST_S, patience_s / 2)
        for run in self.all():
            run.stop()
        gevent.joinall(self._greenlets(), timeout=patience_s - last_s)
        for run in [*(run for run in self.all() if run.is_kept), *self._ending]:
            run.break_off()
        gevent.joinall(self._greenlets(), timeout=last_s)
        self.cut_off()
        gevent.joinall(self._greenlets(), timeout=CUT_OFF_S)
        self._let_write()

    def _let_write(self) -> None:
        """Wait for the runs that write their last items."""
        writing = [(run, greenlet) for run, greenlet in self._with_greenlets() if run.is_ending]
        gevent.joinall([greenlet for _, greenlet in writing], timeout=WRITE_S)
        for run, greenlet in writing:
            if not greenlet.dead:
                log.error("the last items may be lost: they take too long", task=run.name)
        _end([greenlet for _, greenlet in writing], 0.0)

    def _with_greenlets(self) -> list[tuple[Run, Greenlet]]:
        """Return the runs that have begun, also those that end in order."""
        begun = [(run, it) for run, it in self._runs.values() if it is not None]
        return [*begun, *((run, greenlet) for run, (greenlet, _) in self._ending.items())]

    def _greenlets(self) -> list[Greenlet]:
        return [greenlet for _, greenlet in self._with_greenlets()]

    def cut_off(self) -> None:
        """End every callback where it is, without waiting. A run that writes its last items goes
        on."""
        running = [greenlet for run, greenlet in self._with_greenlets() if not run.is_ending]
        gevent.killall(running, block=False)

    def cut_off_current(self, name: str) -> None:
        """Cut off the run of that task if this very call interrupted it: then a signal handler
        makes the call, and nothing else could end a callback that computes. Raises
        GreenletExit."""
        if name and gevent.getcurrent() in self._greenlets():
            raise gevent.GreenletExit

    def stop_all(self) -> None:
        """Stop every run at once, also those that end in order."""
        for run in [*self.all(), *self._ending]:
            run.break_off()
        now_s = self._clock.monotonic()
        self._ending = {run: (greenlet, now_s) for run, (greenlet, _) in self._ending.items()}
        gevent.joinall(self._greenlets(), timeout=LEAVE_S)
        self._crew.end([run for run, greenlet in self._with_greenlets() if not greenlet.dead])
        _cut_off(self._greenlets())
        for run, greenlet in list(self._runs.values()):
            self._forget(run, greenlet)

    def check(self) -> None:
        """Raise RunGoesOn if a run was stopped `MOST_STOPS` times and has not ended."""
        late = [run for run in (*self.all(), *self._ending) if run.stops >= MOST_STOPS]
        endless = sorted(run.name for run in self._crew.end(late)) if late else []
        if endless:
            raise RunGoesOn(
                f"runs of {', '.join(endless)} go on though they were cut off {MOST_STOPS} times;"
                " do their callbacks catch GreenletExit, by `except:` or `except BaseException:`?"
            )

    def _forget(self, run: Run, greenlet: Greenlet | None) -> None:
        if greenlet is not None and not greenlet.dead:
            log.error("run does not stop; its callback blocks", task=run.name, epoch=run.key.epoch)
        elif self._runs.get(run.name, (None,))[0] is run:
            del self._runs[run.name]
            log.info("run stopped", task=run.name, epoch=run.key.epoch, ended=run.ended)

    def _execute(self, run: Run) -> None:
        try:
            with self._with_secrets(run) as can_begin:
                if can_begin:
                    self._crew.execute(run)
        finally:
            self._on_over(run)
        if run.ended:
            self._on_end()
