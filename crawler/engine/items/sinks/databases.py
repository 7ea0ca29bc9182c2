"""Sinks for databases, made beside the hub.

SQLAlchemy and the driver of a database take up to seconds to import. A native thread imports them,
so that the hub goes on, and only a crawl that names a database pays for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gevent import get_hub
from gevent.threadpool import ThreadPool

from crawler.engine.items.sinks.batched import BatchedSink
from crawler.engine.items.sinks.sink import BATCH_BYTES, BATCH_RECORDS, Unmarked, Writer
from crawler.errors import ConfigError

if TYPE_CHECKING:
    from crawler.engine.items.sinks.sql import Database


def database_at(url: str) -> Database:
    """Make the database at a URL. Waits for a native thread. Raises ConfigError."""
    made: Database | ConfigError = get_hub().threadpool.apply(_made, (url, ThreadPool(1)))
    if isinstance(made, ConfigError):
        raise made
    return made


def sink_of(
    database: Database,
    task: str,
    table: str,
    key: Sequence[str],
    shared: Callable[[], bool] = lambda: False,
) -> BatchedSink:
    """Make a sink for a database. `shared` tells whether others use the database too."""
    from crawler.engine.items.sinks.sql import SqlRows  # imported with the database

    return BatchedSink(SqlRows(database, task, table, key), database.threads, shared)


def sqlite_sink(path: Path, task: str, table: str, key: Sequence[str]) -> BatchedSink:
    """Make a sink for an SQLite file. This does not wait: the sink's thread makes the database."""
    threads = ThreadPool(1)
    return BatchedSink(_Late(partial(_rows_of, path, threads, task, table, key)), threads)


class _Late(Unmarked):
    """A writer that is made by the thread that opens it."""

    batch_records = BATCH_RECORDS
    batch_bytes = BATCH_BYTES

    def __init__(self, make: Callable[[], Writer]) -> None:
        self._make = make
        self._writer: Writer | None = None

    def open(self) -> None:
        self._writer = self._make()
        self._writer.open()

    def encode(self, item: Any, url: str) -> tuple[Any, int]:
        return self._made.encode(item, url)

    def write(self, records: Sequence[Any]) -> Counter[str]:
        return self._made.write(records)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    @property
    def _made(self) -> Writer:
        assert self._writer is not None, "a sink is opened before it is written to"
        return self._writer


def _rows_of(path: Path, threads: ThreadPool, task: str, table: str, key: Sequence[str]) -> Writer:
    from crawler.engine.items.sinks.sql import Database, SqlRows

    return SqlRows(Database(path, threads), task, table, key)


def _made(url: str, threads: ThreadPool) -> Database | ConfigError:
    """Make a database. Returns an error, because gevent would print one that a thread raises."""
    from crawler.engine.items.sinks.sql import Database

    try:
        return Database(url, threads)
    except ConfigError as error:
        return error
