"""Reads and writes resources in etcd, in the format that other programs share.

`_Stored` describes the JSON of a resource: its fields, their order, types and bounds. msgspec reads
and writes with this description. If msgspec refuses a value, the value is read again field by
field, with the same description. Then null and absence mean the default. Any other fault raises
ValueError, which names the field, its value and what is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct, inspect

from crawler.coordination.fields import (
    MOST,
    bounded,
    labels,
    load_object,
    number,
    text_of,
    typed,
    whole,
)
from crawler.coordination.keys import Keys
from crawler.coordination.store import KeyValue
from crawler.model.constraints import NONE, Constraints
from crawler.model.records import (
    NO_BLAME,
    NO_COUNTS,
    NO_SHARD_COUNTS,
    NOT_INTERRUPTED,
    Blame,
    Counts,
    Interruption,
    Owner,
    Resource,
    Spec,
    State,
    shared_owner,
)
from crawler.model.shards import MAX_WORKERS, shard_name
from crawler.schemas import constraint_json
from crawler.schemas.readers import Faulty
from crawler.schemas.task_schemas import MAX_RETRIES

MOST_KILLS = 2**31 - 1
"""The largest count of dead workers that the API can carry. A task is parked no more often."""

MOST_SECONDS = 10**12
"""The longest running time of a crawl that is believed, in seconds."""

CACHED = 4096
"""How many constraints are kept in both forms, because many tasks have the same."""

MOST_EPOCH = 2**53
"""A bound far above every revision of etcd, and therefore above every epoch made from one."""

_NOTHING = Raw()
"""Marks a field that is absent."""

_Whole = Annotated[int, Meta(ge=0, le=MOST)]


class _Counts(Struct, rename="pascal"):
    pages: _Whole = 0
    items: _Whole = 0
    failures: _Whole = 0
    seconds: Annotated[float, Meta(ge=0, le=MOST_SECONDS)] = 0.0


_ShardCounts = dict[Annotated[int, Meta(ge=1, le=MAX_WORKERS - 1)], _Counts]


class _Blame(Struct, rename="pascal", omit_defaults=True):
    lives: Annotated[tuple[str, ...], Meta(max_length=MAX_RETRIES)] = ()
    parkings: Annotated[int, Meta(ge=0, le=MOST_KILLS)] = 0
    until: _Whole = 0
    processes: Annotated[int, Meta(ge=0, le=MOST_KILLS)] = 0


class _Interruption(Struct, rename="pascal", omit_defaults=True):
    reason: str = ""
    in_a_row: Annotated[int, Meta(ge=0, le=MOST_KILLS)] = 0


class _Stored(Struct, rename="pascal", omit_defaults=True, forbid_unknown_fields=True):
    """The value of a resource. The first four fields are the shared interface. The other fields are
    written only if they differ from their defaults. Fields without a default are always written."""

    id: str = msgspec.field(name="ID")
    name: str | None
    assigned_node: str
    creation_time: _Whole
    state: State | None
    spider: str = ""
    epoch: Annotated[int, Meta(ge=0, le=MOST_EPOCH)] = 0
    incarnation: _Whole = 0
    term: _Whole = 0
    assigned_time: _Whole = 0
    parameters: dict[str, Any] = {}
    labels: dict[str, str] = {}
    priority: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] = 0
    retries: Annotated[int, Meta(ge=0, le=MAX_RETRIES)] = 0
    constraints: Raw = _NOTHING
    reason: str = ""
    awaits_spider: bool = False
    counts: _Counts | None = None
    failed_on: Annotated[tuple[str, ...], Meta(max_length=MAX_RETRIES)] = ()
    kills: Annotated[int, Meta(ge=0, le=MOST_KILLS)] = 0
    blame: _Blame | None = None
    generation: _Whole = 0
    workers: Annotated[int, Meta(ge=1, le=MAX_WORKERS)] = 1
    shard: Annotated[int, Meta(ge=0, le=MAX_WORKERS - 1)] = 0
    shard_of: str = ""
    resumes: bool = False
    shared: bool = False
    shard_counts: _ShardCounts = {}
    interruption: _Interruption | None = None
    isolated: bool = False


class _Foreign(_Stored, forbid_unknown_fields=False):
    """A value that another program wrote: it may lack any field, and have others."""

    id: str = msgspec.field(default="", name="ID")
    name: str | None = None
    assigned_node: str = ""
    creation_time: _Whole = 0
    state: State | None = None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Stored)
_FOREIGN_DECODER = msgspec.json.Decoder(_Foreign)
_PARTS_DECODER = msgspec.json.Decoder(dict[str, Raw])


def encode_resource(resource: Resource, term: int = 0) -> bytes:
    """Encode a resource. The fields of other programs go to its end.

    `term` is the term of the leader that writes it, and replaces that of the earlier writer.
    """
    spec, owner, counts = resource.spec, resource.owner, resource.counts
    stored = _Stored(
        resource.id,
        spec.name,
        owner.text if owner is not None else "",
        resource.creation_time,
        resource.state,
        spec.spider,
        resource.epoch,
        owner.incarnation if owner is not None else 0,
        term or resource.term,
        resource.assigned_time,
        _as_given(spec.parameters) if spec.parameters else {},
        dict(spec.labels),
        spec.priority,
        spec.retries,
        _NOTHING if spec.constraints is NONE else _encode_constraints(spec.constraints),
        resource.reason,
        resource.awaits_spider,
        None if counts is NO_COUNTS or counts == NO_COUNTS else _encode_counts(counts),
        resource.failed_on,
        resource.kills,
        None if resource.blame is NO_BLAME else _encode_blame(resource.blame),
        resource.generation,
        spec.workers,
        spec.shard,
        spec.shard_of,
        resource.resumes,
        resource.shared,
        {shard: _encode_counts(each) for shard, each in resource.shard_counts.items()},
        _encode_interruption(resource.interruption),
        spec.isolated,
    )
    value = _ENCODER.encode(stored)
    return value if not resource.foreign else b"%s,%s}" % (value[:-1], _fields(resource.foreign))


def decode_stored(keys: Keys, kv: KeyValue) -> Resource | None:
    """Decode a stored resource for a mirror; None for keys of the election below the same prefix.
    Raises ValueError."""
    name = keys.resource_name(kv.key)
    return None if name is None else decode_resource(name, kv.value, kv.mod_revision)


def decode_resource(name: str, raw: bytes, mod_revision: int) -> Resource:
    """Decode a resource from its value. Raises ValueError."""
    stored, foreign = _read(raw)
    if stored.name not in (None, name):
        raise ValueError(f"Name is {stored.name!r:.80}, but the key says {name!r:.80}")
    if stored.parameters:
        bounded(stored.parameters, "Parameters")
    _check_shard(name, stored)
    asked, owner = stored.constraints, _owner_of(stored)
    spec = Spec(
        name,
        stored.spider,
        stored.parameters,
        stored.labels,
        stored.priority,
        NONE if asked is _NOTHING else _decode_constraints(bytes(asked)),
        stored.retries,
        stored.workers,
        stored.shard,
        stored.shard_of,
        stored.isolated,
    )
    return Resource(
        spec,
        stored.id,
        stored.creation_time,
        owner,
        stored.epoch,
        stored.term,
        stored.state or (State.ASSIGNED if owner else State.PENDING),
        stored.reason,
        stored.awaits_spider,
        NO_COUNTS if stored.counts is None else _decode_counts(stored.counts),
        stored.assigned_time,
        stored.failed_on,
        stored.kills,
        _decode_blame(stored.blame) if stored.blame and stored.kills else NO_BLAME,
        _decode_interruption(stored.interruption),
        stored.generation,
        stored.resumes,
        stored.shared,
        {shard: _decode_counts(each) for shard, each in stored.shard_counts.items()}
        if stored.shard_counts
        else NO_SHARD_COUNTS,
        foreign,
        mod_revision,
    )


def _check_shard(name: str, stored: _Stored) -> None:
    """Check that a shard has the name that its task gives it. Raises ValueError."""
    task, number = stored.shard_of, stored.shard
    if bool(task) is not bool(number) or (number and name != shard_name(task, number)):
        raise ValueError(
            f"ShardOf is {task!r:.80} and Shard is {number}, but the key says {name!r:.80}"
        )


def _read(raw: bytes) -> tuple[_Stored, Mapping[str, bytes]]:
    """Return the fields of this program, and the JSON of those of other programs."""
    try:
        return _DECODER.decode(raw), {}
    except (msgspec.MsgspecError, RecursionError):
        parts = _parts(raw)
    foreign = {key: part for key, part in parts.items() if key not in _KEYS}
    try:
        return _FOREIGN_DECODER.decode(raw), foreign
    except (msgspec.MsgspecError, RecursionError):
        ours = {key: part for key, part in parts.items() if key in _KEYS}
        return _read_by_field(load_object(b"{%s}" % _fields(ours))), foreign


def _parts(raw: bytes) -> dict[str, bytes]:
    """Return the JSON of each field, as it is written. Raises ValueError."""
    raw.decode()  # msgspec does not look into the texts
    try:
        return {key: bytes(part) for key, part in _PARTS_DECODER.decode(raw).items()}
    except (msgspec.MsgspecError, RecursionError) as error:
        load_object(raw)  # it says better what is wrong
        raise ValueError(str(error)) from None


def _fields(parts: Mapping[str, bytes]) -> bytes:
    return b",".join(_ENCODER.encode(key) + b":" + part for key, part in parts.items())


def _owner_of(stored: _Stored) -> Owner | None:
    if not stored.assigned_node:
        return None
    node_id, _, address = stored.assigned_node.partition("|")
    return shared_owner(node_id, address, stored.incarnation)


def _as_given(parameters: Mapping[str, Any]) -> Any:
    """Encode parameters with Python's own JSON, because msgspec writes large numbers
    differently."""
    return Raw(text_of(parameters).encode())


def _encode_counts(counts: Counts) -> _Counts:
    return _Counts(counts.pages, counts.items, counts.failures, round(counts.seconds, 3))


def _decode_counts(counts: _Counts) -> Counts:
    return Counts(counts.pages, counts.items, counts.failures, counts.seconds)


def _encode_blame(blame: Blame) -> _Blame | None:
    if blame == NO_BLAME:
        return None
    return _Blame(blame.lives, blame.parkings, blame.until, blame.processes)


def _decode_blame(blame: _Blame) -> Blame:
    return Blame(blame.lives, blame.parkings, blame.until, blame.processes)


def _encode_interruption(said: Interruption) -> _Interruption | None:
    return (
        None
        if said is NOT_INTERRUPTED or said == NOT_INTERRUPTED
        else _Interruption(said.reason, said.in_a_row)
    )


def _decode_interruption(said: _Interruption | None) -> Interruption:
    return NOT_INTERRUPTED if said is None else Interruption(said.reason, said.in_a_row)


@lru_cache(CACHED)
def _encode_constraints(constraints: Constraints) -> Raw:
    """Encode the fields that differ from their defaults."""
    written = constraint_json.write(constraints)
    said = {
        key: [_saying(each) for each in field] if isinstance(field, list) else field
        for key, field in written.items()
        if field
    }
    return Raw(text_of(said).encode()) if said else _NOTHING


def _saying(term: Mapping[str, Any]) -> dict[str, Any]:
    return {key: field for key, field in term.items() if field}


@lru_cache(CACHED)
def _decode_constraints(raw: bytes) -> Constraints:
    try:
        asked = typed({"Constraints": json.loads(raw)}, "Constraints", dict, {})
        return constraint_json.read(asked)
    except RecursionError as error:
        raise ValueError("Constraints are nested too deeply") from error
    except Faulty as fault:
        raise ValueError(fault.told("Constraints")) from None


# -- field by field --------------------------------------------------------------------------------


def _fields_of(kind: type[Struct]) -> list[inspect.Field]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return list(info.fields)


_FIELDS = _fields_of(_Stored)
_KEYS = frozenset(field.encode_name for field in _FIELDS)


def _read_by_field(value: dict[str, Any]) -> _Stored:
    """Read a value that msgspec refuses. Raises ValueError."""
    value["State"] = value.get("State") or None
    if not typed(value, "AssignedNode", str, ""):
        value["Incarnation"] = None  # without a node it has no meaning
    return _Foreign(**_given(_FIELDS, value))


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
            return {_shard(key, each, least, most): _struct(_Counts, found, each) for each in found}
        case inspect.DictType(value_type=inspect.StrType()):
            return labels(typed(value, key, dict, {}))
        case inspect.RawType():
            return Raw(text_of(typed(value, key, dict, {})).encode())
    return typed(value, key, _PLAIN[type(kind)], None)


def _struct(kind: type[Struct], value: Mapping[str, Any], key: str) -> Any:
    return kind(**_given(_fields_of(kind), typed(value, key, dict, {})))


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
