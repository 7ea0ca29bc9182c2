"""etcd's messages and the store's values, one made from the other; nothing here talks to etcd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyetcd.etcdrpc import kv_pb2, rpc_pb2

from crawler.coordination.store import (
    Batch,
    Compare,
    Delete,
    Event,
    Field,
    KeyValue,
    Operation,
    Put,
)

_DELETE = kv_pb2.Event.DELETE
_LESS, _EQUAL = rpc_pb2.Compare.LESS, rpc_pb2.Compare.EQUAL
_CREATE, _MOD = rpc_pb2.Compare.CREATE, rpc_pb2.Compare.MOD


def prefix_end(prefix: str) -> bytes:
    """The first key after all that start with the prefix, as etcd's ranges want it."""
    raw = bytearray(prefix.encode())
    raw[-1] += 1  # keys are UTF-8, whose bytes never reach 255
    return bytes(raw)


def key_value(kv: Any) -> KeyValue:
    key = kv.key.decode(errors="surrogateescape")
    return KeyValue(key, kv.value, kv.create_revision, kv.mod_revision, kv.lease)


def batch(events: Sequence[Any]) -> Batch:
    """The header's revision is no measure of what was seen: while etcd sends a long history in
    parts, it is the store's present one in each of them."""
    made = [_event(each) for each in events]
    return Batch(made, made[-1].revision)


def _event(event: Any) -> Event:
    kv = event.kv
    current = key_value(kv)
    previous = key_value(event.prev_kv) if event.HasField("prev_kv") else None
    deleted = event.type == _DELETE
    return Event(current.key, None if deleted else current, previous, current.mod_revision)


def transaction(
    compares: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation]
) -> Any:
    """Filled in place: each part made by itself and copied costs three times as much."""
    made = rpc_pb2.TxnRequest()
    for compare in compares:
        _fill_compare(made.compare.add(), compare)
    for operation in success:
        _fill_operation(made.success.add(), operation)
    for operation in failure:
        _fill_operation(made.failure.add(), operation)
    return made


def _fill_compare(made: Any, compare: Compare) -> None:
    # etcd knows <, = and >; at most n is less than n + 1.
    made.result = _LESS if compare.at_most else _EQUAL
    revision = compare.revision + 1 if compare.at_most else compare.revision
    made.key = compare.key.encode()
    if compare.prefix:
        made.range_end = prefix_end(compare.key)
    if compare.field is Field.CREATE_REVISION:
        made.target = _CREATE
        made.create_revision = revision
    else:
        made.target = _MOD
        made.mod_revision = revision


def _fill_operation(made: Any, operation: Operation) -> None:
    key = operation.key.encode()
    if isinstance(operation, Put):
        put = made.request_put
        put.key = key
        put.value = operation.value
        put.lease = operation.lease
    elif isinstance(operation, Delete):
        made.request_delete_range.key = key
    else:
        made.request_range.key = key
