"""The runs of a worker: one greenlet and one engine crawl for each task it was given.

Only so many run at once, which bounds what a worker takes of memory however many tasks it is given.
The others wait in line, higher priority first.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

import gevent
from gevent import Greenlet

from crawler.clock import Clock
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.engine import Engine
from crawler.engine.items.sinks.factory import RunSink, Sinks
from crawler.engine.items.sinks.sink import Sink, SinkMaker
from crawler.errors import CrawlerError, InvalidArgument, NotFound
from crawler.logs import get_logger
from crawler.model.records import Counts, Report, Resource, State
from crawler.node.worker.reconcile import RunKey
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

STOP_S = 0.25
"""How long a run may take to stop before it is cut off. Its fetches end at once; this is for a
callback under way and the last items. With the next it fits the margin of the shortest lease."""

CUT_OFF_S = 0.15
"""How long it may take until it is gone after that."""

MOST_STOPS = 20
"""So often a run is told to stop and cut off. A kill costs the end of a run one of its steps, so
that one which goes on after so many never ends: its callback catches what should end it."""

LONGEST_REASON = 1000
"""Characters of a reason that are reported; it stands in etcd, and in every listing."""

LONGEST_FOLDER = 150
"""Most bytes of a task's name in a folder's name; file systems allow 255."""


def items_path(folder: Path, resource: Resource) -> Path:
    """Where one run's items go: a folder per task, a file per run, so that nothing is overwritten.

    A name too long for a file system is cut; the id in the file's name still tells tasks apart.
    """
    id = folder_name(resource.id) or "task"
    return folder / folder_name(resource.name) / f"{id}-{resource.epoch}.jsonl"


def folder_name(task: str) -> str:
    """A task's name, or id, as a name that any file system takes."""
    name = quote(task, safe=" +,=@()")
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    return name[:LONGEST_FOLDER]


class RunGoesOn(CrawlerError):
    """A run cannot be ended while its process lives."""


class Run:
    """One run of one task; kept after its end until the leader has recorded it."""

    def __init__(self, resource: Resource) -> None:
        self.name = resource.name
        self._spec = resource.spec
        self.key = RunKey(resource.id, resource.epoch)
        self._state = State.ASSIGNED
        self._reason = ""
        self._awaits_spider = False
        self._crawl: Crawl | None = None
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
        """Whether it ran to its end, well or not."""
        return self._state.finished

    def execute(self, engine: Engine, sink: Sink | SinkMaker) -> None:
        """Crawl until done, stopped or failed; blocks."""
        self._state = State.RUNNING
        try:
            self._crawl = engine.crawl(self._spec, sink)
            if not self._stopped:
                self._crawl.run()
        except NotFound as error:
            self._fail(str(error), awaits_spider=True)
        except InvalidArgument as error:
            self._fail(str(error))
        except Exception as error:
            log.error("run ended with an error", task=self.name, exc_info=True)
            self._fail(f"{type(error).__name__}: {error}")
        else:
            if not self._stopped:
                self._state, self._reason = self._crawl.outcome()

    def stop(self) -> None:
        """Make the crawl end soon; its outcome counts no more."""
        self._stopped = True
        self.stops += 1
        if self._crawl is not None:
            self._crawl.stop()

    def report(self) -> Report | None:
        """What the leader does not know yet; None when it knows all."""
        report = self.status()
        return None if self.waits or report == self._told else report

    def status(self) -> Report:
        """How the run stands now."""
        counts = self._crawl.counts if self._crawl is not None else Counts()
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
        """The leader has taken that report."""
        self._told = report

    def _fail(self, reason: str, awaits_spider: bool = False) -> None:
        self._state, self._reason, self._awaits_spider = State.FAILED, reason, awaits_spider
        log.warning("run failed", task=self.name, reason=reason)


def _sound(reason: str) -> str:
    """A reason that any program can read: it may quote what a page or a task said."""
    return reason[:LONGEST_REASON].encode(errors="backslashreplace").decode()


def _begun(runs: Iterable[tuple[Run, Greenlet | None]]) -> list[Greenlet]:
    """The greenlets of those runs that have one."""
    return [greenlet for _, greenlet in runs if greenlet is not None]


def _end(greenlets: Sequence[Greenlet], patience_s: float) -> None:
    """Wait until they have ended; what has not by then is cut off."""
    gevent.joinall(greenlets, timeout=patience_s)
    gevent.killall([greenlet for greenlet in greenlets if not greenlet.dead], block=False)
    gevent.joinall(greenlets, timeout=CUT_OFF_S)


class Runs:
    """All runs of a worker; starting and stopping them is all it does."""

    def __init__(
        self,
        engine: Engine,
        items: Path,
        sinks: Sinks,
        clock: Clock,
        on_end: Callable[[], None],
        most: int,
    ) -> None:
        """At most `most` run at once."""
        self._most = most
        self._engine = engine
        self._items = items
        self._sinks = sinks
        self._clock = clock
        self._on_end = on_end
        self._supervisor = Supervisor("runs", clock=clock)
        self._runs: dict[str, tuple[Run, Greenlet | None]] = {}
        """Each with its greenlet, once it has one."""
        self._line: list[tuple[int, int, Run, Resource]] = []
        """Those that wait for one to end; some may have been stopped meanwhile."""
        self._order = itertools.count()
        self._running = 0
        self._halted = False

    def known(self) -> dict[str, RunKey]:
        """Name → identity of each run, ended ones included."""
        return {name: run.key for name, (run, _) in self._runs.items()}

    def all(self) -> list[Run]:
        """The runs, ended ones included."""
        return [run for run, _ in self._runs.values()]

    @property
    def running(self) -> int:
        """How many have begun and not ended."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many wait for one of those to end."""
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
        """A run has ended in whatever way: the next may begin."""
        self._running -= 1
        self._admit()

    def stop(self, names: Iterable[str]) -> None:
        """Stop these runs, all at once, and forget them; one that does not end stays known.

        What does not stop by itself in time is cut off; only a callback that computes without ever
        giving others a turn survives that.
        """
        stopping = [self._runs[name] for name in names if name in self._runs]
        for run, _ in stopping:
            run.stop()
        _end(_begun(stopping), STOP_S)
        for run, greenlet in stopping:
            self._forget(run, greenlet)

    def halt(self, patience_s: float) -> None:
        """Bring every run to a safe point and let it end there: fetches end at once, a callback is
        let finish, its items are written. What takes longer is cut off. The runs stay known, so
        that they can be reported."""
        self._halted = True
        for run in self.all():
            run.stop()
        _end(_begun(self._runs.values()), patience_s)

    def cut_off(self) -> None:
        """End every run where it stands; returns at once."""
        gevent.killall(_begun(self._runs.values()), block=False)

    def stop_all(self) -> None:
        """Stop every run."""
        self.stop(list(self._runs))

    def check(self) -> None:
        """Raise RunGoesOn when a run was stopped again and again and has not ended."""
        endless = sorted(run.name for run in self.all() if run.stops >= MOST_STOPS)
        if endless:
            raise RunGoesOn(
                f"runs of {', '.join(endless)} go on though they were cut off {MOST_STOPS} times;"
                " do their callbacks catch GreenletExit, by `except:` or `except BaseException:`?"
            )

    def _forget(self, run: Run, greenlet: Greenlet | None) -> None:
        if greenlet is not None and not greenlet.dead:
            log.error("run does not stop, its callback blocks", task=run.name, epoch=run.key.epoch)
        elif self._runs.get(run.name, (None,))[0] is run:
            del self._runs[run.name]
            log.info("run stopped", task=run.name, epoch=run.key.epoch, ended=run.ended)

    def _execute(self, run: Run, resource: Resource) -> None:
        path = items_path(self._items, resource)
        run.execute(self._engine, RunSink(self._sinks, path, resource.name))
        if run.ended:
            self._on_end()
