"""A channel to one member of etcd: its options, its certificates, and the stubs of etcd's
services."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import gevent
import grpc
from pyetcd.etcdrpc import rpc_pb2_grpc

from crawler.coordination.etcd.failures import Stuck
from crawler.settings import tls_files
from crawler.settings.sections import EtcdSettings
from crawler.supervision import run_aside

CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),  # etcd disconnects who pings more often than each 5 s
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.ping_timeout_ms", 2_000),
)

GRACE_S = 1.0
"""How many seconds longer than gRPC's own deadline a call may take before it is abandoned."""

Metadata = Sequence[tuple[str, str]]
"""The metadata of a call: the token of the user, if there is one."""

Call = Callable[..., Any]
"""One method of a stub."""


class Tls(tls_files.Pem):
    """What TLS to etcd needs."""

    __slots__ = ()

    def credentials(self) -> grpc.ChannelCredentials:
        """Return the credentials of a channel."""
        return grpc.ssl_channel_credentials(self.ca, self.key or None, self.cert or None)


class Connection:
    """A channel to one endpoint, with its stubs. The first call opens it.

    Even an unused channel occupies threads. A process that ends because of bad settings must not
    have any.
    """

    def __init__(self, endpoint: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self.endpoint = endpoint
        self._credentials = credentials
        self._channel: grpc.Channel | None = None
        self._closed = False

    @cached_property
    def kv(self) -> Any:
        """Keys, ranges, transactions."""
        return rpc_pb2_grpc.KVStub(self._opened())

    @cached_property
    def maintenance(self) -> Any:
        """The state of the member itself."""
        return rpc_pb2_grpc.MaintenanceStub(self._opened())

    @cached_property
    def lease(self) -> Any:
        """Leases."""
        return rpc_pb2_grpc.LeaseStub(self._opened())

    @cached_property
    def auth(self) -> Any:
        """Users and their tokens."""
        return rpc_pb2_grpc.AuthStub(self._opened())

    def keepalive(self, request: Any, timeout: float, metadata: Metadata) -> Any:
        """Renew a lease. etcd does that over a stream; this sends one question and reads one
        answer."""
        stream = self.lease.LeaseKeepAlive(iter([request]), timeout=timeout, metadata=metadata)
        try:
            return next(stream)
        finally:
            stream.cancel()

    def watch(self, requests: Iterator[Any], metadata: Metadata) -> Any:
        """Open a stream of answers to these requests."""
        # hasleader: a member that is cut off from its cluster ends the stream. Otherwise it stays
        # silent.
        together = (*metadata, ("hasleader", "true"))
        return self._watches.Watch(requests, metadata=together)

    def close(self) -> None:
        """Close the channel. Calls in flight end as cancelled, later calls raise ValueError."""
        self._closed = True
        if self._channel is not None:
            run_aside(f"close {self.endpoint}", self._channel.close)

    @cached_property
    def _watches(self) -> Any:
        return rpc_pb2_grpc.WatchStub(self._opened())

    def _opened(self) -> grpc.Channel:
        if self._closed:
            raise ValueError("the connection was closed")
        if self._channel is None:
            self._channel = self._made()
        return self._channel

    def _made(self) -> grpc.Channel:
        if self._credentials is None:
            return grpc.insecure_channel(self.endpoint, options=CHANNEL_OPTIONS)
        return grpc.secure_channel(self.endpoint, self._credentials, options=CHANNEL_OPTIONS)


def ask(method: Call, request: Any, timeout_s: float, metadata: Metadata) -> Any:
    """Make one call and return its answer. Raises what `etcd.failures.FAILURES` lists."""
    # Under gevent a deadline inside gRPC may not fire while there are too few native threads.
    with gevent.Timeout(timeout_s + GRACE_S, Stuck):
        return method(request, timeout=timeout_s, metadata=metadata)


def read_tls(settings: EtcdSettings, folder: str) -> Tls | None:
    """Read what TLS needs; None without TLS. Relative paths start at the folder.

    Raises ConfigError that names the setting, the file, and what to do.
    """
    if not settings.ca:
        return None
    read = tls_files.read("etcd", settings, folder)
    return Tls(read.ca, read.cert, read.key)
