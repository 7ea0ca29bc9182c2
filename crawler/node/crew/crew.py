"""What a worker needs of the crew that runs its crawls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crawler.api.service import Crawls
from crawler.debugging.looks import Question
from crawler.engine.stats.totals import Totals
from crawler.model.records import Resource
from crawler.model.spiders import SpiderAbout
from crawler.node.crew.crew_load import CrewLoad
from crawler.node.run.run import Run


@dataclass(frozen=True, slots=True)
class Figures:
    """What a crew holds at this moment."""

    held_bytes: int = 0
    """Bytes of responses in memory."""
    hosts_owned: int = 0
    """Hosts to which this worker alone may send, if workers share hosts."""
    hosts_waited_for: int = 0
    """Hosts that other workers own, and for which this one waits."""
    pending: int = 0
    """Requests without an end, of all crawls that run."""
    store_bytes: int = 0
    """About how many bytes the states of all crawls that run take."""


class Crew(Protocol):
    """Runs crawls. `Runs` decides which, and when; each has a greenlet there."""

    has_processes: bool
    """Whether it crawls in processes of their own: only such can load the bundle of a project."""

    @property
    def crawls(self) -> Crawls:
        """The statistics of the crawls."""
        ...

    @property
    def load(self) -> CrewLoad:
        """What its processes cost, beside the worker's own."""
        ...

    def start(self) -> None:
        """Get ready to run crawls, without waiting."""
        ...

    def prepare(self) -> None:
        """Wait until crawls can run. Raises ConfigError if they never can."""
        ...

    def stop(self) -> None:
        """Let go of everything. The runs have ended. It may be called again."""
        ...

    def unready_reason(self) -> str:
        """Why nothing can be crawled at present; empty if it can."""
        ...

    def spider_names(self) -> frozenset[str]:
        """The names of all spiders; known after `prepare`."""
        ...

    def described(self) -> Mapping[str, SpiderAbout]:
        """What the classes of the spiders show, by name; known after `prepare`."""
        ...

    def task_in_callback(self) -> str:
        """The task whose callback runs now in this process; empty if none does. Any thread may
        ask."""
        ...

    def run(self, resource: Resource) -> Run:
        """Return a run of that resource, which has not begun."""
        ...

    def execute(self, run: Run) -> None:
        """Crawl until the run has ended, been stopped or failed. It blocks.

        A kill of the greenlet that waits here cuts the run off where it is.
        """
        ...

    def end(self, runs: Collection[Run]) -> Sequence[Run]:
        """End these runs at once, by force, though their callbacks do not let them. Return those
        that can only end together with this process."""
        ...

    def totals(self) -> Totals:
        """What all crawls have counted since the worker began."""
        ...

    def ends(self) -> Mapping[str, int]:
        """How many processes have ended before their worker did, by cause: `died`, `callback` or
        `memory` (the limits), `told` (in order, or because they were not to be understood)."""
        ...

    def blockages(self) -> int:
        """How often a callback has held the hub of a crawl process for longer than
        `node.hub_limit_s`."""
        ...

    @property
    def look(self) -> Callable[[Question], Any]:
        """Asks one of its processes what it computes, or what fills its memory. Raises NotFound,
        Overloaded and Unavailable."""
        ...

    def figures(self) -> Figures:
        """What it holds at this moment."""
        ...
