"""Judges the deaths of crawl processes: who is to blame, and who may be.

A process notes in its page whose callback runs. If one was running when it died, that task is to
blame, and nobody else. If none was, nobody knows: it may be libcurl, a parser, or what a callback
has left behind. Then all tasks of that process are suspects for a while: they are divided into a
few groups, each with a process of its own. The next death concerns one group, and so on until it is
one task. The same holds if the kernel has killed the process, because memory was short: whoever was
at it then need not be who took the memory.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Mapping
from typing import NamedTuple

from crawler.clock import Clock
from crawler.logs import get_logger
from crawler.node.crew.distant_run import DistantRun
from crawler.node.crew.hosts import numbers
from crawler.node.crew.memory_kills import MemoryKills
from crawler.node.crew.page import Glance
from crawler.node.crew.process import CrawlProcess

log = get_logger(__name__)

SUSPECT_S = 600.0
"""How long a task is a suspect."""
STEP_S = 2.0
"""What one look at a process says of the time before it."""
_FROM_OUTSIDE = (-signal.SIGKILL, None)
"""How a process ends that somebody else has killed, or the kernel for lack of memory; None where
nobody knows, because the zygote is gone, with which all its processes die."""
GROUPS = 8
"""Into so many groups the suspects of one death are divided. Of 500 tasks, three more deaths find
the one."""


class Verdict(NamedTuple):
    """What a death means for the runs of the process."""

    reason: str
    charged: int
    """The run that is to blame; 0 if none is."""


class _Seen(NamedTuple):
    """What a process did at one look."""

    doing: tuple[int, float]
    """The number of its call, and when its hub had turned last: while both are the same, it
    computes."""
    lasts_s: float
    """For how long it has done that."""
    at_s: float
    """The time of this look."""


class Deaths:
    """Knows who is suspected."""

    def __init__(self, clock: Clock, memory_kills: MemoryKills | None = None) -> None:
        self._clock = clock
        self._memory_kills = memory_kills or MemoryKills()
        self._suspects: dict[str, tuple[int, float]] = {}
        """The group of each suspect, and until when it is one."""
        self._next_group = numbers()
        self._seen: dict[int, _Seen] = {}
        """What each process did when it was looked at last, by its number."""

    def group_of(self, task: str) -> int:
        """The group with which a task must run; 0 if it is no suspect."""
        group, until_s = self._suspects.get(task, (0, 0.0))
        if group and until_s <= self._clock.monotonic():
            del self._suspects[task]
            return 0
        return group

    def clear(self, task: str) -> None:
        """A task has run to its end: it is no suspect."""
        self._suspects.pop(task, None)

    def look(self) -> None:
        """Note how often the kernel has killed for lack of memory. To be called again and again."""
        self._memory_kills.look()

    def judge(self, process: CrawlProcess, runs: Mapping[int, DistantRun]) -> Verdict:
        """Judge the death of a process that had these runs."""
        self._seen.pop(process.number, None)
        ended = _told(process)
        if process.why:
            tell = log.warning if runs else log.info  # nobody misses one that has nothing to do
            tell("a crawl process is gone", pid=process.pid, why=process.why, runs=len(runs))
            if process.is_suspicious:
                self._suspect(runs)
            return Verdict(f"its process was ended: {process.why}", process.charged)
        if process.status == -signal.SIGKILL and self._memory_kills.explains_death():
            return self._unexplained(process, f"{ended} by the kernel: memory was short", runs)
        if process.status in _FROM_OUTSIDE:
            log.error("a crawl process died", pid=process.pid, how=ended, runs=len(runs))
            return Verdict(f"its process {ended}", 0)
        seen = process.glance()
        if seen.is_sure and seen.slot in runs:
            task = runs[seen.slot].name
            log.error("a crawl process died", pid=process.pid, how=ended, task=task, url=seen.about)
            return Verdict(f"its process {ended} in a callback of task {task}", seen.slot)
        return self._unexplained(process, ended, runs)

    def _unexplained(
        self, process: CrawlProcess, ended: str, runs: Mapping[int, DistantRun]
    ) -> Verdict:
        """Judge a death for which any of these runs may be to blame."""
        log.error("a crawl process died", pid=process.pid, how=ended, runs=len(runs))
        if len(runs) == 1:
            return Verdict(f"its process {ended}, and crawled nothing else", next(iter(runs)))
        self._suspect(runs)
        return Verdict(f"its process {ended}", 0)

    def lasts_s(self, process: CrawlProcess, seen: Glance) -> float:
        """For how long a process has been seen to compute, without a turn of its hub or another
        call.

        Nobody has seen what it did while its worker stood still. So no step between two looks
        counts for more than `STEP_S`.
        """
        now_s, doing = self._clock.monotonic(), (seen.call, seen.turned_s)
        before = self._seen.get(process.number)
        lasts_s = 0.0
        if before is not None and before.doing == doing:
            lasts_s = before.lasts_s + min(now_s - before.at_s, STEP_S)
        self._seen[process.number] = _Seen(doing, lasts_s, now_s)
        return lasts_s

    def _suspect(self, runs: Mapping[int, DistantRun]) -> None:
        now_s = self._clock.monotonic()
        self._suspects = {
            task: (group, until_s)
            for task, (group, until_s) in self._suspects.items()
            if until_s > now_s
        }
        until_s = now_s + SUSPECT_S
        groups = [self._next_group() for _ in range(GROUPS)]
        for run, group in zip(runs.values(), itertools.cycle(groups)):
            self._suspects[run.name] = (group, until_s)


def _told(process: CrawlProcess) -> str:
    """How a process ended, for people."""
    status = process.status
    if status is None:
        return "ended"
    if status < 0:
        return f"was killed by signal {-status} ({_name_of(-status)})"
    return f"ended with status {status}"


def _name_of(number: int) -> str:
    """The name of a signal; not each has one."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a signal of its own"
