"""Writes items as rows of a database: SQLite, PostgreSQL, MySQL or MariaDB, through SQLAlchemy.

One native thread does all work with a database, over one connection that all crawls of the process
share; docs/decisions/0016-databases.md says why. Only this file and sql_table.py import SQLAlchemy.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from gevent.threadpool import ThreadPool

from crawler.engine.http import urls
from crawler.engine.items.item import fields_of, to_json
from crawler.engine.items.sinks.kinds import record_of, sound
from crawler.engine.items.sinks.sink import BATCH_BYTES, BATCH_RECORDS, Unmarked, Unreachable
from crawler.engine.items.sinks.sql_table import ItemTable
from crawler.errors import ConfigError
from crawler.items.formats import ID, KEY, OWN_COLUMNS, TASK, URL
from crawler.logs import get_logger

log = get_logger(__name__)

DRIVERS: Mapping[str, str] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
"""Scheme of a URL → SQLAlchemy's name for it, with the driver."""
CONNECT_S = 10
STATEMENT_ROWS = 200
"""The rows that a driver gets at once. It holds the interpreter, and so the hub, about 10 ms."""
PASSING_STATES = ("08", "40", "53", "55P03", "57P")
"""PostgreSQL's codes for errors that pass: connections, deadlocks, room, locks, restarts."""
PASSING_CODES = frozenset({0, 1040, 1053, 1205, 1213, 1927, 2002, 2003, 2006, 2013, 2055})
"""The same for MySQL and MariaDB. `(0, "")` means a closed connection."""
_LOCK_S = 30


class Database:
    """A database with its thread. All writers that use it share it; the last one releases it."""

    def __init__(self, where: str | Path, threads: ThreadPool) -> None:
        """At a URL, or in a SQLite file of any name. Raises ConfigError for a bad URL."""
        self._url, self.table = (_of_file(where), "") if isinstance(where, Path) else _parsed(where)
        self.place = _place(self._url)
        """The address for people, without user and password."""
        self.threads = threads
        """The one thread that does all work with the database."""
        self.engine = _engine(self._url)
        self._users = 0

    def acquire(self) -> None:
        """Count one more user, which must call `release`, even if this raises OSError.

        `acquire` and `release` are called in the database's thread.
        """
        self._users += 1
        if self._url.database and self._url.get_backend_name() == "sqlite":
            Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)

    def release(self) -> None:
        """Count one user less. The last one closes the connection. It may be acquired again."""
        self._users -= 1
        if self._users <= 0:
            self.engine.dispose()


class SqlRows(Unmarked):
    """Writes each item as a row of a table. It replaces a row with the same task, URL and key.

    `key` names the fields that distinguish the items of a page. Without `key`, two items of a page
    are the same if all their values are equal.
    """

    batch_records = BATCH_RECORDS
    batch_bytes = BATCH_BYTES

    def __init__(
        self, database: Database, task: str = "", table: str = "items", key: Sequence[str] = ()
    ) -> None:
        self._database = database
        self._task = sound(task)
        self._key = tuple(key)
        self._table = ItemTable(database.table or table)
        self._page = ""
        self._on_page = 0

    def encode(self, item: Any, url: str) -> tuple[dict[str, Any], int]:
        """The values of an item, and those of the sink's own columns."""
        record, size = record_of(item)
        key = self._key_of(item, record, url)
        for name in OWN_COLUMNS:
            if name in record:
                record[f"{name}_"] = record.pop(name)
        url = url if url.isascii() else sound(url)
        whole = f"{self._task}\0{url}\0{key}".encode()
        record[ID] = blake2b(whole, digest_size=16).hexdigest()
        record[TASK], record[URL], record[KEY] = self._task, url, key
        return record, size + len(whole)

    def open(self) -> None:
        """Connect."""
        self._database.acquire()
        try:
            with self._database.engine.connect():
                pass
        except sa.exc.DBAPIError as error:
            raise _translated(error, self._database.place) from None

    def write(self, records: Sequence[dict[str, Any]]) -> Counter[str]:
        """Write the rows in one transaction. If the database refuses some, write all others."""
        last = {record[ID]: record for record in records}  # a statement may name a row once
        ordered = [last[id] for id in sorted(last)]  # same order: two writers do not deadlock
        try:
            self._table.fit(self._database.engine, ordered)
            return self._insert(self._table.rows(ordered))
        except sa.exc.DBAPIError as error:
            self._table.statement = None  # read the table again: others may have changed it
            raise _translated(error, self._database.place) from None

    def close(self) -> None:
        """Release the database."""
        self._database.release()

    def _key_of(self, item: Any, record: Mapping[str, Any], url: str) -> str:
        if self._key:
            fields = fields_of(item)
            return sound(to_json([fields.get(name) for name in self._key]))
        self._on_page = self._on_page + 1 if url == self._page else 0
        self._page = url
        said = repr(sorted(record.items())).encode()
        return f"{self._on_page}-{blake2b(said, digest_size=8).hexdigest()}"

    def _insert(self, rows: list[dict[str, Any]]) -> Counter[str]:
        """Write the rows. Halve them to find those that are refused; write the others."""
        try:
            with self._database.engine.begin() as connection:
                for part in _parts(rows):
                    connection.execute(self._table.statement, part)
            return Counter()
        except (sa.exc.DataError, sa.exc.IntegrityError) as error:
            if len(rows) == 1:
                return self._refused(rows[0], error)
        half = len(rows) // 2
        return self._insert(rows[:half]) + self._insert(rows[half:])

    def _refused(self, row: Mapping[str, Any], error: sa.exc.DBAPIError) -> Counter[str]:
        reason = f"refused by {self._database.place}: {type(error.orig).__name__}"
        log.error(reason, url=urls.shown(row[URL]), key=row[KEY], error=_said(error))
        return Counter([reason])


def _parts(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), STATEMENT_ROWS):
        yield rows[start : start + STATEMENT_ROWS]


def _of_file(path: Path) -> sa.URL:
    return sa.URL.create("sqlite", database=str(path))


def _parsed(url: str) -> tuple[sa.URL, str]:
    """The URL with its driver, and the table that it names."""
    scheme, _, rest = url.partition("://")
    driver = DRIVERS.get(scheme.partition("+")[0])
    try:
        if driver is None:
            raise sa.exc.ArgumentError
        parsed = sa.make_url(f"{driver}://{rest}")
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError(
            f"sink: {scheme}://… is no address of a database; allowed: sqlite:///FILE, "
            "postgresql://USER:PASSWORD@HOST/DATABASE and mysql:// likewise, each with ?table=NAME"
        ) from None
    table = parsed.query.get("table", "")
    return parsed.difference_update_query(["table"]), table if isinstance(table, str) else table[0]


def _place(url: sa.URL) -> str:
    host = f"{url.host or ''}:{url.port}" if url.port else url.host or ""
    return f"{url.get_backend_name()}://{host}/{url.database or ''}"


def _engine(url: sa.URL) -> sa.Engine:
    backend = url.get_backend_name()
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_S}
    if backend == "sqlite":
        arguments = {"timeout": _LOCK_S}
    try:
        engine = sa.create_engine(
            url, connect_args=arguments, pool_size=1, max_overflow=0, json_serializer=str
        )
    except ImportError as error:
        raise ConfigError(
            f"sink: {backend}: its driver is not installed ({error}); "
            "install it: pip install distributed-crawler[sql]"
        ) from error
    if backend == "sqlite":
        sa.event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    """Use a write-ahead log: a kill leaves whole transactions, and readers need not wait. Sync each
    transaction: a crawl that goes on counts on it after a loss of power."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _translated(error: sa.exc.DBAPIError, place: str) -> OSError:
    """The error as an OSError. A lost connection, a deadlock or a lock may pass. A full disk has
    its number."""
    if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_FULL":
        return OSError(errno.ENOSPC, _said(error), place)
    said = f"{place}: {_said(error)}"
    return Unreachable(said) if error.connection_invalidated or _passes(error) else OSError(said)


def _passes(error: sa.exc.DBAPIError) -> bool:
    if not isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError)):
        return False
    foreign: Any = error.orig
    if hasattr(foreign, "sqlstate"):  # psycopg; no state: the server is gone
        return foreign.sqlstate is None or foreign.sqlstate.startswith(PASSING_STATES)
    if hasattr(foreign, "sqlite_errorname"):
        return str(foreign.sqlite_errorname).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    return not foreign.args or foreign.args[0] in PASSING_CODES


def _said(error: sa.exc.DBAPIError) -> str:
    """The driver's message, without the statement and its values."""
    lines = str(error.orig).strip().splitlines()
    return f"{type(error.orig).__name__}: {lines[0] if lines else 'no reason given'}"
