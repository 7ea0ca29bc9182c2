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

from crawler.clock import Backoff, Clock
from crawler.engine.stats.totals import Totals
from crawler.errors import ConfigError, Retryable
from crawler.logs import get_logger
from crawler.model.projects import SHORT
from crawler.model.records import Resource, State
from crawler.model.run_statistics import MOST_BYTES, kept_of
from crawler.model.spiders import SpiderAbout
from crawler.node.crew.callback_watch import CallbackWatch
from crawler.node.crew.cores import cores
from crawler.node.crew.crew import Figures
from crawler.node.crew.crew_load import ProcessesLoad
from crawler.node.crew.deaths import Deaths
from crawler.node.crew.distant_crawls import DistantCrawls
from crawler.node.crew.distant_looks import DistantLooks
from crawler.node.crew.distant_run import DistantRun
from crawler.node.crew.file_ends import FileEnds
from crawler.node.crew.hosts import Hosts, numbers
from crawler.node.crew.memory_watch import MemoryWatch
from crawler.node.crew.process import CrawlProcess
from crawler.node.crew.program import NoPrograms, Program, Programs, Unusable
from crawler.node.crew.spawner import Spawner
from crawler.node.crew.starter import Starter
from crawler.node.crew.team import PATIENCE_S, Team
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


class Processes:
    """A crew of processes."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        guard: Guard | None = None,
        programs: Programs | None = None,
        logs: RunLogs | None = None,
    ) -> None:
        """How many there are is in the settings of the worker. `programs` has the bundles of
        projects, and `logs` are those of its runs."""
        self.has_processes = True
        self._settings = settings
        self._logs = logs
        self._clock = clock
        self._programs = programs or NoPrograms()
        self._guard = guard or NoGuard()
        self._most = settings.worker.processes or cores()
        self._supervisor = Supervisor("crew", clock=clock)
        self._hosts = Hosts(clock)
        self._deaths = Deaths(clock)
        limit_s = settings.crawl.callback_limit_s
        self._callbacks = CallbackWatch(self._deaths, settings.node.hub_limit_s, limit_s)
        self._memory = MemoryWatch(settings.worker.process_memory, self._retire)
        self._lease_s = 0.0 if settings.frontier.url else self._hosts.lease_s
        self._next_number = numbers()
        self._processes: dict[int, CrawlProcess] = {}
        self._teams: dict[str, Team] = {}
        """Those with the same spiders, by the digest of their bundle."""
        self._has_begun = False
        self._own = self._form(Program())
        """Those with the spiders of the worker."""
        self._past = Totals()
        """What processes have counted that are gone."""
        self._next_run = numbers()
        self._is_unready = False
        """Whether the log says that no process can crawl."""
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
        self._has_begun = True
        for team in self._teams.values():
            team.start()
        self._supervisor.spawn("look", self._look_forever, on_end=OnEnd.RESTART)

    def prepare(self) -> None:
        """Wait until they serve. The first may take its time, the others as long again and a few
        seconds. Raises ConfigError if their spiders cannot be loaded."""
        began_s, own = self._clock.monotonic(), self._own
        while not own.has_served and not self._stopping:
            if own.fault or own.lack():
                raise ConfigError(own.fault or f"spiders: {own.lack()}")
            own.await_change()
        now_s = self._clock.monotonic()
        until_s = now_s + (now_s - began_s) + PATIENCE_S
        while own.missing() and not self._stopping and self._clock.monotonic() < until_s:
            own.await_change()

    def stop(self) -> None:
        """End all processes. The runs have ended."""
        self._file_ends.stop(EXIT_S)
        self._stopping = True
        for team in self._teams.values():
            team.stop()
        self._supervisor.stop()
        ending = Supervisor("crew that ends", clock=self._clock)
        for process in list(self._processes.values()):
            ending.spawn(f"process {process.number}", process.exit, EXIT_S)
        gone = [process.gone for process in self._processes.values() if process.born is not None]
        gevent.wait(gone, timeout=2 * EXIT_S)
        for team in self._teams.values():
            team.close()
        ending.stop()

    def unready_reason(self) -> str:
        """Why no process can crawl; empty if one can, or may soon."""
        lack = self._own.lack()
        return f"no process can crawl: {lack}" if lack and not self._own.shared() else ""

    def spider_names(self) -> frozenset[str]:
        """The names of all spiders; known after `prepare`."""
        return self._own.spiders

    def described(self) -> Mapping[str, SpiderAbout]:
        """What the classes of the spiders show, by name; known after `prepare`."""
        return self._own.described

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

    @property
    def spawner(self) -> Spawner | None:
        """What starts the processes with the worker's own spiders; None before it is needed."""
        return self._own.starter.spawner

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

    def _team_of(self, run: DistantRun) -> Team | None:
        """The processes that have, or will have, the spiders of a run; None if there will be none:
        then the run was stopped, or has failed."""
        resource = run.resource
        if not resource.spec.project:
            return self._own
        backoff = Backoff(most_s=5.0)
        while not self._stopping and not run.stops:
            try:
                program = self._programs.ready(resource.digest)
            except Unusable as error:
                run.fail(f"project {resource.spec.project}: {error}")
                return None
            except Retryable as error:
                note = log.debug if backoff.attempts else log.warning
                note("a bundle is not here yet", task=run.name, why=str(error))
                self._clock.sleep(backoff.next_s())
                continue
            return self._teams.get(program.digest) or self._form(program)
        return None

    def _form(self, program: Program) -> Team:
        """Have a team for a program."""
        most, serve = self._most, self._serve
        starter = Starter(
            *(self._settings, most, self._lease_s, self._guard, serve),
            *(self._next_number, program, self._logs),
        )
        team = self._teams[program.digest] = Team(starter, most, self._processes, self._clock)
        if self._has_begun:
            team.start()
        return team

    def _deal(self, run: DistantRun) -> CrawlProcess | None:
        """Wait for a process for a run; None if there will be none."""
        team = self._team_of(run)
        if team is None:
            return None
        group = -run.number if run.resource.spec.isolated else self._deaths.group_of(run.name)
        process = team.deal(run, group)
        if process is None and not run.stops and (lack := team.lack()):
            self._lacks(run, lack)
        return process

    def _lacks(self, run: DistantRun, lack: str) -> None:
        """No process will crawl for a run. Another worker may have sound spiders of its own, but
        everybody has the same bundle."""
        if run.resource.spec.project:
            digest = run.resource.digest[:SHORT]
            run.fail(f"bundle {digest} of project {run.resource.spec.project} fails here: {lack}")
        else:
            run.interrupt(f"no process can crawl here: {lack}", charged=False)

    def _serving(self) -> Iterator[CrawlProcess]:
        return (process for process in self._processes.values() if process.is_serving)

    def _living(self) -> Iterator[CrawlProcess]:
        """Those that have begun, also those that take no more tasks."""
        return (process for process in self._processes.values() if process.greeted.is_set())

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
        elif kind == "kept":
            for number, text in body:
                if number in process.runs:
                    process.runs[number].statistics = str(text)[:MOST_BYTES]
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
            run.statistics = kept_of(self.crawls.ended(process.named(found)))
        self._team(process).forget(run)
        if run.status().state is State.DONE:
            self._deaths.clear(run.name)
        run.over.set()
        if process.group and not process.runs:
            process.is_serving = False
            self._supervisor.spawn(f"end of {process.number}", process.exit, EXIT_S)

    def _bury(self, process: CrawlProcess) -> None:
        """Judge the death of a process, and let its runs go on elsewhere."""
        team = self._team(process)
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
            team.note_early_death(verdict.reason.removeprefix("its process "))
        for number, run in runs.items():
            team.forget(run)
            run.interrupt(verdict.reason, charged=number == verdict.charged)
            run.over.set()
        team.changed()

    def _look_forever(self) -> None:
        """Look at what the processes do, and at what they take."""
        while True:
            self._clock.sleep(LOOK_S)
            self.load.look()
            self._deaths.look()
            self._tell_whether_ready()
            for process in list(self._processes.values()):
                if self._team(process).is_left_over(process):
                    self._retire(process, "told")
                elif process.greeted.is_set():
                    self._memory.look(process)
                    self._callbacks.look(process)
            self._leave_teams()

    def _leave_teams(self) -> None:
        """Let go of the teams of bundles of which nobody runs anything."""
        for digest, team in list(self._teams.items()):
            if team.is_over():
                del self._teams[digest]
                team.stop()
                team.close()

    def _team(self, process: CrawlProcess) -> Team:
        return self._teams[process.digest]

    def _tell_whether_ready(self) -> None:
        """Log once that no process can crawl, and once that they can again."""
        reason = self.unready_reason()
        if reason and not self._is_unready:
            log.error("this worker is not ready", why=reason)
        elif self._is_unready and not reason:
            log.info("crawl processes can crawl again")
        self._is_unready = bool(reason)

    def _retire(self, process: CrawlProcess, cause: str) -> None:
        """Let a process take no more runs, and end when it has none."""
        process.is_serving = False
        process.cause = cause
        self._team(process).changed()
        self._supervisor.spawn(f"end of {process.number}", self._empty, process)

    def _empty(self, process: CrawlProcess) -> None:
        """Wait until the runs of a process have ended, and end it."""
        while process.runs and not process.gone.is_set():
            self._clock.sleep(LOOK_S)
        process.exit(EXIT_S)
