"""etcd's messages and the store's values, one made from the other; nothing here talks to etcd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyetcd.etcdrpc import rpc_pb2

from crawler.coordination.store import (
    Batch,
    Compare,
    Delete,
    Event,
    Field,
    Get,
    KeyValue,
    Operation,
    Put,
)


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
    deleted = event.type == event.DELETE
    current = None if deleted else key_value(event.kv)
    previous = key_value(event.prev_kv) if event.prev_kv.key else None
    key = event.kv.key.decode(errors="surrogateescape")
    return Event(key, current, previous, event.kv.mod_revision)


def compare(compare: Compare) -> Any:
    # etcd knows <, = and >; at most n is less than n + 1.
    result = rpc_pb2.Compare.LESS if compare.at_most else rpc_pb2.Compare.EQUAL
    revision = compare.revision + 1 if compare.at_most else compare.revision
    made = rpc_pb2.Compare(key=compare.key.encode(), result=result)
    if compare.prefix:
        made.range_end = prefix_end(compare.key)
    if compare.field is Field.CREATE_REVISION:
        made.target = rpc_pb2.Compare.CREATE
        made.create_revision = revision
    else:
        made.target = rpc_pb2.Compare.MOD
        made.mod_revision = revision
    return made


def operation(operation: Operation) -> Any:
    key = operation.key.encode()
    if isinstance(operation, Put):
        put = rpc_pb2.PutRequest(key=key, value=operation.value, lease=operation.lease)
        return rpc_pb2.RequestOp(request_put=put)
    if isinstance(operation, Delete):
        delete = rpc_pb2.DeleteRangeRequest(key=key)
        return rpc_pb2.RequestOp(request_delete_range=delete)
    assert isinstance(operation, Get)
    return rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=key))
