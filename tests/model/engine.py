"""An engine that fetches nothing: a crawl runs until it is told how to end; all is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gevent.event import Event

from crawler.errors import NotFound
from crawler.model.records import Counts, Spec, State
from crawler.node.worker.going_on import TaskSink
from crawler.settings.crawl import CrawlSettings
from tests.model.timeline import NodeClock


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

    def __str__(self) -> str:
        return f"{self.task} (id {self.id}, epoch {self.epoch}) on {self.node}"


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
        """Nothing is kept: time passes as the test says, and not as a disk does."""
        return CrawlSettings(resume=False)

    def crawl(self, spec: Spec, sink: TaskSink, kept: None = None) -> ModelCrawl:
        if spec.spider_name not in self._spiders:
            record = self.record(spec.name, *_run_of(sink))
            record.stopped_s, record.outcome = self.now_s(), State.FAILED
            raise NotFound(f"no spider {spec.spider_name!r} here")
        return ModelCrawl(self, spec, sink, self._clock)


class ModelCrawl:
    """A crawl that ends when it is stopped, or finished by the test."""

    def __init__(self, engine: ModelEngine, spec: Spec, sink: TaskSink, clock: NodeClock) -> None:
        self._engine = engine
        self._task = spec.name
        self._id, self._epoch = _run_of(sink)
        self._clock = clock
        self._over = Event()
        self._outcome: State | None = None
        self.counts = Counts()

    def run(self) -> None:
        record = self._engine.record(self._task, self._id, self._epoch)
        self._engine.active[record] = self
        try:
            while not self._over.is_set():
                self._clock.wait(self._over)
        finally:
            del self._engine.active[record]
            record.stopped_s = self._engine.now_s()
            record.outcome = self._outcome

    def stop(self) -> None:
        self._outcome = None if not self._over.is_set() else self._outcome
        self._over.set()

    break_off = stop
    can_go_on = is_ending = has_lost_steps = False

    def finish(self, outcome: State) -> None:
        """The crawl comes to its end."""
        self._outcome = outcome
        self.counts = Counts(pages=1)
        self._over.set()

    def outcome(self) -> tuple[State, str]:
        assert self._outcome is not None
        return self._outcome, "" if self._outcome is State.DONE else "it was told to fail"


def _run_of(sink: TaskSink) -> tuple[str, int]:
    """The name of the file of items is all a crawl is told of the run that it belongs to."""
    id, _, epoch = sink.make.path.stem.rpartition("-")
    return id, int(epoch)
