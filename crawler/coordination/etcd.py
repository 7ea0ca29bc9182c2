"""The store's contract on etcd v3, through the generated gRPC stubs of etcd-sdk-python.

The one file that knows etcd's API and translates its errors. It holds one channel at a time (gRPC
keeps a native thread busy for each channel with calls in flight), to one of the endpoints; when
that one does not answer, the next call goes to the next. It repeats no call by itself.

Under the same package's higher-level client one connection error bars an endpoint for five minutes
and a broken watch ends unseen; see docs/decisions/0001-etcd-client.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import gevent
import grpc
from gevent.event import Event as Signal
from pyetcd.etcdrpc import rpc_pb2, rpc_pb2_grpc

from crawler.coordination import wire
from crawler.coordination.renewer import EtcdRenewer
from crawler.coordination.store import (
    Batch,
    Compare,
    KeyValue,
    Operation,
    Range,
    TxnResult,
)
from crawler.errors import (
    Compacted,
    CrawlerError,
    LeaseLost,
    OutcomeUnknown,
    Overloaded,
    StoreRefused,
    Unavailable,
)
from crawler.logs import get_logger

log = get_logger(__name__)

PAGE = 5000
"""Keys in one answer to a range; further pages are read at the revision of the first."""

CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),  # etcd drops who pings more often than each 5 s
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
)

MISSES_TO_RECONNECT = 2
"""After so many deadlines missed in a row the connection to the only endpoint is given up: a frozen
server keeps it open, and its watches would stay silent for ever. With several endpoints one miss is
enough: a second would cost the lease, which has no time for two."""

GRACE_S = 1.0
"""How much longer than gRPC's own deadline a call may take before it is abandoned from outside."""


class EtcdStore:
    """A connection to an etcd cluster."""

    def __init__(self, endpoints: Sequence[str], timeout_s: float = 3.0) -> None:
        self._endpoints = list(endpoints)
        self._most_misses = MISSES_TO_RECONNECT if len(self._endpoints) == 1 else 1
        self._timeout_s = timeout_s
        self._turn = 0
        self._misses = 0
        self._closed = False
        self._connection = _Connection(self._endpoints[0])

    def get(self, key: str) -> KeyValue | None:
        """The key as it stands now, or None."""
        answer = self._read(lambda c: c.kv.Range, rpc_pb2.RangeRequest(key=key.encode()))
        return wire.key_value(answer.kvs[0]) if answer.kvs else None

    def range(self, prefix: str, revision: int = 0) -> Range:
        """All keys below the prefix at one revision, read in pages."""
        start, end = prefix.encode(), wire.prefix_end(prefix)
        items: list[KeyValue] = []
        while True:
            request = rpc_pb2.RangeRequest(key=start, range_end=end, revision=revision, limit=PAGE)
            answer = self._read(lambda c: c.kv.Range, request)
            revision = revision or answer.header.revision
            items.extend(wire.key_value(kv) for kv in answer.kvs)
            if not answer.more:
                return Range(items, revision)
            start = answer.kvs[-1].key + b"\0"

    def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
    ) -> TxnResult:
        """Carry out one of the two lists."""
        request = rpc_pb2.TxnRequest(
            compare=[wire.compare(compare) for compare in compares],
            success=[wire.operation(operation) for operation in success],
            failure=[wire.operation(operation) for operation in failure],
        )
        answer = self._call(lambda c: c.kv.Txn, request, write=True)
        ranges = [r.response_range for r in answer.responses if r.HasField("response_range")]
        gets = [wire.key_value(found.kvs[0]) if found.kvs else None for found in ranges]
        return TxnResult(answer.succeeded, answer.header.revision, gets)

    def lease_grant(self, ttl_s: int) -> tuple[int, int]:
        """A new lease and its granted time to live."""
        request = rpc_pb2.LeaseGrantRequest(TTL=ttl_s)
        answer = self._call(lambda c: c.lease.LeaseGrant, request, write=True)
        return answer.ID, answer.TTL

    def lease_keepalive(self, lease: int, timeout_s: float) -> int:
        """Renew a lease; etcd answers a time to live of 0 for one that is gone."""
        request = rpc_pb2.LeaseKeepAliveRequest(ID=lease)
        answer = self._call(_keepalive, request, timeout_s=timeout_s)
        if answer.TTL <= 0:
            raise LeaseLost(f"lease {lease:x} has expired")
        return int(answer.TTL)

    def renewer(self) -> EtcdRenewer:
        """A connection of its own that needs no hub."""
        return EtcdRenewer(self._endpoints)

    def lease_revoke(self, lease: int) -> None:
        """End a lease, which deletes its keys."""
        request = rpc_pb2.LeaseRevokeRequest(ID=lease)
        try:
            self._call(lambda c: c.lease.LeaseRevoke, request, write=True)
        except LeaseLost:
            return

    def watch(self, prefix: str, revision: int, *, exact: bool = False) -> _EtcdWatch:
        """All changes from that revision on."""
        end = b"" if exact else wire.prefix_end(prefix)
        create = rpc_pb2.WatchCreateRequest(
            key=prefix.encode(), range_end=end, start_revision=revision, prev_kv=True
        )
        return _EtcdWatch(self._connection, rpc_pb2.WatchRequest(create_request=create))

    def close(self) -> None:
        """Close the channel; calls and watches under way end with an error."""
        self._closed = True
        self._connection.close()

    def _read(self, method: _Method, request: Any) -> Any:
        return self._call(method, request)

    def _call(
        self, method: _Method, request: Any, *, write: bool = False, timeout_s: float = 0.0
    ) -> Any:
        connection = self._connection
        timeout_s = timeout_s or self._timeout_s
        try:
            # Under gevent a deadline inside gRPC may not fire while native threads are short.
            with gevent.Timeout(timeout_s + GRACE_S, _Stuck):
                answer = method(connection)(request, timeout=timeout_s)
        except (grpc.RpcError, _Stuck, ValueError) as error:
            raise self._failed(connection, error, write) from error
        self._misses = 0
        return answer

    def _failed(self, connection: _Connection, error: Exception, write: bool) -> CrawlerError:
        """Judge the connection by the error, and translate it."""
        if connection is self._connection and not self._closed:
            code = error.code() if isinstance(error, grpc.RpcError) else None
            if code in (None, grpc.StatusCode.DEADLINE_EXCEEDED):
                self._misses += 1
            if code is grpc.StatusCode.UNAVAILABLE or self._misses >= self._most_misses:
                self._reconnect(connection, missed=code is not grpc.StatusCode.UNAVAILABLE)
        return _translated(error, connection.endpoint, write)

    def _reconnect(self, failed: _Connection, missed: bool) -> None:
        """Turn to the next endpoint; with one only, gRPC itself reconnects a broken connection."""
        if len(self._endpoints) == 1 and not missed:
            return
        self._misses = 0
        self._turn += 1
        endpoint = self._endpoints[self._turn % len(self._endpoints)]
        log.warning("etcd does not answer, reconnecting", endpoint=failed.endpoint, next=endpoint)
        self._connection = _Connection(endpoint)
        failed.close()


class _Stuck(Exception):
    """A call that did not end within its deadline."""


class _Connection:
    """A channel to one endpoint with its stubs, opened by the first call.

    A channel that nobody used still holds threads: a process that ends on bad settings must not
    have one.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._channel: grpc.Channel | None = None
        self._closed = False

    @cached_property
    def kv(self) -> Any:
        """Keys, ranges, transactions."""
        return rpc_pb2_grpc.KVStub(self._opened())

    @cached_property
    def lease(self) -> Any:
        """Leases."""
        return rpc_pb2_grpc.LeaseStub(self._opened())

    @cached_property
    def watch(self) -> Any:
        """Watches."""
        return rpc_pb2_grpc.WatchStub(self._opened())

    def close(self) -> None:
        """Close the channel; what is in flight ends as cancelled, later calls raise ValueError."""
        self._closed = True
        if self._channel is not None:
            self._channel.close()

    def _opened(self) -> grpc.Channel:
        if self._closed:
            raise ValueError("the connection was closed")
        if self._channel is None:
            self._channel = grpc.insecure_channel(self.endpoint, options=CHANNEL_OPTIONS)
        return self._channel


_REFUSALS = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
)
"""Statuses with which etcd says that it surely did nothing, and will not do it if asked again."""

_Method = Callable[[_Connection], Callable[..., Any]]


def _keepalive(connection: _Connection) -> Callable[..., Any]:
    """etcd renews leases over a stream; this is one question and one answer on it."""

    def call(request: Any, timeout: float) -> Any:
        stream = connection.lease.LeaseKeepAlive(iter([request]), timeout=timeout)
        try:
            return next(stream)
        finally:
            stream.cancel()

    return call


class _EtcdWatch:
    """One watch on a stream of its own."""

    def __init__(self, connection: _Connection, request: Any) -> None:
        self._request = request
        self._closing = Signal()
        self._closed = False
        self._endpoint = connection.endpoint
        # hasleader: a member cut off from its cluster ends the stream instead of staying silent.
        try:
            self._stream = connection.watch.Watch(
                self._requests(), metadata=(("hasleader", "true"),)
            )
        except ValueError as error:  # the channel was closed meanwhile
            raise Unavailable(f"the connection to etcd at {self._endpoint} is closed") from error

    def close(self) -> None:
        """Cancel the stream."""
        self._closed = True
        self._closing.set()
        self._stream.cancel()

    def __iter__(self) -> Iterator[Batch]:
        try:
            for answer in self._stream:
                if answer.compact_revision:
                    raise Compacted(answer.compact_revision)
                if answer.canceled:
                    raise Unavailable(f"etcd ended the watch: {answer.cancel_reason}")
                if answer.events:
                    yield wire.batch(answer.events)
        except grpc.RpcError as error:
            if not self._closed:
                raise _translated(error, self._endpoint, False) from error
            return
        finally:
            self.close()
        raise Unavailable("etcd ended the stream of the watch")

    def _requests(self) -> Iterator[Any]:
        """The stream stays open as long as its side of requests does."""
        yield self._request
        self._closing.wait()


def _translated(error: Exception, endpoint: str, write: bool) -> CrawlerError:
    if isinstance(error, ValueError):
        return Unavailable(f"the connection to etcd at {endpoint} was closed")
    if not isinstance(error, grpc.RpcError):
        return _silent(f"etcd at {endpoint}: no answer within the deadline", write)
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.NOT_FOUND and "lease" in details:
        return LeaseLost(f"etcd: {details}")
    if code is grpc.StatusCode.OUT_OF_RANGE and "compacted" in details:
        return Compacted(0)
    surely_not_sent = "failed to connect" in details or "connections to all backends" in details
    message = f"etcd at {endpoint}: {code.name}: {details}"
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Overloaded(message)
    if code in _REFUSALS:
        return StoreRefused(message)
    return _silent(message, write and not surely_not_sent)


def _silent(message: str, write: bool) -> CrawlerError:
    return OutcomeUnknown(message) if write else Unavailable(message)
