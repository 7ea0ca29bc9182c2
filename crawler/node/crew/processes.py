"""Runs the crawls of a worker in processes of their own, on all cores.

One process crawls many tasks. What happens to it happens to them: so each death is judged
(`deaths.py`), and runs without blame go on at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import Any, cast

import gevent
from gevent.event import Event

from crawler.clock import Backoff, Clock
from crawler.engine.stats.totals import Totals
from crawler.errors import ConfigError
from crawler.logs import get_logger
from crawler.model.records import Resource, State
from crawler.node.crew.callback_watch import CallbackWatch
from crawler.node.crew.cores import cores
from crawler.node.crew.crew import Figures
from crawler.node.crew.crew_load import ProcessesLoad
from crawler.node.crew.dealing import Dealing
from crawler.node.crew.deaths import Deaths
from crawler.node.crew.distant_crawls import DistantCrawls
from crawler.node.crew.distant_looks import DistantLooks
from crawler.node.crew.distant_run import DistantRun
from crawler.node.crew.file_ends import FileEnds
from crawler.node.crew.hosts import Hosts, numbers
from crawler.node.crew.memory_watch import MemoryWatch
from crawler.node.crew.process import CrawlProcess
from crawler.node.crew.spawner import SpawnFailed
from crawler.node.crew.starter import Starter
from crawler.node.guard.guard import Guard, NoGuard
from crawler.node.run.run import Run
from crawler.node.run.run_logs import RunLogs
from crawler.settings.sections import Settings
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

LOOK_S = 0.5
"""How often the worker looks at its processes."""
EXIT_S = 2.0
"""The seconds that a process may take to end in order."""
MOST_EARLY = 5
"""So many processes in a row may die before they serve. Then the tasks that wait are refused."""
PATIENCE_S = 5.0
"""The seconds that runs wait for a process that is to come, while another one could have them."""


class Processes:
    """A crew of processes."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        guard: Guard | None = None,
        logs: RunLogs | None = None,
    ) -> None:
        """How many there are is in the settings of the worker. `logs` are those of its runs."""
        self._clock = clock
        self._guard = guard or NoGuard()
        self._most = settings.worker.processes or cores()
        self._supervisor = Supervisor("crew", clock=clock)
        self._hosts = Hosts(clock)
        self._deaths = Deaths(clock)
        limit_s = settings.crawl.callback_limit_s
        self._callbacks = CallbackWatch(self._deaths, settings.node.hub_limit_s, limit_s)
        self._dealing = Dealing()
        self._memory = MemoryWatch(settings.worker.process_memory, self._retire)
        lease_s = 0.0 if settings.frontier.url else self._hosts.lease_s
        self._starter = Starter(settings, self._most, lease_s, self._guard, self._serve, logs)
        self._processes: dict[int, CrawlProcess] = {}
        self._past = Totals()
        """What processes have counted that are gone."""
        self._next_run = numbers()
        self._changed = Event()
        self._spiders: frozenset[str] = frozenset()
        self._has_served = False
        """Whether any process has loaded its spiders, be there none."""
        self._fault = ""
        """Why the process that began last can crawl nothing."""
        self._early_deaths = 0
        self._how_early = ""
        self._is_unready = False
        """Whether the log says that no process can crawl."""
        self._waiting: dict[int, int] = {}
        """The group of each run that waits for a process of its own, by the number of the run."""
        self._stopping = False
        self.crawls = DistantCrawls(self._living)
        self._looks = DistantLooks(self._living)
        self.look = self._looks.answer
        self.load = ProcessesLoad(self._living, min(self._most, cores()))
        self._file_ends = FileEnds(self._serving, clock)
        self._ends: Counter[str] = Counter()
        """How many processes have ended, by cause."""

    # -- what a worker asks of its crew ----------------------------------------------------------

    def start(self) -> None:
        """Start the processes, without waiting for them."""
        self._supervisor.spawn("keep", self._keep_forever, on_end=OnEnd.RESTART)
        self._supervisor.spawn("look", self._look_forever, on_end=OnEnd.RESTART)

    def prepare(self) -> None:
        """Wait until they serve. The first may take its time, the others as long again and a few
        seconds. Raises ConfigError if their spiders cannot be loaded."""
        began_s = self._clock.monotonic()
        while not self._has_served and not self._stopping:
            if self._fault or self._lack():
                raise ConfigError(self._fault or f"spiders: {self._lack()}")
            self._await_change()
        now_s = self._clock.monotonic()
        until_s = now_s + (now_s - began_s) + PATIENCE_S
        while self._missing() and not self._stopping and self._clock.monotonic() < until_s:
            self._await_change()

    def stop(self) -> None:
        """End all processes. The runs have ended."""
        self._file_ends.stop(EXIT_S)
        self._stopping = True
        self._changed.set()
        self._supervisor.stop()
        ending = Supervisor("crew that ends", clock=self._clock)
        for process in list(self._processes.values()):
            ending.spawn(f"process {process.number}", process.exit, EXIT_S)
        gone = [process.gone for process in self._processes.values() if process.born is not None]
        gevent.wait(gone, timeout=2 * EXIT_S)
        self._starter.close()
        ending.stop()

    def unready_reason(self) -> str:
        """Why no process can crawl; empty if one can, or may soon."""
        lack = self._lack()
        return f"no process can crawl: {lack}" if lack and not self._shared() else ""

    def spider_names(self) -> frozenset[str]:
        """The names of all spiders; known after `prepare`."""
        return self._spiders

    def task_in_callback(self) -> str:
        """No callback ever runs in the worker itself."""
        return ""

    def run(self, resource: Resource) -> DistantRun:
        """Return a run of that resource, which has not begun."""
        return DistantRun(resource, self._next_run(), self._file_ends.end)

    def execute(self, run: Run) -> None:
        """Crawl until the run has ended. It blocks. Each kill cuts it off once more."""
        distant = cast(DistantRun, run)
        process = self._deal(distant)
        if process is None:
            return
        process.take_on(distant)
        while not distant.over.is_set():
            try:
                distant.over.wait()
            except gevent.GreenletExit:
                distant.cut()
                process.cut_off(distant.number)

    def end(self, runs: Collection[Run]) -> Sequence[Run]:
        """Kill the processes of these runs. Returns nothing: that always helps."""
        for run in runs:
            if isinstance(run, DistantRun):
                if run.process is not None:
                    cast(CrawlProcess, run.process).kill(f"the run of task {run.name} did not end")
                run.over.set()
        return ()

    def totals(self) -> Totals:
        """What all crawls have counted since the worker began."""
        totals = self._past.copy()
        for process in self._processes.values():
            totals.add_totals(process.totals)
        return totals

    def ends(self) -> Mapping[str, int]:
        """How many processes have ended before their worker did, by cause."""
        return self._ends

    def blockages(self) -> int:
        """How often a callback has held the hub of a process for longer than node.hub_limit_s."""
        return self._callbacks.blockages

    def figures(self) -> Figures:
        """What the processes hold at this moment."""
        parts = [astuple(process.figures) for process in self._processes.values()]
        return Figures(*map(sum, zip(*parts, strict=True)))

    # -- which process a run gets ----------------------------------------------------------------

    def _deal(self, run: DistantRun) -> CrawlProcess | None:
        """Wait for a process for a run; None if there will be none."""
        group = -run.number if run.resource.spec.isolated else self._deaths.group_of(run.name)
        until_s = self._clock.monotonic() + PATIENCE_S
        self._waiting[run.number] = group
        try:
            while not self._stopping and not run.stops:
                process = self._of_group(group) if group else self._of_all(run, until_s)
                if process is not None:
                    return process
                if lack := self._lack():
                    run.interrupt(f"no process can crawl here: {lack}", charged=False)
                    return None
                self._await_change()
            return None
        finally:
            del self._waiting[run.number]

    def _of_group(self, group: int) -> CrawlProcess | None:
        """The process of that group; None while it begins."""
        for process in self._processes.values():
            if process.group == group:
                return process if process.is_serving else None
        self._begin_one(group)
        return None

    def _of_all(self, run: DistantRun, until_s: float) -> CrawlProcess | None:
        """A process for a run; None while one must begin that should have it."""
        is_one_coming = not self._early_deaths and self._clock.monotonic() < until_s
        return self._dealing.choose(run, self._shared(), self._most if is_one_coming else 0)

    def _serving(self) -> Iterator[CrawlProcess]:
        return (process for process in self._processes.values() if process.is_serving)

    def _shared(self) -> list[CrawlProcess]:
        """Those that crawl for anybody."""
        return [process for process in self._serving() if not process.group]

    def _missing(self) -> int:
        """How many more there should be that crawl for anybody."""
        return self._most - len(self._shared())

    def _living(self) -> Iterator[CrawlProcess]:
        """Those that have begun, also those that take no more tasks."""
        return (process for process in self._processes.values() if process.greeted.is_set())

    def _await_change(self) -> None:
        self._changed.clear()
        self._clock.wait(self._changed, LOOK_S)

    # -- the processes ---------------------------------------------------------------------------

    def _keep_forever(self) -> None:
        """Have as many processes as there should be."""
        backoff = Backoff(most_s=5.0)
        while not self._stopping:
            coming = sum(each.is_coming for each in self._processes.values() if not each.group)
            # One alone finds out whether the spiders can be loaded. Then all others begin at once.
            can_load = self._has_served and not self._early_deaths
            if self._missing() <= coming or (coming and not can_load):
                self._await_change()
                continue
            if can_load:
                backoff.reset()
            elif self._early_deaths:
                self._clock.sleep(backoff.next_s())
            self._begin_one()

    def _begin_one(self, group: int = 0) -> None:
        """Begin a process of that group, without waiting for it."""
        process = self._starter.make(group)
        self._processes[process.number] = process
        self._supervisor.spawn(f"begin {process.number}", self._begin, process)

    def _begin(self, process: CrawlProcess) -> None:
        """Start a process, and note what comes of it."""
        try:
            self._starter.start(process)
        except (SpawnFailed, OSError) as error:
            log.error("no crawl process", why=str(error))
            self._processes.pop(process.number, None)
            self._fault = str(error)
        else:
            process.greeted.wait()
            self._fault = process.fault
        if process.is_serving:
            self._spiders, self._has_served = process.spiders, True
            self._early_deaths = 0
        elif not process.cause:  # else nobody needs it any more
            self._early_deaths += 1
        self._changed.set()

    def _lack(self) -> str:
        """Why no process has begun to serve for a while; empty if one has."""
        if self._early_deaths < MOST_EARLY:
            return ""
        return self._fault or (
            f"{MOST_EARLY} crawl processes in a row {self._how_early} while they loaded the"
            " spiders; look for the cause in the log above"
        )

    def _serve(self, process: CrawlProcess, kind: str, body: Any) -> None:
        """Do what a process asks for, or follow from what it tells."""
        if kind == "ask":
            number, what, *values = body
            process.tell("answer", number, self._hosts.answer(process.number, what, *values))
        elif kind == "ended":
            self._take_end(process, *body)
        elif kind == "files":
            self._file_ends.take(int(body))
        elif kind == "statistics":
            question, found, is_last = body
            self.crawls.take(question, [process.named(each) for each in found], is_last)
        elif kind == "look":
            self._looks.take(*body)
        elif kind == "gone":
            self._bury(process)

    def _take_end(self, process: CrawlProcess, number: int, status: Any, found: Any) -> None:
        run = process.runs.pop(number, None)
        if run is None:
            return
        run.take(status)
        if found is not None:
            self.crawls.ended(process.named(found))
        self._dealing.forget(run)
        if run.status().state is State.DONE:
            self._deaths.clear(run.name)
        run.over.set()
        if process.group and not process.runs:
            process.is_serving = False
            self._supervisor.spawn(f"end of {process.number}", process.exit, EXIT_S)

    def _bury(self, process: CrawlProcess) -> None:
        """Judge the death of a process, and let its runs go on elsewhere."""
        self._guard.forget(process.number)
        self._processes.pop(process.number, None)
        self._past.add_totals(process.totals)
        self.load.bury(process)
        runs, process.runs = process.runs, {}
        self._hosts.gone(process.number)
        self._callbacks.forget(process)
        verdict = self._deaths.judge(process, runs)
        if not self._stopping:
            self._ends[process.cause or ("told" if process.why else "died")] += 1
        if not process.has_loaded:
            self._how_early = verdict.reason.removeprefix("its process ")
        for number, run in runs.items():
            self._dealing.forget(run)
            run.interrupt(verdict.reason, charged=number == verdict.charged)
            run.over.set()
        self._changed.set()

    def _look_forever(self) -> None:
        """Look at what the processes do, and at what they take."""
        while True:
            self._clock.sleep(LOOK_S)
            self.load.look()
            self._deaths.look()
            self._tell_whether_ready()
            for process in list(self._processes.values()):
                if self._is_left_over(process):
                    self._retire(process, "told")
                elif process.greeted.is_set():
                    self._memory.look(process)
                    self._callbacks.look(process)

    def _tell_whether_ready(self) -> None:
        """Log once that no process can crawl, and once that they can again."""
        reason = self.unready_reason()
        if reason and not self._is_unready:
            log.error("this worker is not ready", why=reason)
        elif self._is_unready and not reason:
            log.info("crawl processes can crawl again")
        self._is_unready = bool(reason)

    def _is_left_over(self, process: CrawlProcess) -> bool:
        """Whether it crawls for one group, of which nobody runs or waits: the runs for which it
        began were stopped meanwhile."""
        if not process.group or process.runs or process.group in self._waiting.values():
            return False
        return process.born is not None and (process.is_serving or process.is_coming)

    def _retire(self, process: CrawlProcess, cause: str) -> None:
        """Let a process take no more runs, and end when it has none."""
        process.is_serving = False
        process.cause = cause
        self._changed.set()
        self._supervisor.spawn(f"end of {process.number}", self._empty, process)

    def _empty(self, process: CrawlProcess) -> None:
        """Wait until the runs of a process have ended, and end it."""
        while process.runs and not process.gone.is_set():
            self._clock.sleep(LOOK_S)
        process.exit(EXIT_S)
