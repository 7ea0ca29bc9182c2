"""The table of a database sink. Its columns follow the items that are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateTable

from crawler.engine.items.sinks import kinds
from crawler.items.formats import ID, KEY, OWN_COLUMNS, TASK, URL

LONGEST_NAME = 56
"""The most characters of a field's name in its column; databases allow 63."""
_ODD = re.compile(r"[^\w .-]")

_MYSQL = ("mysql", "mariadb")
_LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), *_MYSQL)
_TYPES: Mapping[str, sa.types.TypeEngine[Any]] = {
    kinds.BOOL: sa.Boolean(),
    kinds.INT: sa.BigInteger(),
    kinds.FLOAT: sa.Double(),
    kinds.TEXT: _LONG_TEXT,
    kinds.BYTES: sa.LargeBinary().with_variant(mysql.LONGBLOB(), *_MYSQL),
    kinds.DATE: sa.Date(),
    kinds.TIME: sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *_MYSQL),
    kinds.JSON: sa.JSON(none_as_null=True),
}
_KINDS: Sequence[tuple[type[sa.types.TypeEngine[Any]], str]] = (
    (sa.Boolean, kinds.BOOL),
    (sa.Integer, kinds.INT),
    (sa.Numeric, kinds.FLOAT),
    (sa.Double, kinds.FLOAT),
    (sa.Float, kinds.FLOAT),
    (sa.JSON, kinds.JSON),
    (sa.DateTime, kinds.TIME),
    (sa.Date, kinds.DATE),
    (sa.LargeBinary, kinds.BYTES),
)


class ItemTable:
    """One table. The thread of its database makes all calls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._kinds: dict[str, str] = {}
        """Column → the kind of its values, for all columns except the sink's own."""
        self._columns: dict[str, str] = {}
        """Field of the items → its column."""
        self.statement: Any = None
        """The statement that inserts or replaces rows; None before the first `fit`."""

    def fit(self, engine: sa.Engine, records: Iterable[Mapping[str, Any]]) -> None:
        """Add or widen columns so that they hold all values of the records."""
        wanted = {f: kind for f, kind in kinds.kinds_of(records).items() if f not in OWN_COLUMNS}
        if self.statement is not None and not self._changes(wanted):
            return
        with engine.begin() as connection:
            self._look(connection)
            if self.statement is None:
                connection.execute(CreateTable(self._table(), if_not_exists=True))
                self._look(connection)
            for column, kind in self._changes(wanted).items():
                self._change(connection, column, kind)
        self.statement = self._upsert(engine.dialect.name)

    def rows(self, records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The parameters of the statement for each record."""
        fields = {column: field for field, column in self._columns.items()}
        places = [
            (f"c{number}", fields.get(column, ""), kind)
            for number, (column, kind) in enumerate(self._kinds.items())
        ]
        return [
            {name: record[name] for name in OWN_COLUMNS}
            | {place: kinds.as_kind(record.get(field), kind) for place, field, kind in places}
            for record in records
        ]

    def _changes(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """The columns that are missing or too narrow for these fields, and the kinds they need."""
        changes = {}
        for field, kind in wanted.items():
            column = self._columns.get(field) or self._name(field)
            has = self._kinds.get(column)
            if has is None or kinds.common(has, kind) != has:
                changes[column] = kinds.common(has or kind, kind)
            self._columns[field] = column
        return changes

    def _name(self, field: str) -> str:
        """The column for a field: its plain name, or another if that is taken in any case."""
        name = plain = _ODD.sub("_", field)[:LONGEST_NAME] or "_"
        if name in self._kinds and name not in self._columns.values():
            return name
        taken = {each.lower() for each in (*OWN_COLUMNS, *self._kinds, *self._columns.values())}
        number = 2
        while name.lower() in taken:
            name = f"{plain}_{number}"
            number += 1
        return name

    def _look(self, connection: sa.Connection) -> None:
        """Read the existing columns. Other writers may have added some."""
        inspector = sa.inspect(connection)
        if not inspector.has_table(self.name):
            return
        found = {column["name"]: column["type"] for column in inspector.get_columns(self.name)}
        if missing := [name for name in OWN_COLUMNS if name not in found]:
            raise OSError(
                f"table {self.name!r} exists but was not made for items: it has no column "
                f"{missing[0]!r}; name another: ?table=NAME"
            )
        self._kinds = {name: _kind(kind) for name, kind in found.items() if name not in OWN_COLUMNS}

    def _change(self, connection: sa.Connection, column: str, kind: str) -> None:
        dialect = connection.dialect
        quoted = dialect.identifier_preparer.quote
        names = {
            "table": quoted(self.name),
            "column": quoted(column),
            "other": quoted(f"{column}__"),
            "type": _TYPES[kind].compile(dialect),
            "first": "::int" if self._kinds.get(column) == kinds.BOOL != kind else "",
        }
        steps = _WIDEN[dialect.name] if column in self._kinds else _ADD
        for step in steps:
            connection.exec_driver_sql(step.format(**names))
        self._kinds[column] = kind

    def _table(self) -> sa.Table:
        return sa.Table(
            self.name,
            sa.MetaData(),
            sa.Column(ID, sa.CHAR(32), primary_key=True),
            *(sa.Column(name, _LONG_TEXT, nullable=False) for name in (TASK, URL, KEY)),
            *(
                sa.Column(name, _TYPES[kind], key=f"c{number}")
                for number, (name, kind) in enumerate(self._kinds.items())
            ),
            mysql_charset="utf8mb4",
            mariadb_charset="utf8mb4",
        )

    def _upsert(self, dialect: str) -> Any:
        table = self._table()
        if dialect in _MYSQL:
            insert = mysql.insert(table)
            return insert.on_duplicate_key_update(_but_id(insert.inserted))
        inserts: Any = (postgresql if dialect == "postgresql" else sqlite).insert(table)
        return inserts.on_conflict_do_update(
            index_elements=[table.c[ID]], set_=_but_id(inserts.excluded)
        )


_ADD = ("ALTER TABLE {table} ADD COLUMN {column} {type}",)
_MODIFY = ("ALTER TABLE {table} MODIFY COLUMN {column} {type}",)
_WIDEN: Mapping[str, Sequence[str]] = {
    "postgresql": (
        "ALTER TABLE {table} ALTER COLUMN {column} TYPE {type} USING {column}{first}::{type}",
    ),
    "mysql": _MODIFY,
    "mariadb": _MODIFY,
    "sqlite": (
        "ALTER TABLE {table} ADD COLUMN {other} {type}",
        "UPDATE {table} SET {other} = CAST({column} AS {type})",
        "ALTER TABLE {table} DROP COLUMN {column}",
        "ALTER TABLE {table} RENAME COLUMN {other} TO {column}",
    ),
}


def _kind(column: sa.types.TypeEngine[Any]) -> str:
    for known, kind in _KINDS:
        if isinstance(column, known):
            return kind
    return kinds.TEXT


def _but_id(columns: Any) -> dict[str, Any]:
    return {column.key: column for column in columns if column.key != ID}
