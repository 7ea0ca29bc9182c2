"""Reads the JSON of a resource field by field, where msgspec refuses it.

Then null and absence mean the default. Any other fault raises ValueError, which names the field,
its value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Raw, Struct, inspect

from crawler.coordination.fields import labels, number, text_of, typed, whole
from crawler.coordination.stored import FIELDS, ForeignStored, Stored, StoredCounts, fields_of
from crawler.model.records import State


def read_by_field(value: dict[str, Any]) -> Stored:
    """Read a value that msgspec refuses. Raises ValueError."""
    value["State"] = value.get("State") or None
    if not typed(value, "AssignedNode", str, ""):
        value["Incarnation"] = None  # without a node it has no meaning
    return ForeignStored(**_given(FIELDS, value))


def _given(fields: list[inspect.Field], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are present and not null, by their names in Python."""
    given = [field for field in fields if value.get(field.encode_name) is not None]
    return {field.name: _checked(field, value) for field in given}


def _checked(field: inspect.Field, value: Mapping[str, Any]) -> Any:
    key, kind = field.encode_name, field.type
    if isinstance(kind, inspect.UnionType):
        kind = kind.types[0]  # the other is null
    match kind:
        case inspect.IntType(ge=int(least), le=int(most)):
            return whole(value, key, least, most)
        case inspect.FloatType(ge=least, le=most) if least is not None and most is not None:
            return number(value, key, least, most)
        case inspect.VarTupleType(max_length=int(most)):
            return _texts(value, key, most)
        case inspect.EnumType():
            return State(value[key])
        case inspect.StructType():
            return _struct(kind.cls, value, key)
        case inspect.DictType(key_type=inspect.IntType(ge=int(least), le=int(most))):
            found: dict[str, Any] = typed(value, key, dict, {})
            return {
                _shard(key, each, least, most): _struct(StoredCounts, found, each) for each in found
            }
        case inspect.DictType(value_type=inspect.StrType()):
            return labels(typed(value, key, dict, {}))
        case inspect.RawType():
            return Raw(text_of(typed(value, key, dict, {})).encode())
    return typed(value, key, _PLAIN[type(kind)], None)


def _struct(kind: type[Struct], value: Mapping[str, Any], key: str) -> Any:
    return kind(**_given(fields_of(kind), typed(value, key, dict, {})))


_PLAIN: Mapping[type[inspect.Type], type] = {
    inspect.StrType: str,
    inspect.BoolType: bool,
    inspect.DictType: dict,
}


def _texts(value: Mapping[str, Any], key: str, most: int) -> tuple[str, ...]:
    found: list[Any] = typed(value, key, list, [])
    if len(found) > most:
        raise ValueError(f"{key} has {len(found)} entries; at most {most} are allowed")
    if not all(isinstance(text, str) for text in found):
        raise ValueError(f"{key} is {found!r:.80}, not a list of text")
    return tuple(found)


def _shard(key: str, number: str, least: int, most: int) -> int:
    """Read the number of a shard, which is a key in JSON."""
    if not number.isdecimal() or not number.isascii() or not least <= int(number) <= most:
        raise ValueError(f"{key} names {number!r:.80}; allowed are numbers from {least} to {most}")
    return int(number)
