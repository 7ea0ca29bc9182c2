"""Defines what an item is, and reads its fields: dicts, dataclasses and attrs classes alike."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

ALLOWED = "a dict, an Item, a dataclass or an attrs class"


def is_item(output: Any) -> bool:
    """Whether an output is an item: a mapping, or an instance of a dataclass or attrs class."""
    if type(output) is dict or isinstance(output, Mapping):
        return True
    return bool(_declared(output))


def fields_of(item: Any) -> Mapping[str, Any]:
    """The fields of an item as a mapping. An item that is a mapping is returned unchanged."""
    if type(item) is dict or isinstance(item, Mapping):
        return item
    return {name: getattr(item, name) for name in _declared(item) if hasattr(item, name)}


def written_fields(item: Any) -> Mapping[str, Any]:
    """The fields of an item as they are written, after the `serializer` of each field.

    Raises what a serializer raises.
    """
    fields = fields_of(item)
    kind: Any = type(item)
    if kind is dict:
        return fields
    serializers = _serializers(kind)
    if not serializers:
        return fields
    return {
        name: serializers[name](value) if name in serializers else value
        for name, value in fields.items()
    }


@lru_cache(maxsize=1024)
def _serializers(kind: Any) -> Mapping[str, Callable[[Any], Any]]:
    """The `serializer` of each field: of a Field, or of the metadata of any other class."""
    declared: dict[str, Any] = {}
    if issubclass(kind, Mapping):
        named = getattr(kind, "fields", None)
        declared = dict(named) if isinstance(named, Mapping) else {}
    elif dataclasses.is_dataclass(kind):
        declared = {field.name: field.metadata for field in dataclasses.fields(kind)}
    else:
        declared = {field.name: field.metadata for field in getattr(kind, "__attrs_attrs__", ())}
    return {
        name: said["serializer"]
        for name, said in declared.items()
        if isinstance(said, Mapping) and callable(said.get("serializer"))
    }


def declared_names(item: Any) -> list[str]:
    """The names of all fields that the class of an item declares. A plain dict declares none."""
    if type(item) is dict:
        return []
    named = getattr(type(item), "fields", None) if isinstance(item, Mapping) else None
    return list(named) if isinstance(named, Mapping) else list(_declared(item))


def to_json(value: Any) -> str:
    """A value as JSON. Values that JSON cannot represent become texts.

    Raises ValueError if a value contains itself.
    """
    try:
        return _encode(value)
    except (TypeError, ValueError):
        return _encode(_plain(value))


def _declared(item: Any) -> tuple[str, ...]:
    kind = type(item)
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    return tuple(field.name for field in getattr(kind, "__attrs_attrs__", ()))


def _plain(value: Any) -> Any:
    """The value as JSON can represent it. NaN, infinity and unknown objects become texts."""
    if isinstance(value, Mapping) or _declared(value):
        return {str(key): _shallow(each) for key, each in fields_of(value).items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_shallow(each) for each in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _shallow(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    try:
        return _plain(value)
    except RecursionError:
        raise ValueError("the item contains itself") from None


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain).encode
