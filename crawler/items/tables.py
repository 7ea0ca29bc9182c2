"""Reads items from SQLite and Parquet, as the sinks write them.

No sink of a database is needed: Python's own sqlite3 reads, and only this file and the sink of
Parquet import pyarrow.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

from crawler.errors import ConfigError
from crawler.items.failures import ItemsDamaged
from crawler.items.far import AnyPath, here
from crawler.items.formats import ID, OWN_COLUMNS
from crawler.items.source import Source

Item = dict[str, Any]

_ROWS = 1024
"""The rows that are in memory at once."""
_FROM_TEXT: Mapping[str, Callable[[Any], Any]] = {
    "BOOLEAN": bool,
    "JSON": json.loads,
    "DATE": datetime.date.fromisoformat,
    "DATETIME": datetime.datetime.fromisoformat,
}
"""Type of a column → what makes a value of what SQLite stores."""


def sqlite_rows(source: Source) -> Iterator[Item]:
    """The items of a SQLite file, without the columns that belong to the sink. A row that a later
    run of the crawl has written again is left out."""
    with _reading(source.path) as database, contextlib.ExitStack() as stack:
        later = [stack.enter_context(_reading(path)) for path in source.later]
        for table in _tables(database):
            yield from _rows(database, table, [(each, _tables(each)) for each in later])


def count_sqlite(source: Source) -> int:
    """How many items a SQLite file has."""
    if source.later:
        return sum(1 for _ in sqlite_rows(source))
    with _reading(source.path) as database:
        counts = [
            database.execute(f"SELECT count(*) FROM {_quoted(table)}").fetchone()[0]
            for table in _tables(database)
        ]
    return sum(counts)


def parquet_rows(source: Source) -> Iterator[Item]:
    """The items of a folder of Parquet. A field without a value is None; lists and dicts are texts
    of JSON."""
    for part, rows in _parts(source):
        with _parquet(part) as file:
            for batch in file.iter_batches(_ROWS):
                found = batch.to_pylist()
                yield from found if rows is None else found[:rows]
                rows = None if rows is None else max(0, rows - len(found))


def count_parquet(source: Source) -> int:
    """How many items a folder of Parquet has, by what its parts say."""
    total = 0
    for part, rows in _parts(source):
        with _parquet(part) as file:
            has = int(file.metadata.num_rows)
        total += has if rows is None else min(rows, has)
    return total


@contextlib.contextmanager
def _reading(path: AnyPath) -> Iterator[sqlite3.Connection]:
    """A SQLite file. Nothing in it can be changed. Raises ItemsDamaged for what is none."""
    try:
        with (
            here(path) as near,
            closing(sqlite3.connect(f"{near.absolute().as_uri()}?mode=ro", uri=True)) as database,
        ):
            yield database
    except sqlite3.Error as error:
        raise ItemsDamaged(path, f"SQLite cannot read it ({error})") from None


def _tables(database: sqlite3.Connection) -> list[str]:
    """The tables of items."""
    found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [
        name for (name,) in found.fetchall() if set(OWN_COLUMNS) <= _columns(database, name).keys()
    ]


def _columns(database: sqlite3.Connection, table: str) -> dict[str, str]:
    """Column → its type."""
    found = database.execute(f"PRAGMA table_info({_quoted(table)})")
    return {name: type for _, name, type, *_ in found.fetchall()}


def _rows(
    database: sqlite3.Connection, table: str, later: list[tuple[sqlite3.Connection, list[str]]]
) -> Iterator[Item]:
    columns = _columns(database, table)
    fields = {name: _field(name) for name in columns if name not in OWN_COLUMNS}
    names = ", ".join(map(_quoted, [ID, *fields]))
    for id, *values in database.execute(f"SELECT {names} FROM {_quoted(table)} ORDER BY rowid"):
        if not any(_has(other, tables, id) for other, tables in later):
            yield {
                field: _converted(value, columns[name])
                for (name, field), value in zip(fields.items(), values)
            }


def _has(database: sqlite3.Connection, tables: list[str], id: str) -> bool:
    return any(
        database.execute(f"SELECT 1 FROM {_quoted(table)} WHERE {ID} = ?", (id,)).fetchone()
        for table in tables
    )


def _field(column: str) -> str:
    """The field of a column: a field with the name of one of the sink's own columns got a `_`."""
    return column[:-1] if column[:-1] in OWN_COLUMNS and column.endswith("_") else column


def _converted(value: Any, type: str) -> Any:
    if value is None or type not in _FROM_TEXT:
        return value
    try:
        return _FROM_TEXT[type](value)
    except (ValueError, TypeError):
        return value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _parts(source: Source) -> Iterator[tuple[AnyPath, int | None]]:
    """The parts that count. Of the last one perhaps only so many rows do."""
    found: list[AnyPath] = [*source.now().glob("part-*.parquet")]
    parts = sorted(found, key=lambda each: each.name)
    if not isinstance(source.limit, tuple):
        yield from ((part, None) for part in parts)
        return
    complete, rows = source.limit
    yield from ((part, None) for part in parts[:complete])
    if rows:
        yield from ((part, rows) for part in parts[complete : complete + 1])


@contextlib.contextmanager
def _parquet(part: AnyPath) -> Iterator[Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ConfigError(
            "Parquet needs pyarrow; install it: pip install distributed-crawler[parquet]"
        ) from error
    try:
        with here(part) as near, pq.ParquetFile(near) as file:
            yield file
    except pa.ArrowException as error:
        raise ItemsDamaged(part, f"it is no Parquet ({str(error).splitlines()[0]})") from None
