"""Makes the sinks of a worker. A crawl names its sinks, so no task names a place.

Formats stand for files in the task's own folder. The names of `worker.databases` stand for
databases whose addresses only the worker knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gevent.threadpool import ThreadPool

from crawler.engine.items.sinks.batched import BatchedSink
from crawler.engine.items.sinks.databases import database_at, sink_of, sqlite_sink
from crawler.engine.items.sinks.many import ManySinks
from crawler.engine.items.sinks.sink import Sink, Writer
from crawler.engine.items.sinks.targets import FORMATS, file_writer
from crawler.errors import ConfigError, InvalidArgument
from crawler.items.formats import SQLITE as SQLITE
from crawler.supervision import run_aside

if TYPE_CHECKING:
    from crawler.engine.items.sinks.sql import Database

FILE_THREADS = 4
"""The native threads that write files, for all crawls. Each database has its own thread."""


class Sinks:
    """Makes the sinks of crawls, and keeps what they share: threads, and database connections."""

    def __init__(self, databases: Mapping[str, str]) -> None:
        """`databases`: name → URL. Raises ConfigError for a bad name or URL."""
        self._databases = {name: _database(name, url) for name, url in databases.items()}
        self._threads = ThreadPool(FILE_THREADS)
        self._is_closed = False
        self._allowed = ", ".join([*FORMATS, SQLITE, *sorted(self._databases)])

    def choose(
        self,
        names: Sequence[str],
        path: Path,
        task: str,
        table: str,
        key: Sequence[str],
        ending: str = "",
    ) -> Sink:
        """Make the sinks of these names for one run. Its files are `path` with other suffixes, and
        with the `ending` behind these.

        Raises InvalidArgument for an unknown name, or no name.
        """
        unknown = [name for name in names if not self._knows(name)]
        if unknown or not names:
            raise InvalidArgument(
                f"sinks: {', '.join(map(repr, unknown)) or 'nothing'} given; allowed on this "
                f"worker: a list of {self._allowed}"
            )
        made = [self._sink(name, path, task, table, key, ending) for name in dict.fromkeys(names)]
        return made[0] if len(made) == 1 else ManySinks(made)

    def close(self) -> None:
        """End the threads. A thread that waits for a silent database is left behind. A sink that
        is closed later, because its crawl was cut off, ends the threads that it has used."""
        self._is_closed = True
        pools = [self._threads, *(each.threads for each in self._databases.values())]
        for pool in pools:
            run_aside("end of threads of sinks", pool.kill)

    def _are_shared(self) -> bool:
        """Whether the threads are for the next sinks, too."""
        return not self._is_closed

    def _knows(self, name: str) -> bool:
        return name in FORMATS or name == SQLITE or name in self._databases

    def _sink(
        self, name: str, path: Path, task: str, table: str, key: Sequence[str], ending: str
    ) -> BatchedSink:
        if name in FORMATS:
            writer: Writer = file_writer(name, path.with_suffix(f".{name}{ending}"))
            return BatchedSink(writer, self._threads, self._are_shared)
        if name == SQLITE:
            return sqlite_sink(path.with_suffix(".db"), task, table, key)
        return sink_of(self._databases[name], task, table, key, self._are_shared)


@dataclass(frozen=True)
class RunSink:
    """Makes the sink of one run from the settings of its spider."""

    sinks: Sinks
    path: Path
    """The path of the JSON lines. Other files lie beside it."""
    task: str
    ending: str = ""
    """Stands behind the names of files."""

    def __call__(self, spider: Any) -> Sink:
        """Make the sinks that the settings name."""
        settings = spider.settings
        return self.sinks.choose(
            settings.sinks, self.path, self.task, spider.name, settings.item_key, self.ending
        )


def _database(name: str, url: str) -> Database:
    if name in FORMATS or name == SQLITE:
        raise ConfigError(
            f"worker.databases.{name}: that name stands for files; allowed: any other name"
        )
    try:
        return database_at(url)
    except ConfigError as error:
        raise ConfigError(f"worker.databases.{name}: {error}") from None
