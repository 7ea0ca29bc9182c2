"""Judges the deaths of crawl processes: who is to blame, and who may be.

A process notes in its page whose callback runs. If one was running when it died, that task is to
blame, and nobody else. If none was, nobody knows: it may be libcurl, a parser, or what a callback
has left behind. Then all tasks of that process are suspects for a while: they are divided into a
few groups, each with a process of its own. The next death concerns one group, and so on until it is
one task.
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
from crawler.node.crew.page import Glance
from crawler.node.crew.process import CrawlProcess

log = get_logger(__name__)

SUSPECT_S = 600.0
"""How long a task is a suspect."""
GROUPS = 8
"""Into so many groups the suspects of one death are divided. Of 500 tasks, three more deaths find
the one."""


class Verdict(NamedTuple):
    """What a death means for the runs of the process."""

    reason: str
    charged: int
    """The run that is to blame; 0 if none is."""


class Deaths:
    """Knows who is suspected."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._suspects: dict[str, tuple[int, float]] = {}
        """The group of each suspect, and until when it is one."""
        self._next_group = numbers()
        self._seen: dict[int, tuple[int, float]] = {}

    def group_of(self, task: str) -> int:
        """The group with which a task must run; 0 if it is no suspect."""
        group, until_s = self._suspects.get(task, (0, 0.0))
        if group and until_s <= self._clock.monotonic():
            del self._suspects[task]
            return 0
        return group

    def judge(self, process: CrawlProcess, runs: Mapping[int, DistantRun]) -> Verdict:
        """Judge the death of a process that had these runs."""
        ended = _told(process)
        if process.why:
            log.warning("a crawl process is gone", pid=process.pid, why=process.why, runs=len(runs))
            if process.is_suspicious:
                self._suspect(runs)
            return Verdict(f"its process was ended: {process.why}", process.charged)
        slot = process.glance().slot
        blamed = runs.get(slot)
        if blamed is None and len(runs) == 1 and process.status != -signal.SIGKILL:
            slot, blamed = next(iter(runs.items()))
        if blamed is not None and process.status != -signal.SIGKILL:
            why = f"its process {ended} in a callback of task {blamed.name}"
            log.error("a crawl process died", pid=process.pid, how=ended, task=blamed.name)
            return Verdict(why, slot)
        log.error("a crawl process died", pid=process.pid, how=ended, runs=len(runs))
        if process.status != -signal.SIGKILL and runs:
            self._suspect(runs)
        return Verdict(f"its process {ended}", 0)

    def lasts_s(self, process: CrawlProcess, seen: Glance) -> float:
        """For how long the callback of a process has been seen to run without an end."""
        now_s = self._clock.monotonic()
        call, since_s = self._seen.get(process.number, (0, now_s))
        if call != seen.call or not seen.slot:
            call, since_s = seen.call, now_s
        self._seen[process.number] = (call, since_s)
        return now_s - since_s

    def _suspect(self, runs: Mapping[int, DistantRun]) -> None:
        until_s = self._clock.monotonic() + SUSPECT_S
        groups = [self._next_group() for _ in range(GROUPS)]
        for run, group in zip(runs.values(), itertools.cycle(groups)):
            self._suspects[run.name] = (group, until_s)


def _told(process: CrawlProcess) -> str:
    """How a process ended, for people."""
    status = process.status
    if status is None:
        return "ended"
    if status < 0:
        return f"was killed by signal {-status} ({signal.Signals(-status).name})"
    return f"ended with status {status}"
