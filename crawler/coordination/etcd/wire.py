"""Converts between etcd's messages and the store's values. It does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

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
_LESS = rpc_pb2.Compare.LESS
_CREATE, _MOD = rpc_pb2.Compare.CREATE, rpc_pb2.Compare.MOD
_BY_MOD = Field.MOD_REVISION


def prefix_end(prefix: str) -> bytes:
    """Return the first key after all keys that start with the prefix, as etcd's ranges need it."""
    raw = bytearray(prefix.encode())
    raw[-1] += 1  # keys are UTF-8, whose bytes never reach 255
    return bytes(raw)


def key_value(kv: Any) -> KeyValue:
    key = kv.key.decode(errors="surrogateescape")
    return KeyValue(key, kv.value, kv.create_revision, kv.mod_revision, kv.lease)


def found(answer: Any) -> list[KeyValue | None]:
    """Return what the reads of a transaction found, in their order."""
    ranges = [each.response_range for each in answer.responses if each.HasField("response_range")]
    return [key_value(range.kvs[0]) if range.kvs else None for range in ranges]


def batch(events: Sequence[Any]) -> Batch:
    """Make a batch of the events.

    The header's revision does not say what was seen: while etcd sends a long history in parts, each
    part has the store's present revision.
    """
    return Batch(_Events(events), events[-1].kv.mod_revision)


class _Events(Sequence[Event]):
    """Decodes each event when it is asked for. A reader that knows the content of a batch decodes
    none."""

    def __init__(self, raw: Sequence[Any]) -> None:
        self._raw = raw

    def __len__(self) -> int:
        return len(self._raw)

    @overload
    def __getitem__(self, index: int) -> Event: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...

    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        if isinstance(index, slice):
            return _Events(self._raw[index])
        return _event(self._raw[index])

    def __iter__(self) -> Iterator[Event]:
        return map(_event, self._raw)


def _event(event: Any) -> Event:
    kv = event.kv
    current = key_value(kv)
    previous = key_value(event.prev_kv) if event.HasField("prev_kv") else None
    deleted = event.type == _DELETE
    return Event(current.key, None if deleted else current, previous, current.mod_revision)


def transaction(
    compares: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation]
) -> Any:
    """Make the request of a transaction, filled in place: to make each part by itself and copy it
    costs three times as much."""
    made = rpc_pb2.TxnRequest()
    _fill_compares(made.compare.add, compares)
    _fill_operations(made.success.add, success)
    _fill_operations(made.failure.add, failure)
    return made


def _fill_compares(add: Callable[[], Any], compares: Sequence[Compare]) -> None:
    """Fill in the comparisons. What is not set is 0, which means EQUAL for the result."""
    for key, field, revision, at_most, prefix in compares:
        made = add()
        made.key = key.encode()
        if at_most:  # etcd knows <, = and >; "at most n" is "less than n + 1"
            made.result = _LESS
            revision += 1
        if prefix:
            made.range_end = prefix_end(key)
        if field is _BY_MOD:
            made.target = _MOD
            made.mod_revision = revision
        else:
            made.target = _CREATE
            made.create_revision = revision


def _fill_operations(add: Callable[[], Any], operations: Sequence[Operation]) -> None:
    for operation in operations:
        made, key = add(), operation.key.encode()
        if isinstance(operation, Put):
            put = made.request_put
            put.key = key
            put.value = operation.value
            if operation.lease:
                put.lease = operation.lease
        elif isinstance(operation, Delete):
            made.request_delete_range.key = key
        else:
            made.request_range.key = key
