"""Watches the callbacks of crawl processes: tells of those that hold their hub for long, and ends
those that hold it too long."""

from __future__ import annotations

from crawler.logs import get_logger
from crawler.node.crew.deaths import Deaths
from crawler.node.crew.page import Glance
from crawler.node.crew.process import CrawlProcess

log = get_logger(__name__)

Doing = tuple[int, float]
"""The number of a call, and when the hub had turned last before it."""


class CallbackWatch:
    """Looks at one process after the other, again and again."""

    def __init__(self, deaths: Deaths, tell_s: float, limit_s: float) -> None:
        """A callback that holds the hub for `tell_s` is told. It may compute for `limit_s`, unless
        its task says otherwise; 0 means that there is no limit."""
        self._deaths = deaths
        self._tell_s = tell_s
        self._limit_s = limit_s
        self._told: dict[int, Doing] = {}
        """What each process did when that was told, by its number."""
        self.blockages = 0
        """How often something has held the hub of a process for `tell_s`."""

    def look(self, process: CrawlProcess) -> None:
        """Look at what a process does now."""
        seen = process.glance()
        limit_s = seen.limit_s if seen.is_sure else self._limit_s
        lasts_s = self._deaths.lasts_s(process, seen)
        if limit_s and lasts_s >= limit_s:
            self._end(process, seen, lasts_s, limit_s)
        elif lasts_s >= self._tell_s and self._told.get(process.number) != _doing(seen):
            self._tell(process, seen, lasts_s)

    def forget(self, process: CrawlProcess) -> None:
        """A process is gone."""
        self._told.pop(process.number, None)

    def _tell(self, process: CrawlProcess, seen: Glance, lasts_s: float) -> None:
        """Tell who holds the hub, once for each call."""
        stack = _stack(process, seen)
        if stack is None:
            return
        self._told[process.number] = _doing(seen)
        self.blockages += 1
        run = process.runs.get(seen.slot) if seen.is_sure else process.only
        log.warning(
            "the hub of a crawl process does not turn, and its other tasks wait",
            pid=process.pid,
            lasts_s=round(lasts_s, 1),
            task="" if run is None else run.name,
            url=seen.about if seen.is_sure else "",
            stack=stack,
        )

    def _end(self, process: CrawlProcess, seen: Glance, lasts_s: float, limit_s: float) -> None:
        """Kill a process, unless it has gone on meanwhile."""
        stack = _stack(process, seen)
        if stack is None:
            return
        run = process.runs.get(seen.slot) if seen.is_sure else process.only
        process.is_suspicious = run is None
        process.cause = "callback"
        what = "it" if run is None else f"a callback of task {run.name}"
        why = f"{what} computes for {lasts_s:.0f} s; at most {limit_s:g} are allowed"
        log.error(
            "a crawl process is killed",
            pid=process.pid,
            why=why,
            task="" if run is None else run.name,
            url=seen.about,
            stack=stack,
        )
        process.kill(f"{why} (crawl.callback_limit_s)", 0 if run is None else run.number)


def _stack(process: CrawlProcess, seen: Glance) -> str | None:
    """What a process executes; None if it no longer does what was seen."""
    stack = process.stack()
    is_same = _doing(process.glance()) == _doing(seen) and not process.gone.is_set()
    return stack if is_same else None


def _doing(seen: Glance) -> Doing:
    return seen.call, seen.turned_s
