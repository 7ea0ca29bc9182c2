"""The processes of a crew that have loaded the same spiders, and which of them a run gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gevent.event import Event

from crawler.clock import Backoff, Clock
from crawler.logs import get_logger
from crawler.model.spiders import SpiderAbout
from crawler.node.crew.dealing import Dealing
from crawler.node.crew.distant_run import DistantRun
from crawler.node.crew.process import CrawlProcess
from crawler.node.crew.spawner import SpawnFailed
from crawler.node.crew.starter import Starter
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

LOOK_S = 0.5
"""How often somebody who waits looks again, if nothing has changed."""
MOST_EARLY = 5
"""So many processes in a row may die before they serve. Then the tasks that wait are refused."""
PATIENCE_S = 5.0
"""The seconds that runs wait for a process that is to come, while another one could have them."""
IDLE_S = 60.0
"""For how long a process stays that loaded a bundle of which nobody runs anything."""


class Team:
    """It has as many processes as it should, and deals runs to them."""

    def __init__(
        self, starter: Starter, most: int, everyone: dict[int, CrawlProcess], clock: Clock
    ) -> None:
        """It adds its processes to `everyone`, by number: those of the whole crew."""
        self.starter = starter
        self._most = most
        self._everyone = everyone
        self._clock = clock
        self._supervisor = Supervisor("team", clock=clock)
        self._dealing = Dealing()
        self._changed = Event()
        self._stopping = False
        self.digest = starter.digest
        """The bundle whose spiders it crawls; empty for those of the worker."""
        self.spiders: frozenset[str] = frozenset()
        """The names of its spiders; known once a process has served."""
        self.described: Mapping[str, SpiderAbout] = {}
        """What the classes of these spiders show, by name."""
        self.has_served = False
        """Whether any process has loaded its spiders, be there none."""
        self.fault = ""
        """Why the process that began last can crawl nothing."""
        self.early_deaths = 0
        self._how_early = ""
        self._waiting: dict[int, int] = {}
        """The group of each run that waits for a process of its own, by the number of the run."""
        self._used_s = clock.monotonic()
        """When somebody ran or waited here last."""

    def start(self) -> None:
        """Begin to have processes, without waiting for them."""
        self._supervisor.spawn("keep", self._keep_forever, on_end=OnEnd.RESTART)

    def stop(self) -> None:
        """Begin no more processes."""
        self._stopping = True
        self._changed.set()
        self._supervisor.stop()

    def close(self) -> None:
        """Its processes have ended."""
        self.starter.close()

    def changed(self) -> None:
        """Something happened to a process: who waits looks again."""
        self._changed.set()

    def await_change(self) -> None:
        """Wait until something has happened, or for a moment."""
        self._changed.clear()
        self._clock.wait(self._changed, LOOK_S)

    def processes(self) -> Iterator[CrawlProcess]:
        """Its processes, also those that take no more runs."""
        return (each for each in self._everyone.values() if each.digest == self.digest)

    def shared(self) -> list[CrawlProcess]:
        """Those that crawl for anybody."""
        return [each for each in self.processes() if each.is_serving and not each.group]

    def missing(self) -> int:
        """How many more there should be that crawl for anybody."""
        return self._wanted() - len(self.shared())

    def lack(self) -> str:
        """Why no process has begun to serve for a while; empty if one has. A bundle does not mend
        itself: there the first fault counts."""
        if self.digest and self.fault:
            return self.fault
        if self.early_deaths < MOST_EARLY:
            return ""
        return self.fault or (
            f"{MOST_EARLY} crawl processes in a row {self._how_early} while they loaded the"
            " spiders; look for the cause in the log above"
        )

    def note_early_death(self, reason: str) -> None:
        """A process died, for that reason, before it had loaded its spiders."""
        self._how_early = reason

    # -- which process a run gets ----------------------------------------------------------------

    def deal(self, run: DistantRun, group: int) -> CrawlProcess | None:
        """Wait for a process for a run, of that group if it is not 0; None if there will be none:
        then the run was stopped, or `lack` says why."""
        until_s = self._clock.monotonic() + PATIENCE_S
        self._waiting[run.number] = group
        self._changed.set()
        try:
            while not self._stopping and not run.stops:
                process = self._of_group(group) if group else self._of_all(run, until_s)
                if process is not None or self.lack():
                    return process
                self.await_change()
            return None
        finally:
            del self._waiting[run.number]

    def forget(self, run: DistantRun) -> None:
        """That run is over."""
        self._dealing.forget(run)

    def is_left_over(self, process: CrawlProcess) -> bool:
        """Whether nobody needs a process any more: the runs for which it began have ended, or were
        stopped meanwhile."""
        if process.runs or process.born is None or not (process.is_serving or process.is_coming):
            return False
        if process.group:
            return process.group not in self._waiting.values()
        return bool(self.digest) and self._is_idle()

    def is_over(self) -> bool:
        """Whether it can be left: it is of a bundle of which nobody runs anything."""
        has_run_dry = bool(self.lack()) or self._is_idle()
        return bool(self.digest) and not self._waiting and has_run_dry and not any(self.processes())

    def _of_group(self, group: int) -> CrawlProcess | None:
        """The process of that group; None while it begins."""
        for process in self.processes():
            if process.group == group:
                return process if process.is_serving else None
        self._begin_one(group)
        return None

    def _of_all(self, run: DistantRun, until_s: float) -> CrawlProcess | None:
        """A process for a run; None while one must begin that should have it."""
        is_one_coming = not self.early_deaths and self._clock.monotonic() < until_s
        return self._dealing.choose(run, self.shared(), self._wanted() if is_one_coming else 0)

    # -- the processes ---------------------------------------------------------------------------

    def _keep_forever(self) -> None:
        """Have as many processes as there should be."""
        backoff = Backoff(most_s=5.0)
        while not self._stopping:
            coming = sum(each.is_coming for each in self.processes() if not each.group)
            # One alone finds out whether the spiders can be loaded. Then all others begin at once.
            can_load = self.has_served and not self.early_deaths
            is_hopeless = bool(self.digest and self.lack())
            if self.missing() <= coming or (coming and not can_load) or is_hopeless:
                self.await_change()
                continue
            if can_load:
                backoff.reset()
            elif self.early_deaths:
                self._clock.sleep(backoff.next_s())
            self._begin_one()

    def _wanted(self) -> int:
        """How many processes there should be that crawl for anybody. Of a bundle there are as many
        as runs need, and those that were needed stay for a while."""
        if not self.digest:
            return self._most
        held = [each for each in self.processes() if not each.group]
        runs = sum(len(each.runs) for each in held)
        runs += sum(not group for group in self._waiting.values())
        if runs or any(each.runs for each in self.processes()) or self._waiting:
            self._used_s = self._clock.monotonic()
        return min(self._most, max(runs, sum(each.is_serving for each in held)))

    def _is_idle(self) -> bool:
        """Whether nobody has run or waited here for a while."""
        self._wanted()
        return self._clock.monotonic() - self._used_s >= IDLE_S

    def _begin_one(self, group: int = 0) -> None:
        """Begin a process of that group, without waiting for it."""
        process = self.starter.make(group)
        self._everyone[process.number] = process
        self._supervisor.spawn(f"begin {process.number}", self._begin, process)

    def _begin(self, process: CrawlProcess) -> None:
        """Start a process, and note what comes of it."""
        try:
            self.starter.start(process)
        except (SpawnFailed, OSError) as error:
            log.error("no crawl process", why=str(error))
            self._everyone.pop(process.number, None)
            self.fault = str(error)
        else:
            process.greeted.wait()
            self.fault = process.fault
        if process.is_serving:
            self.spiders, self.has_served = process.spiders, True
            self.described = process.described
            self.early_deaths = 0
        elif not process.cause:  # else nobody needs it any more
            self.early_deaths += 1
        self._changed.set()
