"""Reads and writes resources in etcd, in the format that other programs share.

msgspec reads and writes with the description in `stored.py`. If msgspec refuses a value, the value
is read again field by field, with the same description (`by_field.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from crawler.coordination.by_field import read_by_field
from crawler.coordination.fields import bounded, load_object, text_of, typed
from crawler.coordination.keys import Keys
from crawler.coordination.store import KeyValue
from crawler.coordination.stored import (
    KEYS,
    NOTHING,
    ForeignStored,
    Stored,
    StoredBlame,
    StoredCounts,
    StoredInterruption,
    StoredPause,
)
from crawler.model.constraints import NONE, Constraints
from crawler.model.records import (
    NO_BLAME,
    NO_COUNTS,
    NO_SHARD_COUNTS,
    NOT_INTERRUPTED,
    NOT_PAUSED,
    Blame,
    Counts,
    Interruption,
    Owner,
    Pause,
    Resource,
    Spec,
    State,
    shared_owner,
)
from crawler.model.shards import shard_name
from crawler.schemas import constraint_json
from crawler.schemas.readers import Faulty

CACHED = 4096
"""How many constraints are kept in both forms, because many tasks have the same."""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Stored)
_FOREIGN_DECODER = msgspec.json.Decoder(ForeignStored)
_PARTS_DECODER = msgspec.json.Decoder(dict[str, Raw])


def encode_resource(resource: Resource, term: int = 0) -> bytes:
    """Encode a resource. The fields of other programs go to its end.

    `term` is the term of the leader that writes it, and replaces that of the earlier writer.
    """
    spec, owner, counts = resource.spec, resource.owner, resource.counts
    stored = Stored(
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
        NOTHING if spec.constraints is NONE else _encode_constraints(spec.constraints),
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
        _encode_pause(resource.paused),
        resource.stopped,
        resource.run,
        spec.project,
        spec.bundle,
        resource.digest,
        resource.trace,
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
    owner = _owner_of(stored)
    return Resource(
        _spec_of(name, stored),
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
        _decode_pause(stored.paused),
        stored.stopped,
        stored.run,
        stored.digest,
        stored.trace,
        foreign,
        mod_revision,
    )


def _spec_of(name: str, stored: Stored) -> Spec:
    asked = stored.constraints
    return Spec(
        name,
        stored.spider,
        stored.parameters,
        stored.labels,
        stored.priority,
        NONE if asked is NOTHING else _decode_constraints(bytes(asked)),
        stored.retries,
        stored.workers,
        stored.shard,
        stored.shard_of,
        stored.isolated,
        stored.project,
        stored.bundle,
    )


def _check_shard(name: str, stored: Stored) -> None:
    """Check that a shard has the name that its task gives it. Raises ValueError."""
    task, number = stored.shard_of, stored.shard
    if bool(task) is not bool(number) or (number and name != shard_name(task, number)):
        raise ValueError(
            f"ShardOf is {task!r:.80} and Shard is {number}, but the key says {name!r:.80}"
        )


def _read(raw: bytes) -> tuple[Stored, Mapping[str, bytes]]:
    """Return the fields of this program, and the JSON of those of other programs."""
    try:
        return _DECODER.decode(raw), {}
    except (msgspec.MsgspecError, RecursionError):
        parts = _parts(raw)
    foreign = {key: part for key, part in parts.items() if key not in KEYS}
    try:
        return _FOREIGN_DECODER.decode(raw), foreign
    except (msgspec.MsgspecError, RecursionError):
        ours = {key: part for key, part in parts.items() if key in KEYS}
        return read_by_field(load_object(b"{%s}" % _fields(ours))), foreign


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


def _owner_of(stored: Stored) -> Owner | None:
    if not stored.assigned_node:
        return None
    node_id, _, address = stored.assigned_node.partition("|")
    return shared_owner(node_id, address, stored.incarnation)


def _as_given(parameters: Mapping[str, Any]) -> Any:
    """Encode parameters with Python's own JSON, because msgspec writes large numbers
    differently."""
    return Raw(text_of(parameters).encode())


def _encode_counts(counts: Counts) -> StoredCounts:
    return StoredCounts(counts.pages, counts.items, counts.failures, round(counts.seconds, 3))


def _decode_counts(counts: StoredCounts) -> Counts:
    return Counts(counts.pages, counts.items, counts.failures, counts.seconds)


def _encode_blame(blame: Blame) -> StoredBlame | None:
    if blame == NO_BLAME:
        return None
    return StoredBlame(blame.lives, blame.parkings, blame.until, blame.processes)


def _decode_blame(blame: StoredBlame) -> Blame:
    return Blame(blame.lives, blame.parkings, blame.until, blame.processes)


def _encode_interruption(said: Interruption) -> StoredInterruption | None:
    return (
        None
        if said is NOT_INTERRUPTED or said == NOT_INTERRUPTED
        else StoredInterruption(said.reason, said.in_a_row)
    )


def _decode_interruption(said: StoredInterruption | None) -> Interruption:
    return NOT_INTERRUPTED if said is None else Interruption(said.reason, said.in_a_row)


def _encode_pause(pause: Pause) -> StoredPause | None:
    return None if pause == NOT_PAUSED else StoredPause(pause.reason, pause.node)


def _decode_pause(pause: StoredPause | None) -> Pause:
    return NOT_PAUSED if pause is None else Pause(pause.reason, pause.node)


@lru_cache(CACHED)
def _encode_constraints(constraints: Constraints) -> Raw:
    """Encode the fields that differ from their defaults."""
    written = constraint_json.write(constraints)
    said = {
        key: [_saying(each) for each in field] if isinstance(field, list) else field
        for key, field in written.items()
        if field
    }
    return Raw(text_of(said).encode()) if said else NOTHING


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
