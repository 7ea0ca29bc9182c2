"""Keeps the state of tasks that run in one process, so that they can go on: a store for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from crawler.devtools import going_on
from crawler.engine.crawl.kept import Kept, open_store
from crawler.engine.engine import Engine
from crawler.engine.frontier.store import Store, StoreDamaged, StoreFailed
from crawler.engine.items.sinks.sink import Sink, SinkMaker
from crawler.errors import ConfigError, CrawlerError
from crawler.model.records import Spec, State
from crawler.node.run.crawl_run import CrawlRun
from crawler.settings import forms


class KeptTasks:
    """The states of all tasks, in one place. A task that is done is not run again."""

    def __init__(
        self,
        place: str,
        store_of: Callable[[str], Store],
        tell: Callable[[str], None],
        anew: bool = False,
        drops_missing: bool = False,
    ) -> None:
        """`place` names it: a folder, or a Redis. `store_of` makes the store of a task. `tell` is
        called with each thing that people should know."""
        self._place = forms.without_login(place) if "://" in place else place
        self._folder = Path(place)
        self._store = store_of
        self._tell = tell
        self._anew = anew
        self._drops_missing = drops_missing
        self._kept: dict[str, Kept] = {}
        self._left: dict[str, str] = {}
        """What is left of the tasks that are not done, by name, for people."""

    def open(self, tasks: Mapping[str, Spec], place_of: Callable[[str], str]) -> None:
        """Open the states of all tasks, and tell what is there. `place_of` names where the items of
        a task go.

        Raises ConfigError if one cannot be used, and StoreDamaged.
        """
        try:
            for name, spec in tasks.items():
                self._open(name, spec, place_of(name))
        except StoreFailed as error:
            for kept in self._kept.values():
                kept.store.clear() if kept.found.is_new else kept.store.close()
            if isinstance(error, StoreDamaged):
                raise
            raise ConfigError(str(error)) from error

    def execute(self, run: CrawlRun, engine: Engine, sink: Sink | SinkMaker) -> None:
        """Run a task from where it was. It blocks."""
        kept = self._kept[run.name]
        try:
            if kept.is_done:
                run.had_ended(kept)
            else:
                self._left[run.name] = f"not begun; the same command goes on with {self._place}"
                run.execute(engine, sink, kept)
        except CrawlerError as error:
            run.fail(str(error))
        finally:
            self._note_left(run)
            kept.store.close()

    def end(self) -> None:
        """Tell what is left of each task. Forget all tasks if nothing is."""
        for name, text in self._left.items():
            self._tell(f"{name}: {text}")
        if self._left:
            return
        for name in self._kept:
            store = self._store(name)
            store.open()
            store.clear()
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()
        self._tell(f"all tasks are done; what {self._place} kept of them is removed")

    def _open(self, name: str, spec: Spec, place: str) -> None:
        drop = (
            (lambda kept: self._tell(f"{name}: {going_on.dropped(kept)}")) if self._anew else None
        )
        kept = self._kept[name] = open_store(
            self._store(name),
            spec,
            drop,
            remembers_end=True,
            drops_missing=self._drops_missing,
            places=[place],
        )
        if kept.is_done:
            self._tell(f"{name}: done in an earlier run; it does not run again until all are done")
            return
        for text in going_on.found(kept):
            self._tell(f"{name}: {text}")

    def _note_left(self, run: CrawlRun) -> None:
        crawl = run.crawl
        if crawl is None or not crawl.ended.is_set():
            return  # it was refused, or stopped before it began
        if not crawl.is_done:
            self._left[run.name] = going_on.left(crawl, self._place)
        elif run.status().state is State.DONE:
            del self._left[run.name]
        else:
            self._left[run.name] = "nothing to go; the same command begins it anew"
