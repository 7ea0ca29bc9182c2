"""Names the spider's code that runs at the moment, for a native thread that watches it."""

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
    """`callback` or `errback` of a job."""

    @property
    def name(self) -> str:
        """The name of the callback."""
        if self.job is None:
            return "start"
        request = self.job.request
        code = request.errback if self.where == "errback" else request.callback
        return code if isinstance(code, str) else getattr(code, "__name__", "parse")

    @property
    def url(self) -> str:
        """The URL of the page."""
        return "" if self.job is None else self.job.url


class CurrentCallback:
    """The code that runs now in one engine. A crawl sets it when its turn begins."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now: Called | None = None
        """None while no code of a spider runs."""

    def failed(self, task: str, error: BaseException) -> None:
        """Hear what code of a task's spider has raised, before anything follows from it."""
