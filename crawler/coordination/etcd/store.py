"""The store on etcd v3, through the generated gRPC stubs of etcd-sdk-python.

This module knows etcd's messages. `etcd.client` knows how calls reach a member, and `etcd.failures`
what etcd's errors mean.

The higher-level client of the same package does not fit: one connection error bars an endpoint for
five minutes, and a broken watch ends unnoticed. See docs/decisions/0001-etcd-client.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from pyetcd.etcdrpc import rpc_pb2

from crawler.coordination.etcd import wire
from crawler.coordination.etcd.client import Counts, EtcdClient, Method
from crawler.coordination.etcd.connection import Tls, read_tls
from crawler.coordination.etcd.renewer import EtcdRenewer
from crawler.coordination.etcd.watch import EtcdWatch
from crawler.coordination.store import Compare, Get, KeyValue, Operation, Put, Range, TxnResult
from crawler.errors import LeaseLost
from crawler.logs import get_logger
from crawler.settings.sections import EtcdSettings

log = get_logger(__name__)

PAGE = 5000
"""How many keys one answer to a range has. Further pages are read at the revision of the first."""


class EtcdStore:
    """The store on an etcd cluster."""

    def __init__(
        self,
        endpoints: Sequence[str],
        timeout_s: float = 3.0,
        *,
        silence_s: float = 10.0,
        tls: Tls | None = None,
        user: str = "",
        password: str = "",
    ) -> None:
        """The first endpoint is asked first. `silence_s` is how long a watch may receive
        nothing."""
        self._client = EtcdClient(endpoints, timeout_s, tls, user, password)
        # A function, because its repr does not show its arguments.
        self._new_renewer: Callable[[], EtcdRenewer] = lambda: EtcdRenewer(
            endpoints, tls, user, password
        )
        self._silence_s = silence_s
        self._revision = 0

    @classmethod
    def open(cls, settings: EtcdSettings, folder: str, silence_s: float) -> EtcdStore:
        """Make a store from the settings. The first call connects. Raises ConfigError.

        Each process begins with another endpoint, so that all members share the work.
        """
        return cls(
            random.sample(list(settings.endpoints), len(settings.endpoints)),
            settings.timeout_s,
            silence_s=silence_s,
            tls=read_tls(settings, folder),
            user=settings.user,
            password=settings.password,
        )

    def version(self) -> str:
        """Return the version of the member that answers. Raises Retryable, StoreRefused."""
        status = self._client.call(lambda c: c.maintenance.Status, rpc_pb2.StatusRequest())
        return str(status.version)

    @property
    def counts(self) -> Counts:
        """Calls, watches and reconnects, for gauges."""
        return self._client.counts

    @property
    def endpoint(self) -> str:
        """The host:port of the member to which the next call goes."""
        return self._client.endpoint

    @property
    def logins(self) -> int:
        """How often the user signed in."""
        return self._client.logins

    def get(self, key: str) -> KeyValue | None:
        """Return the key as it is now, or None."""
        answer = self._kv(lambda c: c.kv.Range, rpc_pb2.RangeRequest(key=key.encode()))
        return wire.key_value(answer.kvs[0]) if answer.kvs else None

    def range(self, prefix: str, revision: int = 0) -> Range:
        """Return all keys below the prefix at one revision. Reads in pages."""
        start, end = prefix.encode(), wire.prefix_end(prefix)
        items: list[KeyValue] = []
        while True:
            request = rpc_pb2.RangeRequest(key=start, range_end=end, revision=revision, limit=PAGE)
            answer = self._kv(lambda c: c.kv.Range, request)
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
        request = wire.transaction(compares, success, failure)
        spends = any(isinstance(operation, Put) for operation in (*success, *failure))
        answer = self._kv(lambda c: c.kv.Txn, request, write=True, spends=spends)
        carried_out = success if answer.succeeded else failure
        gets = wire.found(answer) if any(isinstance(each, Get) for each in carried_out) else ()
        return TxnResult(answer.succeeded, answer.header.revision, gets)

    def lease_grant(self, ttl_s: int) -> tuple[int, int]:
        """Return a new lease and its granted time to live, in seconds."""
        request = rpc_pb2.LeaseGrantRequest(TTL=ttl_s)
        answer = self._client.call(lambda c: c.lease.LeaseGrant, request, write=True, spends=True)
        return answer.ID, answer.TTL

    def lease_keepalive(self, lease: int, timeout_s: float) -> int:
        """Renew a lease. etcd answers with a time to live of 0 if the lease has ended."""
        request = rpc_pb2.LeaseKeepAliveRequest(ID=lease)
        answer = self._client.renew(request, timeout_s)
        if answer.TTL <= 0:
            raise LeaseLost(f"lease {lease:x} has expired")
        return int(answer.TTL)

    def renewer(self) -> EtcdRenewer:
        """Return a renewer with its own connection, which does not need the hub."""
        return self._new_renewer()

    def lease_revoke(self, lease: int) -> None:
        """End a lease, which deletes its keys."""
        request = rpc_pb2.LeaseRevokeRequest(ID=lease)
        try:
            self._client.call(lambda c: c.lease.LeaseRevoke, request, write=True)
        except LeaseLost:
            return

    def watch(
        self, prefix: str, revision: int, *, exact: bool = False, previous: bool = False
    ) -> EtcdWatch:
        """Watch all changes from that revision on."""
        end = b"" if exact else wire.prefix_end(prefix)
        # Watch from one revision earlier: if that one was compacted away, etcd says so. If it is
        # asked for exactly the revision of the compaction, it serves the watch without the deletes
        # of that revision.
        start = revision - 1 if revision > 1 else revision
        create = rpc_pb2.WatchCreateRequest(
            key=prefix.encode(), range_end=end, start_revision=start, prev_kv=previous
        )
        return EtcdWatch(self._client, create, revision, self._silence_s)

    def close(self) -> None:
        """Close the channel. Calls and watches in flight end with an error."""
        self._client.close()

    def _kv(
        self, method: Method, request: Any, *, write: bool = False, spends: bool = False
    ) -> Any:
        """Return a linearizable answer, and check that its revision is not lower than in earlier
        answers."""
        seen = self._revision
        answer = self._client.call(method, request, write=write, spends=spends)
        revision = answer.header.revision
        if revision < seen:
            self._went_back(seen, revision)
        elif revision > self._revision:
            self._revision = revision
        return answer

    def _went_back(self, seen: int, revision: int) -> None:
        """Log it once. If several calls are in flight together, the first one logs it."""
        if self._revision >= seen:
            self._revision = revision
            log.error(
                "etcd's revision went back, as after a restore: restart every node of the crawler",
                seen=seen,
                revision=revision,
            )
