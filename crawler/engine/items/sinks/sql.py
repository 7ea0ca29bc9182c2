"""Items as rows of a database: SQLite, PostgreSQL, MySQL or MariaDB, through SQLAlchemy.

All work with a database is done in one native thread, over one connection that all crawls of the
process share; docs/decisions/0016-databases.md says why. No other file knows SQLAlchemy but
sql_table.py.
"""

from __future__ import annotations

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
from crawler.engine.items.sinks.sink import BATCH_BYTES, BATCH_RECORDS, Unreachable
from crawler.engine.items.sinks.sql_table import ID, KEY, OWN, TASK, URL, ItemTable
from crawler.errors import ConfigError
from crawler.logs import get_logger

log = get_logger(__name__)

DRIVERS: Mapping[str, str] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
"""Scheme of a URL → what SQLAlchemy calls it, with the driver that is used."""
CONNECT_S = 10
STATEMENT_ROWS = 200
"""Rows given to a driver at once: it keeps the interpreter, and so the hub waiting, for that long:
10 ms."""
PASSING_STATES = ("08", "40", "53", "55P03", "57P")
"""What PostgreSQL says, in its codes, that is over some time: connections, deadlocks, room, locks,
a server that stops or starts."""
PASSING_CODES = frozenset({0, 1040, 1053, 1205, 1213, 1927, 2002, 2003, 2006, 2013, 2055})
"""The same for MySQL and MariaDB, where `(0, "")` is a connection that is closed."""
_LOCK_S = 30


class Database:
    """A database with its thread; kept by all writers that use it, and let go by the last."""

    def __init__(self, where: str | Path, threads: ThreadPool) -> None:
        """At a URL, or in a file of SQLite, whatever its name. Raises ConfigError for a URL that is
        none."""
        self._url, self.table = (_of_file(where), "") if isinstance(where, Path) else _parsed(where)
        self.place = _place(self._url)
        """The address for people, without user and password."""
        self.threads = threads
        """One thread."""
        self.engine = _engine(self._url)
        self._users = 0

    def acquire(self) -> None:
        """One more uses it, and has to release it, also when this fails: OSError. Called in its
        thread, as the next."""
        self._users += 1
        if self._url.database and self._url.get_backend_name() == "sqlite":
            Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)

    def release(self) -> None:
        """One less; the last one closes the connection. It may be acquired anew."""
        self._users -= 1
        if self._users <= 0:
            self.engine.dispose()


class SqlRows:
    """Writes each item as a row of a table; a row with the same task, URL and key is replaced.

    `key` names the fields that tell the items of a page apart; without any, two items of a page are
    the same when all they say is.
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
        """The values of an item, with those of the columns of our own."""
        record, size = record_of(item)
        key = self._key_of(item, record, url)
        for name in OWN:
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
        """Write the rows in one transaction; if some are refused, all the others."""
        last = {record[ID]: record for record in records}  # one statement may name a row once
        ordered = [last[id] for id in sorted(last)]  # two that write the same do not deadlock
        try:
            self._table.fit(self._database.engine, ordered)
            return self._insert(self._table.rows(ordered))
        except sa.exc.DBAPIError as error:
            self._table.statement = None  # look at the table anew: others may have changed it
            raise _translated(error, self._database.place) from None

    def close(self) -> None:
        """Let go of the database."""
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
        """Those refused, found by halving; the others are written."""
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
    """Written ahead, so that a kill leaves whole transactions, and readers are not kept out."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _translated(error: sa.exc.DBAPIError, place: str) -> OSError:
    """A lost connection, a deadlock or a lock can be over when it is tried again."""
    said = f"{place}: {_said(error)}"
    return Unreachable(said) if error.connection_invalidated or _passes(error) else OSError(said)


def _passes(error: sa.exc.DBAPIError) -> bool:
    if not isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError)):
        return False
    foreign: Any = error.orig
    if hasattr(foreign, "sqlstate"):  # psycopg; without a state the server said nothing any more
        return foreign.sqlstate is None or foreign.sqlstate.startswith(PASSING_STATES)
    if hasattr(foreign, "sqlite_errorname"):
        return str(foreign.sqlite_errorname).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    return not foreign.args or foreign.args[0] in PASSING_CODES


def _said(error: sa.exc.DBAPIError) -> str:
    """What the driver said, without the statement and its values."""
    lines = str(error.orig).strip().splitlines()
    return f"{type(error.orig).__name__}: {lines[0] if lines else 'no reason given'}"
