"""Reports callbacks that compute for long: the task, the page, and the line of the spider.

All crawls of a process share one thread, so such a callback blocks the others. Crawls only note
which callback runs. A native thread checks whether the hub turns. If it does not, the thread finds
the line. Time in which the process got no processor does not count.
"""

from __future__ import annotations

import math
import os
import sys
from typing import Any

from crawler.engine.stats.current_callback import Called, CurrentCallback
from crawler.hub import TICK_S, Place, Pulse
from crawler.logs import get_logger

log = get_logger(__name__)

LOOK_S = 0.05
"""The seconds between two checks whether the hub turns."""
REPORT_S = 10.0
"""The least seconds between two reports. Slow callbacks in between are only counted."""


class SlowCallbacks(Pulse):
    """Watches the callbacks of one engine, in this thread's hub."""

    def __init__(self, current_callback: CurrentCallback) -> None:
        super().__init__()
        self._current_callback = current_callback
        self._seen: Called | None = None
        self._seen_at = self._turned
        """When the hub had turned last at the moment this callback was first seen."""
        self._since = self._turned
        """Since when this callback computes."""
        self._counted = False
        self._reported_s = -math.inf

    def _watch(self) -> None:
        while not self._stopped:
            self._rest(LOOK_S)
            if self.silent_s > TICK_S + LOOK_S:
                self._look()

    def _look(self) -> None:
        called, turned = self._current_callback.now, self._turned
        if called is None:
            return
        if called is not self._seen or turned is not self._seen_at:
            # The first callback seen since the hub turned has computed since then; a later one has
            # not.
            self._since = turned if turned is not self._seen_at else self._mark()
            self._seen, self._seen_at, self._counted = called, turned, False
        limit_s, kept_s = called.spider.settings.slow_callback_s, self._kept_since(self._since)
        if not self._counted and 0 < limit_s <= kept_s:
            self._counted = True
            called.counters.slow_callbacks += 1
            self._tell(called, kept_s)

    def _tell(self, called: Called, kept_s: float) -> None:
        now_s = self._clock.monotonic()
        if now_s < self._reported_s + REPORT_S:
            return
        self._reported_s = now_s
        log.warning_beside(
            "a callback computes for long, and all other crawls wait for it",
            task=called.task,
            spider=called.spider.name,
            callback=called.name,
            at=_shown(called.spider, self.stack()),
            url=called.url,
            seconds=round(kept_s, 2),
            limit_s=called.spider.settings.slow_callback_s,
        )


def _shown(spider: Any, stack: list[Place]) -> str:
    """The innermost line in the spider's own file (`shop.py:12`), or else the innermost of all."""
    own = _files_of(spider)
    place = next((each for each in stack if each.file in own), stack[0] if stack else None)
    return f"{os.path.basename(place.file)}:{place.line}" if place else ""


def _files_of(spider: Any) -> set[str]:
    """The files that define the spider's classes, without those of the engine."""
    modules = {kind.__module__ for kind in type(spider).__mro__}
    outside = (name for name in modules if not name.startswith("crawler."))
    return {str(getattr(sys.modules.get(name), "__file__", "")) for name in outside}
