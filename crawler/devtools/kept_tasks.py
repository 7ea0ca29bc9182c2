"""Keeps the state of tasks that run in one process, so that they can go on: a folder for each."""

from __future__ import annotations

from pathlib import Path

from crawler.engine.crawl.resume import COUNTERS, Kept, open_store
from crawler.engine.engine import Engine
from crawler.engine.frontier.sqlite_store import SqliteStore
from crawler.engine.items.sinks.sink import Sink, SinkMaker
from crawler.errors import CrawlerError
from crawler.model.records import Counts, Spec
from crawler.node.worker.runs import Run, folder_name


class KeptTasks:
    """The states of all tasks, below one folder. A task that is done is not run again."""

    def __init__(self, folder: Path, anew: bool = False, drops_missing: bool = False) -> None:
        self._folder = folder
        self._drops_missing = drops_missing
        self._anew = anew

    def execute(self, run: Run, spec: Spec, engine: Engine, sink: Sink | SinkMaker) -> None:
        """Run a task from where it was. It blocks."""
        store = self._store(run.name)
        try:
            drop = (lambda kept: None) if self._anew else None
            kept = open_store(
                store, spec, drop, remembers_end=True, drops_missing=self._drops_missing
            )
            if kept.is_done:
                run.was_done(_counts(kept))
            else:
                run.execute(engine, sink, kept)
        except CrawlerError as error:
            run.fail(str(error))
        finally:
            store.close()

    def clear(self, names: list[str]) -> None:
        """Forget the tasks of these names."""
        for name in names:
            store = self._store(name)
            store.open()
            store.clear()
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    def _store(self, name: str) -> SqliteStore:
        return SqliteStore(self._folder / folder_name(name))


def _counts(kept: Kept) -> Counts:
    counted = kept.value(COUNTERS)
    failures = sum(sum(counted[name].values()) for name in ("failed", "raised"))
    return Counts(counted["pages"], counted["items"], failures, counted["seconds"])
