"""Runs the crawls of a worker in its own process."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, cast

from crawler.debugging.looks import Question
from crawler.engine.engine import Engine
from crawler.engine.items.sinks.factory import Sinks
from crawler.engine.stats.registry import StatisticsRegistry
from crawler.engine.stats.totals import Totals
from crawler.errors import NotFound
from crawler.model.records import Resource
from crawler.model.spiders import SpiderAbout
from crawler.node.crew.crew import Figures
from crawler.node.crew.crew_load import NoLoad
from crawler.node.crew.engine_figures import figures_of
from crawler.node.run.crawl_run import CrawlRun
from crawler.node.run.going_on import GoingOn
from crawler.node.run.run import Run
from crawler.node.run.states import TaskStates
from crawler.node.run.told_runs import Past
from crawler.supervision import do_all


class InProcess:
    """A crew of one engine. A callback that computes blocks the worker."""

    def __init__(
        self,
        engine: Engine,
        sinks: Sinks,
        items: Path,
        states: TaskStates | None = None,
        past: Past | None = None,
    ) -> None:
        """`items` is the folder for the items of all tasks. With `states`, each run goes on where
        the one before was. `past` is what that folder tells, unless another is given."""
        self._engine = engine
        self._sinks = sinks
        self._going_on = GoingOn(engine, sinks, items, states, past)
        self.load = NoLoad()
        self.has_processes = False

    @property
    def crawls(self) -> StatisticsRegistry:
        """The statistics of the crawls."""
        return self._engine.statistics

    def start(self) -> None:
        """Start the engine."""
        self._engine.start()

    def prepare(self) -> None:
        """There is nothing to wait for."""

    def stop(self) -> None:
        """Stop the engine, and end the threads that write items."""
        do_all(self._engine.stop, self._sinks.close)

    def unready_reason(self) -> str:
        """It can always crawl."""
        return ""

    def spider_names(self) -> frozenset[str]:
        """The names of all spiders."""
        return self._engine.spider_names()

    def described(self) -> Mapping[str, SpiderAbout]:
        """What the classes of the spiders show, by name."""
        return self._engine.described()

    def task_in_callback(self) -> str:
        """The task whose callback runs now. Any thread may ask."""
        return self._engine.task_in_callback()

    def run(self, resource: Resource) -> CrawlRun:
        """Return a run of that resource, which has not begun."""
        return CrawlRun(resource)

    def execute(self, run: Run) -> None:
        """Crawl until the run has ended. It blocks."""
        if run.resource.spec.project:
            return run.fail(
                "this worker crawls in its own process, which cannot load a project; set "
                "worker.processes to 0 (docs/deploy.md)"
            )
        self._going_on.execute(cast(CrawlRun, run))

    def end(self, runs: Collection[Run]) -> Sequence[Run]:
        """Nothing ends a callback that catches every exception, but the end of its process."""
        return list(runs)

    def totals(self) -> Totals:
        """What all crawls have counted since the worker began."""
        return self._engine.statistics.totals()

    def ends(self) -> Mapping[str, int]:
        """None can end before the worker."""
        return {}

    def blockages(self) -> int:
        """The worker watches its own hub."""
        return 0

    def look(self, question: Question) -> NoReturn:
        """There is no process but the worker's own."""
        raise NotFound(
            f"process: {question.process} is not there; this worker crawls in its own process,"
            " whose number is 0"
        )

    def figures(self) -> Figures:
        """What the engine holds at this moment."""
        return figures_of(self._engine)
