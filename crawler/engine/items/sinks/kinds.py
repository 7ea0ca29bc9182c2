"""Finds the kinds of values for tables, from the values themselves.

A record maps fields to plain values: None, bool, int, float, str, bytes, a date, a time in UTC, or
`JsonText` for lists and mappings. All other values become texts.
"""

from __future__ import annotations

import datetime
import enum
import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from crawler.engine.items.item import is_item, to_json, written_fields

BOOL, INT, FLOAT, TEXT = "bool", "int", "float", "text"
BYTES, DATE, TIME, JSON = "bytes", "date", "time", "json"

_INT64 = 2**63


class JsonText(str):
    """A text that holds JSON."""

    __slots__ = ()


KINDS: Mapping[type, str] = {
    bool: BOOL,
    int: INT,
    float: FLOAT,
    str: TEXT,
    bytes: BYTES,
    datetime.date: DATE,
    datetime.datetime: TIME,
    JsonText: JSON,
}
_NUMBERS = (BOOL, INT, FLOAT)
_TYPES = {BOOL: bool, INT: int, FLOAT: float}


def record_of(item: Any) -> tuple[dict[str, Any], int]:
    """An item as a record, and its approximate size in bytes. Raises ValueError like `to_json`.

    NaN and infinity become None, because most databases have no such numbers.
    """
    record: dict[str, Any] = {}
    size = 64
    for name, value in written_fields(item).items():
        kind = type(value)
        if kind is str:
            value = value if value.isascii() and "\0" not in value else sound(value)
            size += len(value)
        elif value is not None and kind is not bool:
            value = _plain(value)
            size += len(value) if isinstance(value, (str, bytes)) else 8
        record[name if type(name) is str else str(name)] = value
    return record, size + 16 * len(record)


def kinds_of(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The kind of each field that has a value in a record: one that holds all its values."""
    seen: dict[str, set[type]] = {}
    for record in records:
        for field, value in record.items():
            if value is not None:
                seen.setdefault(field, set()).add(type(value))
    return {
        field: functools.reduce(common, (KINDS[each] for each in types))
        for field, types in seen.items()
    }


def common(one: str, other: str) -> str:
    """The kind that holds values of both kinds."""
    if one == other:
        return one
    if one in _NUMBERS and other in _NUMBERS:
        return max(one, other, key=_NUMBERS.index)
    return TEXT


def as_kind(value: Any, kind: str) -> Any:
    """Convert a plain value to a kind that holds its own kind."""
    if value is None or KINDS[type(value)] == kind:
        return value
    if kind in _TYPES:
        return _TYPES[kind](value)
    return str(value) if not isinstance(value, bytes) else value.decode("utf-8", "replace")


def sound(text: str) -> str:
    """A text that every database accepts: without lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, int):
        return int(value) if -_INT64 <= value < _INT64 else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).replace(tzinfo=None) if value.tzinfo else value
    if type(value) in KINDS or value is None:
        return value
    if isinstance(value, (list, tuple, set, frozenset)) or is_item(value):
        return JsonText(sound(to_json(value)))
    return sound(str(value))
