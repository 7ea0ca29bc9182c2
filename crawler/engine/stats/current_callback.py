"""Which code of a spider runs at the moment, for a native thread that looks at it."""

from __future__ import annotations

from typing import Any, NamedTuple

from crawler.engine.frontier.job import Job
from crawler.engine.stats.counters import Counters


class Called(NamedTuple):
    """A callback, an errback, or `start` (without a job)."""

    task: str
    spider: Any
    counters: Counters
    job: Job | None = None
    where: str = "start"
    """`callback` or `errback`, of a job."""

    @property
    def name(self) -> str:
        """Its name."""
        if self.job is None:
            return "start"
        request = self.job.request
        code = request.errback if self.where == "errback" else request.callback
        return code if isinstance(code, str) else getattr(code, "__name__", "parse")

    @property
    def url(self) -> str:
        """The page it is called for."""
        return "" if self.job is None else self.job.url


class CurrentCallback:
    """What is called now in one engine. Crawls take turns: each says so when its turn begins."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now: Called | None = None
        """None when it is no code of a spider."""
