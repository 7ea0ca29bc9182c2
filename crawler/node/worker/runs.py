"""The runs of a worker: one greenlet and one engine crawl for each task that it was given.

Only a limited number run at once, which limits a worker's memory however many tasks it has. The
others wait in a queue, higher priority first.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import gevent
from gevent import Greenlet

from crawler.clock import Clock
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.crawl.resume import Kept
from crawler.engine.engine import Engine
from crawler.engine.items.sinks.factory import RunSink, Sinks
from crawler.engine.items.sinks.sink import Sink, SinkMaker
from crawler.errors import CrawlerError, InvalidArgument, NotFound
from crawler.items.names import folder_name
from crawler.logs import get_logger
from crawler.model.records import Counts, Report, Resource, Spec, State
from crawler.node.worker.reconcile import RunKey
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

STOP_S = 0.25
"""How many seconds a run may take to stop before it is cut off. Its fetches end at once; this time
is for a running callback and for the last items. STOP_S and CUT_OFF_S together fit the margin of
the shortest lease."""

CUT_OFF_S = 0.15
"""How many seconds it may take to end after it was cut off."""

WRITE_S = 5.0
"""How many seconds the last items of a run may take to be written when its node leaves in order.
Nothing cuts them off before that: the disk, or a database, may be slow."""

MOST_STOPS = 20
"""How often a run is told to stop and cut off. Each kill interrupts one step of the run's end. A
run that still goes on after this many kills never ends: its callback catches the exception that
should end it."""

LONGEST_REASON = 1000
"""How many characters of a reason are reported. The reason is stored in etcd, and is in every
listing."""


def items_path(folder: Path, resource: Resource) -> Path:
    """Return the file of one run's items. Each task has a folder, and each run a file, so nothing
    is overwritten.

    A name too long for a file system is cut; the id in the file's name still distinguishes tasks.
    """
    id = folder_name(resource.id) or "task"
    return folder / folder_name(resource.name) / f"{id}-{resource.epoch}.jsonl"


class RunGoesOn(CrawlerError):
    """A run cannot be ended while its process lives."""


class Run:
    """One run of one task. The worker keeps it after its end, until the leader has recorded it."""

    def __init__(self, resource: Resource) -> None:
        self.name = resource.name
        self._spec = resource.spec
        self.key = RunKey(resource.id, resource.epoch)
        self._state = State.ASSIGNED
        self._reason = ""
        self._awaits_spider = False
        self._crawl: Crawl | None = None
        self._counts = Counts()
        self._told: Report | None = None
        self._stopped = False
        self.stops = 0
        """How often it was told to stop."""

    @property
    def waits(self) -> bool:
        """Whether it has not begun."""
        return self._state is State.ASSIGNED

    @property
    def ended(self) -> bool:
        """Whether it ran to its end, successfully or not."""
        return self._state.finished

    @property
    def crawl(self) -> Crawl | None:
        """Its crawl; None before it began, and if it was refused."""
        return self._crawl

    @property
    def is_ending(self) -> bool:
        """Whether it fetches no more, and writes its last items."""
        return self._crawl is not None and self._crawl.is_ending

    def execute(self, engine: Engine, sink: Sink | SinkMaker, kept: Kept | None = None) -> None:
        """Crawl until done, stopped or failed. It blocks. `kept` is the store from which the crawl
        goes on."""
        self._state = State.RUNNING
        try:
            spec = self._spec
            self._crawl = engine.crawl(spec, sink, kept)
            if self._spec is not spec:  # it changed while the spider was made
                self._take_over(engine, self._crawl)
            if not self._stopped:
                self._crawl.run()
        except NotFound as error:
            self.fail(str(error), awaits_spider=True)
        except InvalidArgument as error:
            self.fail(str(error))
        except Exception as error:
            log.error("a run ended with an error", task=self.name, exc_info=True)
            self.fail(f"{type(error).__name__}: {error}")
        else:
            if not self._stopped:
                self._state, self._reason = self._crawl.outcome()

    def was_done(self, counts: Counts) -> None:
        """Take over the end of an earlier run."""
        self._state, self._counts = State.DONE, counts

    def fail(self, reason: str, awaits_spider: bool = False) -> None:
        """End the run as failed."""
        self._state, self._reason, self._awaits_spider = State.FAILED, reason, awaits_spider
        log.warning("run failed", task=self.name, reason=reason)

    def stop(self) -> None:
        """Make the crawl end soon. Its outcome no longer counts."""
        self._stopped = True
        self.stops += 1
        if self._crawl is not None:
            self._crawl.stop()

    def adjust(self, engine: Engine, spec: Spec) -> None:
        """Take over a specification that changed in settings which may change during a run."""
        if spec.parameters == self._spec.parameters:
            return
        self._spec = spec
        if self._crawl is not None and not self.ended:
            self._take_over(engine, self._crawl)

    def _take_over(self, engine: Engine, crawl: Crawl) -> None:
        try:
            engine.adjust(crawl, self._spec)
        except InvalidArgument as error:
            log.warning("new settings refused; the old ones hold", task=self.name, why=error)

    def report(self) -> Report | None:
        """Return what the leader does not know yet, or None if it knows all."""
        report = self.status()
        return None if self.waits or report == self._told else report

    def status(self) -> Report:
        """Return the present state of the run."""
        counts = self._crawl.counts if self._crawl is not None else self._counts
        return Report(
            name=self.name,
            id=self.key.id,
            epoch=self.key.epoch,
            state=self._state,
            reason=_sound(self._reason),
            awaits_spider=self._awaits_spider,
            counts=counts,
        )

    def told(self, report: Report) -> None:
        """Note that the leader has accepted that report."""
        self._told = report


def _sound(reason: str) -> str:
    """Return a reason that any program can read. It may quote a page or a task, and is cut if too
    long."""
    return reason[:LONGEST_REASON].encode(errors="backslashreplace").decode()


def _begun(runs: Iterable[tuple[Run, Greenlet | None]]) -> list[Greenlet]:
    """Return the greenlets of those runs that have one."""
    return [greenlet for _, greenlet in runs if greenlet is not None]


def _end(greenlets: Sequence[Greenlet], patience_s: float) -> None:
    """Wait until they have ended. Cut off those that have not after `patience_s` seconds."""
    gevent.joinall(greenlets, timeout=patience_s)
    gevent.killall([greenlet for greenlet in greenlets if not greenlet.dead], block=False)
    gevent.joinall(greenlets, timeout=CUT_OFF_S)


class Runs:
    """All runs of a worker. It only starts and stops them."""

    def __init__(
        self,
        engine: Engine,
        items: Path,
        sinks: Sinks,
        clock: Clock,
        on_end: Callable[[], None],
        most: int,
    ) -> None:
        """`most` is how many run at once."""
        self._most = most
        self._engine = engine
        self._items = items
        self._sinks = sinks
        self._clock = clock
        self._on_end = on_end
        self._supervisor = Supervisor("runs", clock=clock)
        self._runs: dict[str, tuple[Run, Greenlet | None]] = {}
        """Each run with its greenlet, once it has one."""
        self._line: list[tuple[int, int, Run, Resource]] = []
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
        run = Run(resource)
        self._runs[run.name] = (run, None)
        place = (-resource.spec.priority, next(self._order), run, resource)
        heapq.heappush(self._line, place)
        self._admit()

    def _admit(self) -> None:
        while self._line and self._running < self._most and not self._halted:
            *_, run, resource = heapq.heappop(self._line)
            if self._runs.get(run.name, (None,))[0] is run:
                self._begin(run, resource)

    def _begin(self, run: Run, resource: Resource) -> None:
        greenlet = self._supervisor.spawn(
            f"run {run.name}", self._execute, run, resource, on_end=OnEnd.LOG
        )
        self._running += 1
        greenlet.rawlink(self._free)
        self._runs[run.name] = (run, greenlet)
        log.info("run started", task=run.name, epoch=run.key.epoch)

    def _free(self, _: Greenlet) -> None:
        """Let the next run begin, because one has ended in whatever way."""
        self._running -= 1
        self._admit()

    def adjust(self, resources: Iterable[Resource]) -> None:
        """Let runs that go on take over settings of their tasks that changed."""
        for resource in resources:
            run, _ = self._runs.get(resource.name, (None, None))
            if run is not None and run.key == RunKey(resource.id, resource.epoch):
                run.adjust(self._engine, resource.spec)

    def stop(self, names: Iterable[str]) -> None:
        """Stop these runs, all at once, and forget those that ended. A run that does not end stays
        known.

        A run that does not stop in time is cut off. Only a callback that computes without ever
        giving others a turn survives that.
        """
        stopping = [self._runs[name] for name in names if name in self._runs]
        for run, _ in stopping:
            run.stop()
        _end(_begun(stopping), STOP_S)
        for run, greenlet in stopping:
            self._forget(run, greenlet)

    def halt(self, patience_s: float) -> None:
        """Let every run end at a safe point: its fetches end at once, a running callback may
        finish, and its items are written.

        A callback that takes longer than `patience_s` is cut off. The last items have `WRITE_S` for
        themselves. The runs stay known, so that they can be reported.
        """
        self._halted = True
        for run in self.all():
            run.stop()
        gevent.joinall(_begun(self._runs.values()), timeout=patience_s)
        self.cut_off()
        gevent.joinall(_begun(self._runs.values()), timeout=CUT_OFF_S)
        self._let_write()

    def _let_write(self) -> None:
        """Wait for the runs that write their last items."""
        runs = self._runs.values()
        writing = [(run, it) for run, it in runs if it is not None and run.is_ending]
        gevent.joinall(_begun(writing), timeout=WRITE_S)
        for run, greenlet in writing:
            if not greenlet.dead:
                log.error("the last items may be lost: they take too long", task=run.name)
        _end(_begun(writing), 0.0)

    def cut_off(self) -> None:
        """End every callback where it is, without waiting. A run that writes its last items goes
        on."""
        running = [(run, greenlet) for run, greenlet in self._runs.values() if not run.is_ending]
        gevent.killall(_begun(running), block=False)

    def cut_off_current(self, name: str) -> None:
        """Cut off the run of that task if this very call interrupted it: then a signal handler
        makes the call, and nothing else could end a callback that computes. Raises
        GreenletExit."""
        if self._runs.get(name, (None, None))[1] is gevent.getcurrent():
            raise gevent.GreenletExit

    def stop_all(self) -> None:
        """Stop every run."""
        self.stop(list(self._runs))

    def check(self) -> None:
        """Raise RunGoesOn if a run was stopped `MOST_STOPS` times and has not ended."""
        endless = sorted(run.name for run in self.all() if run.stops >= MOST_STOPS)
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

    def _execute(self, run: Run, resource: Resource) -> None:
        path = items_path(self._items, resource)
        run.execute(self._engine, RunSink(self._sinks, path, resource.name))
        if run.ended:
            self._on_end()
