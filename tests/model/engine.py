"""An engine that fetches nothing: a crawl runs until it is told how to end; all is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from gevent.event import Event

from crawler.engine.crawl.kept import COUNTERS, DONE, Kept
from crawler.engine.frontier.store import StaleRun, Step
from crawler.errors import NotFound
from crawler.model.records import Counts, Spec, State
from crawler.model.statistics import Statistics
from crawler.node.run.going_on import TaskSink
from crawler.settings.crawl import CrawlSettings
from tests.model.timeline import NodeClock

PAGE_S = 1.0
"""So long a page takes."""


@dataclass(eq=False)
class RunRecord:
    """One run of a crawl, as it really was."""

    task: str
    id: str
    epoch: int
    node: str
    incarnation: int
    """Create revision of the registration under which the worker started it."""
    started_s: float
    stopped_s: float | None = None
    outcome: State | None = None
    """How it ended by itself; None while it runs, and when it was stopped."""
    charged: bool | None = None
    """Whether its task is to blame that it was interrupted; None if it was not."""

    def __str__(self) -> str:
        return f"{self.task} (id {self.id}, epoch {self.epoch}) on {self.node}"


class ProcessGone(Exception):
    """The process that crawled is gone, and its worker lives."""


class ModelEngine:
    """Stands in for `crawler.engine.engine.Engine` in one process of a worker."""

    def __init__(
        self,
        spiders: frozenset[str],
        clock: NodeClock,
        record: Callable[[str, str, int], RunRecord],
        now_s: Callable[[], float],
    ) -> None:
        self._spiders = spiders
        self._clock = clock
        self.record = record
        self.now_s = now_s
        self.active: dict[RunRecord, ModelCrawl] = {}

    def start(self) -> None:
        """Nothing to prepare."""

    def stop(self) -> None:
        """Nothing to let go of."""

    def task_in_callback(self) -> str:
        return ""

    def spider_names(self) -> frozenset[str]:
        return self._spiders

    def settings_of(self, spec: Spec) -> CrawlSettings:
        return CrawlSettings()

    def crawl(self, spec: Spec, sink: TaskSink, kept: Kept | None = None) -> ModelCrawl:
        if spec.spider_name not in self._spiders:
            record = self.record(spec.name, *_run_of(sink))
            record.stopped_s, record.outcome = self.now_s(), State.FAILED
            raise NotFound(f"no spider {spec.spider_name!r} here")
        return ModelCrawl(self, spec, sink, self._clock, kept)


class ModelCrawl:
    """A crawl that ends when it is stopped, or finished by the test. Each second it has a page."""

    def __init__(
        self,
        engine: ModelEngine,
        spec: Spec,
        sink: TaskSink,
        clock: NodeClock,
        kept: Kept | None,
    ) -> None:
        self._engine = engine
        self._task = spec.name
        self._id, self._epoch = _run_of(sink)
        self._clock = clock
        self._over = Event()
        self._outcome: State | None = None
        self._charged: bool | None = None
        self._kept = kept
        self._texts = {} if kept is None else dict(kept.texts)
        self.counts = Counts() if kept is None else kept.counts
        self.shard_counts: dict[int, Counts] = {}
        self.can_go_on = False
        """Whether it could not write its state: a later run has replaced it."""
        self.statistics = Statistics(spec.name, spec.spider_name)

    def run(self) -> None:
        record = self._engine.record(self._task, self._id, self._epoch)
        self._engine.active[record] = self
        try:
            self._keep()
            while not self._clock.wait(self._over, PAGE_S):
                self.counts = Counts(pages=self.counts.pages + 1)
                self._keep()
            if self._charged is not None:
                record.charged = self._charged
                raise ProcessGone("its process is gone")
            if self._outcome is not None:
                state, reason = self.outcome()
                self._texts[DONE] = json.dumps([state.value, reason])
                self._keep()
        except StaleRun:
            self._outcome, self.can_go_on = State.FAILED, True
        finally:
            if self._kept is not None:
                self._kept.store.close(is_clean=self._charged is None)
            del self._engine.active[record]
            record.stopped_s = self._engine.now_s()
            record.outcome = self._outcome

    def _keep(self) -> None:
        """Write down how far it is. Raises StaleRun."""
        if self._kept is not None:
            counted = {"pages": self.counts.pages, "items": 0, "seconds": 0.0}
            counters = json.dumps(counted | {"failed": {}, "raised": {}})
            self._kept.store.write(Step(state={**self._texts, COUNTERS: counters}))

    def stop(self) -> None:
        self._outcome = None if not self._over.is_set() else self._outcome
        self._over.set()

    break_off = stop
    is_ending = has_lost_steps = False

    def finish(self, outcome: State) -> None:
        """The crawl comes to its end."""
        self._outcome = outcome
        self._over.set()

    def interrupt(self, charged: bool) -> None:
        """The process that crawls it is gone, without a word."""
        if not self._over.is_set():
            self._outcome, self._charged = State.FAILED, charged
            self._over.set()

    def outcome(self) -> tuple[State, str]:
        assert self._outcome is not None
        return self._outcome, "" if self._outcome is State.DONE else "it was told to fail"


def _run_of(sink: TaskSink) -> tuple[str, int]:
    """The name of the file of items is all a crawl is told of the run that it belongs to."""
    id, _, epoch = sink.make.path.stem.rpartition("-")
    return id.partition("~")[0], int(epoch)
