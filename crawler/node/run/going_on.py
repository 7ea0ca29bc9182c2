"""Runs the tasks of a worker from where an earlier run of them was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from crawler.engine.crawl.kept import Kept
from crawler.engine.engine import Engine
from crawler.engine.frontier.shared_store import SharedStore
from crawler.engine.frontier.store import Store, StoreFailed
from crawler.engine.items.sinks.factory import RunSink, Sinks
from crawler.engine.items.sinks.sink import Sink
from crawler.items.names import PART
from crawler.logs import get_logger
from crawler.model.records import Resource
from crawler.node.run.crawl_run import CrawlRun
from crawler.node.run.item_files import FILES, ItemFiles, NotedSink
from crawler.node.run.states import NEEDS_REDIS, TaskStates, is_shared
from crawler.node.run.told_runs import Past, ToldRuns
from crawler.settings.crawl import CrawlSettings
from crawler.supervision import Supervisor, do_all

log = get_logger(__name__)


class LastStore:
    """A store that is let go after the sink is closed, wherever the run is cut off.

    The next run begins when it has the store, and then no other may write to the files of items.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.place = store.place
        self.sink: Sink | None = None
        self.open = store.open
        self.lease = store.lease
        self.tally = store.tally
        self.sending = store.sending
        self.size = store.size
        self.write = store.write

    def close(self, is_clean: bool = False) -> None:
        """Close the store. Who waits may be killed; this goes on nevertheless."""
        self._at_last(lambda: self._store.close(is_clean))

    def clear(self) -> None:
        """Clear the store."""
        self._at_last(self._store.clear)

    def _at_last(self, step: Callable[[], None]) -> None:
        failed: list[Exception] = []
        Supervisor("store").spawn("last", self._after_sink, step, failed).join()
        if failed:
            raise failed[0]

    def _after_sink(self, step: Callable[[], None], failed: list[Exception]) -> None:
        try:
            if self.sink is not None:
                self.sink.close()
        except OSError:
            pass  # the crawl has heard of it
        finally:
            try:
                step()
            except Exception as error:
                failed.append(error)


class SharedLastStore(LastStore):
    """The same for the store of a shard."""

    def __init__(self, store: SharedStore) -> None:
        super().__init__(store)
        self.exchange = store.exchange
        self.offer = store.offer
        self.adopt = store.adopt
        self.texts = store.texts


def _last(kept: Kept) -> LastStore:
    if kept.shard is None:
        return LastStore(kept.store)
    return SharedLastStore(cast(SharedStore, kept.store))


@dataclass(frozen=True)
class TaskSink:
    """Makes the sink of one run, which no later run disturbs."""

    make: RunSink
    files: ItemFiles
    store: LastStore | None

    def __call__(self, spider: Any) -> Sink:
        """Make the sinks that the settings name."""
        sink = NotedSink(self.make(spider), self.files)
        if self.store is not None:
            self.store.sink = sink
        return sink


class GoingOn:
    """Executes runs: each goes on where the one before it was, if its settings allow that."""

    def __init__(
        self,
        engine: Engine,
        sinks: Sinks,
        items: Path,
        states: TaskStates | None,
        past: Past | None = None,
    ) -> None:
        """Without `states`, each run begins anew. `past` is what the folder of items tells."""
        self._engine = engine
        self._sinks = sinks
        self._items = items
        self._states = states
        self._past = past or ToldRuns(items)

    def execute(self, run: CrawlRun) -> None:
        """Run a task. It blocks."""
        resource = run.resource
        with run.failing():
            settings = self._engine.settings_of(run.filled(resource.spec))
            self._past.check(resource)
            kept = self._opened(resource, settings)
            if kept is None:
                self._crawl(run, resource, settings.sinks, None)
                return
            self._from_state(run, resource, settings.sinks, kept)
            while run.has_lost_steps and self._states is not None:
                log.warning(
                    "the state has lost its last steps; the crawl goes on from what it has",
                    task=run.name,
                    epoch=resource.epoch,
                )
                kept = self._states.again(kept, resource)
                self._from_state(run, resource, settings.sinks, kept)

    def _opened(self, resource: Resource, settings: CrawlSettings) -> Kept | None:
        """The state for a run; None if nothing is kept: so its settings say, or another program
        gave it no epoch. A task that several workers run cannot do without. Raises StoreFailed."""
        must_keep = is_shared(resource.spec)
        if must_keep and (self._states is None or not resource.epoch):
            raise StoreFailed(NEEDS_REDIS.format(resource.spec.workers))
        if self._states is None:
            return None
        if must_keep and not settings.resume:
            log.warning(
                "resume: false has no effect on a task on several workers; begin it anew with"
                " crawler again, or set workers to 1",
                task=resource.name,
            )
        if (settings.resume or must_keep) and resource.epoch:
            return self._states.open(resource)
        self._states.clear(resource)
        return None

    def _from_state(self, run: CrawlRun, resource: Resource, sinks: Any, kept: Kept) -> None:
        last = _last(kept)
        do_all(
            lambda: self._go_on(run, resource, sinks, replace(kept, store=last)),
            lambda: self._let_go(run, kept, last),
        )

    def _go_on(self, run: CrawlRun, resource: Resource, sinks: Any, kept: Kept) -> None:
        if kept.is_done:
            files = ItemFiles(self._items, resource, sinks, kept)
            run.had_ended(kept, files)
            return
        if not kept.found.is_new and kept.counts.pages:
            log.info(
                "the task goes on where it was",
                task=run.name,
                epoch=resource.epoch,
                pages=kept.counts.pages,
                requests_to_go=kept.found.waiting,
            )
        self._crawl(run, resource, sinks, kept)

    def _crawl(self, run: CrawlRun, resource: Resource, sinks: Any, kept: Kept | None) -> None:
        files = ItemFiles(self._items, resource, sinks, kept)
        store = None
        if kept is not None:
            kept = replace(kept, texts={**kept.texts, FILES: files.text})
            assert isinstance(kept.store, LastStore)
            store = kept.store
            if kept.found.is_new:
                files.set_aside()
        make = RunSink(self._sinks, files.path, resource.spec.task, PART)
        run.execute(self._engine, TaskSink(make, files, store), kept, files)

    def _let_go(self, run: CrawlRun, kept: Kept, last: LastStore) -> None:
        """Let go of the store. A crawl that has begun has done so itself, unless it was cut off
        before; then nobody knows whether the last step holds all that it did."""
        if kept.found.is_new and not run.has_begun:
            last.clear()
        else:
            last.close(kept.found.is_clean and not run.has_begun)
