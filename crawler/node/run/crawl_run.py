"""A run whose crawl is in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from crawler.engine.crawl.crawl import Crawl
from crawler.engine.crawl.kept import Kept
from crawler.engine.engine import Engine
from crawler.engine.frontier.store import StaleRun, StoreFailed
from crawler.engine.items.sinks.sink import Sink, SinkMaker
from crawler.engine.stats.outcome import SEE_LOG
from crawler.errors import InvalidArgument, NotFound
from crawler.items.names import FAILED, STOPPED
from crawler.logs import get_logger
from crawler.model.records import Counts, Resource, Spec, State
from crawler.model.run_statistics import kept_of
from crawler.model.secrets import filled, names_in
from crawler.node.run.run import Run

log = get_logger(__name__)


class Files(Protocol):
    """The files of a run's items."""

    def note_end(self, how: str) -> None:
        """Note how a crawl ended that is not done. Repeating it is harmless. Raises OSError."""
        ...

    def end(self) -> None:
        """Give them the names that they have when the crawl has ended. Repeating it is harmless."""
        ...


class CrawlRun(Run):
    """A run that makes its crawl, and executes it."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource)
        self._engine: Engine | None = None
        self._crawl: Crawl | None = None
        self._stopped = False
        self._lacks_state = False
        """Whether its state could not be opened."""
        self.has_begun = False
        """Whether its crawl has begun."""
        self._files: Files | None = None

    @property
    def can_go_on(self) -> bool:
        """Whether it has failed because its state or its items could not be written. A later run
        goes on with what the state has."""
        return self._state is State.FAILED and (
            self._lacks_state
            or (self.is_kept and self._crawl is not None and self._crawl.can_go_on)
        )

    @property
    def crawl(self) -> Crawl | None:
        """Its crawl; None before it began, and if it was refused."""
        return self._crawl

    @property
    def has_lost_steps(self) -> bool:
        """Whether its store has forgotten what it had taken. The crawl has ended there, and goes on
        from what the store has."""
        return self._crawl is not None and self._crawl.has_lost_steps and not self._stopped

    @property
    def is_ending(self) -> bool:
        """Whether it fetches no more, and writes its last items."""
        return self._crawl is not None and self._crawl.is_ending

    def execute(
        self,
        engine: Engine,
        sink: Sink | SinkMaker,
        kept: Kept | None = None,
        files: Files | None = None,
    ) -> None:
        """Crawl until done, stopped or failed. It blocks. `kept` is the store from which the crawl
        goes on. `files` get the names of whole files when the crawl has ended."""
        self._engine, self._files = engine, files
        with self.failing():
            spec = self._spec
            self._crawl = engine.crawl(self.filled(spec), sink, kept)
            self._crawl.task_id = self.key.id
            if self._spec is not spec:  # it changed while the spider was made
                self._take_over(self._spec)
            if self._stopped:
                return
            self._state = State.RUNNING
            self.has_begun, self.is_kept = True, kept is not None
            try:
                self._crawl.run()
            finally:
                self.note_statistics()
            if not self._stopped and not self.has_lost_steps:
                self._state, reason = self._crawl.outcome()
                self._reason = _with_log(reason, self.resource.spec.task)
                if not self.can_go_on:
                    self.end_files()
                else:
                    self._note_end(FAILED)

    def note_statistics(self) -> None:
        """Keep the statistics at this moment."""
        if self._crawl is not None and self.has_begun:
            self.statistics = kept_of(self._crawl.statistics)

    def filled(self, spec: Spec) -> Spec:
        """Return a specification with the values of its secrets. It is kept and told nowhere.
        Raises InvalidArgument."""
        names = names_in(spec.parameters)
        if lacking := sorted(names - self.secrets.keys()):
            raise InvalidArgument(
                f"secret {lacking[0]!r} is not there for this run: only workers of a cluster read"
                " secrets, when a run begins"
            )
        parameters = filled(spec.parameters, self.secrets)
        return replace(spec, parameters=parameters) if names else spec

    @contextmanager
    def failing(self) -> Iterator[None]:
        """A context whose errors are the run's: it ends as failed, with what they say."""
        try:
            yield
        except NotFound as error:
            self.fail(str(error), awaits_spider=True)
        except StoreFailed as error:
            self._lacks_state = True
            if isinstance(error, StaleRun):
                self.later_epoch = max(error.last, self.key.epoch + 1)
                # Meanwhile the task may have got just that epoch. It has not failed then either.
                self._interrupted = True
            self.fail(str(error))
        except InvalidArgument as error:
            self.fail(str(error))
        except Exception as error:
            log.error("a run ended with an error", task=self.name, exc_info=True)
            self.fail(f"{type(error).__name__}: {error}")

    def had_ended(self, kept: Kept, files: Files | None = None) -> None:
        """Take over the end of an earlier run that could not tell the leader of it."""
        self._state, reason = kept.end
        self._reason = _with_log(reason, self.resource.spec.task)
        self._counts, self._shard_counts, self._files = kept.counts, kept.others, files
        self.end_files()

    def end_files(self, how: str = STOPPED) -> None:
        """Note that nothing more comes to the files of items. `how` says why not, if the run has
        not ended by itself."""
        how = FAILED if self._state is State.FAILED else how
        if self._files is not None and (self._state is State.DONE or self._note_end(how)):
            self._files.end()

    def _note_end(self, how: str) -> bool:
        """Note how the crawl ended, if it is not done. Returns whether that was possible: if not,
        its files must not look whole."""
        try:
            if self._files is not None:
                self._files.note_end(how)
        except OSError as error:
            log.warning("cannot note how a crawl ended", task=self.name, end=how, why=str(error))
            return False
        return True

    def stop(self) -> None:
        """Make the crawl end soon. Its outcome no longer counts."""
        self._stopped = True
        self.stops += 1
        if self._crawl is not None:
            self._crawl.stop()

    def break_off(self) -> None:
        """Stop, and wait for no answer under way."""
        self.stop()
        if self._crawl is not None:
            self._crawl.break_off()

    def _take_over(self, spec: Spec) -> None:
        if self._crawl is None or self._engine is None:
            return
        try:
            self._engine.adjust(self._crawl, self.filled(spec))
        except InvalidArgument as error:
            log.warning("new settings refused; the old ones hold", task=self.name, why=error)

    def _counted(self) -> tuple[Counts, Mapping[int, Counts]]:
        crawl = self._crawl
        return super()._counted() if crawl is None else (crawl.counts, crawl.shard_counts)


def _with_log(reason: str, task: str) -> str:
    """Return a reason that says how to see the log of the task, if it names the log."""
    return (
        f"{reason.removesuffix(SEE_LOG)}; see crawler logs {task}"
        if reason.endswith(SEE_LOG)
        else reason
    )
