"""Reports callbacks that compute for long: whose, for which page, and at which line of the spider.

All crawls of a process share one thread, so such a callback holds up the others. A native thread
looks at what the hub's thread executes, so crawls pay nothing for it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Container, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from crawler.engine.crawl import Crawl
from crawler.engine.journeys import Journeys
from crawler.hub import TICK_S, Pulse
from crawler.logs import get_logger

log = get_logger(__name__)

LOOK_S = 0.05
"""How often it is looked whether the hub turns."""
REPORT_S = 10.0
"""A spider that is slow on every page is told of once in so many seconds, and counted each time."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """The callback that a stack is in."""

    crawl: Crawl
    callback: str
    url: str
    place: str
    """`shop.py:12`, the innermost line in the spider's own file."""


class SlowCallbacks(Pulse):
    """Watches the crawls of one engine, in this thread's hub."""

    def __init__(self, crawls: Container[Crawl]) -> None:
        super().__init__()
        self._crawls = crawls
        self._mark: tuple[float, int, str, str] | None = None
        self._since_s = 0.0
        self._counted = False
        self._reported_s = -math.inf

    def _watch(self) -> None:
        while not self._stopped:
            self._alarm.wait(LOOK_S)
            if self.silent_s > TICK_S + LOOK_S:
                self._look()

    def _look(self) -> None:
        culprit = culprit_of(self.frame)
        if culprit is None or culprit.crawl not in self._crawls:
            return
        now_s, limit_s = self._clock.monotonic(), culprit.crawl.spider.settings.slow_callback_s
        mark = (self._turned_s, id(culprit.crawl), culprit.callback, culprit.url)
        if mark != self._mark:
            # The first that is seen since the hub turned computes since then, a later one does not.
            is_first = self._mark is None or self._mark[0] != self._turned_s
            self._since_s = self._turned_s if is_first else now_s
            self._mark, self._counted = mark, False
        if not self._counted and 0 < limit_s <= now_s - self._since_s:
            self._counted = True
            culprit.crawl.stats.slow_callbacks += 1
            self._tell(culprit, now_s)

    def _tell(self, culprit: Culprit, now_s: float) -> None:
        if now_s >= self._reported_s + REPORT_S:
            self._reported_s = now_s
            _report(culprit, now_s - self._since_s)


def culprit_of(frame: FrameType | None) -> Culprit | None:
    """The callback that this stack is in; None when it is in none."""
    stack = list(_outwards(frame))
    calling = next((each for each in stack if each.f_code in _CALLING), None)
    running = next((each for each in stack if each.f_code is Crawl.run.__code__), None)
    if calling is None or running is None:
        return None
    crawl, job = running.f_locals["self"], calling.f_locals.get("job")
    return Culprit(crawl, _callback(job), _url(job), _place(crawl, stack))


_CALLING = {Journeys._collect.__code__, Crawl._pull_start.__code__}
"""Where a crawl calls its spider."""


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _callback(job: Any) -> str:
    if job is None:
        return "start"
    callback = job.request.callback
    return callback if isinstance(callback, str) else getattr(callback, "__name__", "parse")


def _url(job: Any) -> str:
    return "" if job is None else str(job.url)


def _place(crawl: Crawl, stack: list[FrameType]) -> str:
    own = _files_of(crawl)
    frame = next((each for each in stack if each.f_code.co_filename in own), stack[0])
    name = frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    return f"{name}:{frame.f_lineno}"


def _files_of(crawl: Crawl) -> set[str]:
    """The files in which the spider's classes are written, the engine's own left out."""
    modules = {kind.__module__ for kind in type(crawl.spider).__mro__}
    outside = (name for name in modules if not name.startswith("crawler."))
    return {str(getattr(sys.modules.get(name), "__file__", "")) for name in outside}


def _report(culprit: Culprit, seconds: float) -> None:
    log.warning_beside(
        "a callback computes for long, and all other crawls wait for it",
        task=culprit.crawl.name,
        spider=culprit.crawl.spider.name,
        callback=culprit.callback,
        at=culprit.place,
        url=culprit.url,
        seconds=round(seconds, 2),
        limit_s=culprit.crawl.spider.settings.slow_callback_s,
    )
