"""Makes calls to an etcd of several members: it chooses the member, limits time and number of the
calls, and signs them.

It has one channel at a time, because gRPC keeps a native thread busy for each channel with calls in
flight. If a member does not answer, the next call goes to the next endpoint. It repeats a call only
if etcd refused it because the user's token had expired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from gevent.lock import BoundedSemaphore

from crawler.clock import SystemClock
from crawler.coordination.etcd.connection import GRACE_S, Call, Connection, Metadata, Tls, ask
from crawler.coordination.etcd.failures import FAILURES, StaleToken, code_of, translated
from crawler.coordination.etcd.login import Login
from crawler.coordination.etcd.patience import Lag
from crawler.errors import CrawlerError, Overloaded, StoreFull, StoreRefused
from crawler.logs import get_logger

log = get_logger(__name__)

MISSES_TO_RECONNECT = 2
"""After this many missed deadlines in a row the client gives up the connection to the only
endpoint: a frozen server keeps it open, and its watches would stay silent for ever. With several
endpoints one missed deadline is enough: a second would cost the lease, which has no time for
two."""

MOST_CALLS = 256
"""How many calls may be in flight. Others wait until one ends. Renewals of leases never wait."""

_LEAST_S = 0.01

Method = Callable[[Connection], Call]
"""Returns a method of a connection's stubs."""


@dataclass(slots=True)
class Counts:
    """Statistics of a connection to etcd. Gauges may read them at any time."""

    calls: int = 0
    """Calls in flight now, including renewals of leases."""
    watches: int = 0
    """Watches open now."""
    reconnects: int = 0
    """How often a new connection replaced the old one."""
    misses: int = 0
    """How many deadlines passed without an answer."""
    silent_watches: int = 0
    """How many watches were given up because etcd sent nothing."""
    progress: int = 0
    """How many signs of life idle watches received."""


@dataclass(frozen=True, slots=True)
class Stream:
    """The stream of a watch, with what it was opened with."""

    connection: Connection
    metadata: Metadata
    answers: Any


class EtcdClient:
    """A connection to an etcd cluster, in etcd's own messages."""

    def __init__(
        self,
        endpoints: Sequence[str],
        timeout_s: float,
        tls: Tls | None = None,
        user: str = "",
        password: str = "",
    ) -> None:
        self.counts = Counts()
        self.lag = Lag()
        """The lateness of the hub, as the watches measure it. While it is late, calls get more
        time."""
        self._endpoints = list(endpoints)
        self._credentials = tls.credentials() if tls is not None else None
        self._most_misses = MISSES_TO_RECONNECT if len(self._endpoints) == 1 else 1
        self._timeout_s = timeout_s
        self._clock = SystemClock()  # gRPC uses no other time
        self._login = Login(user, password, self._clock) if user else None
        self._room = BoundedSemaphore(MOST_CALLS)
        self._turn = 0
        self._misses = 0
        self._full = False
        self._closed = False
        self._connection = Connection(self._endpoints[0], self._credentials)

    @property
    def endpoint(self) -> str:
        """The endpoint of the next call."""
        return self._connection.endpoint

    @property
    def logins(self) -> int:
        """How often the client signed in."""
        return self._login.count if self._login is not None else 0

    def call(
        self, method: Method, request: Any, *, write: bool = False, spends: bool = False
    ) -> Any:
        """Make a call and return its answer. `spends` means that etcd refuses it while its database
        is full.

        Raises Overloaded, Unavailable, StoreFull, StoreRefused, LeaseLost, Compacted if nothing was
        done. Raises OutcomeUnknown for a write that may have been done.
        """
        deadline_s = self._clock.monotonic() + self._timeout_s + self.lag.allowance_s
        if not self._room.acquire(timeout=self._timeout_s):
            raise Overloaded(
                f"{MOST_CALLS} calls to etcd are in flight already, and none ended within "
                f"{self._timeout_s} s; this call was not sent"
            )
        try:
            answer = self._answered(method, request, write, deadline_s)
        finally:
            self._room.release()
        if spends and self._full:
            self._full = False
            log.info("etcd takes writes again", endpoint=self.endpoint)
        return answer

    def renew(self, request: Any, timeout_s: float) -> Any:
        """Renew a lease and return the answer. A renewal waits for no other call."""
        deadline_s = self._clock.monotonic() + timeout_s
        return self._answered(lambda c: c.keepalive, request, False, deadline_s)

    def stream(self, requests: Iterator[Any]) -> Stream:
        """Open the stream of a watch. Raises Unavailable, StoreRefused."""
        connection = self._connection
        metadata = self._signed(connection, self._timeout_s)
        try:
            return Stream(connection, metadata, connection.watch(requests, metadata))
        except ValueError as error:  # the channel was closed meanwhile
            raise translated(error, connection.endpoint, False) from error

    def failed(
        self, connection: Connection, error: Exception, write: bool, *, hasty: bool = False
    ) -> CrawlerError:
        """Judge the connection by the error, and translate the error.

        `hasty` means that a late hub may have caused the missed deadline.
        """
        code = code_of(error)
        missed = code in (None, grpc.StatusCode.DEADLINE_EXCEEDED) and not hasty
        self.counts.misses += missed
        if connection is self._connection and not self._closed:
            self._misses += missed
            if code is grpc.StatusCode.UNAVAILABLE or self._misses >= self._most_misses:
                self._reconnect(connection, missed)
        made = translated(error, connection.endpoint, write)
        if isinstance(made, StoreFull) and not self._full:
            self._full = True
            log.error("etcd is full", endpoint=connection.endpoint, reason=str(made))
        return made

    def forget(self, metadata: Metadata) -> bool:
        """Drop the token of these metadata, which etcd refused. Return whether signing in again may
        help."""
        if self._login is None:
            return False
        self._login.forget(metadata)
        return True

    def close(self) -> None:
        """Close the channel. Calls and streams in flight end with an error."""
        self._closed = True
        self._connection.close()

    def _answered(self, method: Method, request: Any, write: bool, deadline_s: float) -> Any:
        self.counts.calls += 1
        try:
            return self._attempt(method, request, write, deadline_s)
        except StaleToken as stale:
            if self._login is None:
                raise StoreRefused(str(stale)) from stale
            # etcd did nothing, so even a write may be sent again.
            return self._attempt(method, request, write, deadline_s)
        finally:
            self.counts.calls -= 1

    def _attempt(self, method: Method, request: Any, write: bool, deadline_s: float) -> Any:
        connection = self._connection
        metadata = self._signed(connection, self._left_s(deadline_s))
        allowed_s = self.lag.allowance_s
        try:
            answer = ask(method(connection), request, self._left_s(deadline_s), metadata)
        except FAILURES as error:
            hasty = self._is_late(deadline_s) or self.lag.allowance_s > allowed_s + GRACE_S
            made = self.failed(connection, error, write, hasty=hasty)
            if isinstance(made, StaleToken):
                self.forget(metadata)
            raise made from error
        self._misses = 0
        return answer

    def _signed(self, connection: Connection, timeout_s: float) -> Metadata:
        if self._login is None:
            return ()
        try:
            return self._login.metadata(connection, timeout_s)
        except FAILURES as error:
            raise self.failed(connection, error, write=False) from error

    def _left_s(self, deadline_s: float) -> float:
        left_s = deadline_s - self._clock.monotonic()
        if left_s < _LEAST_S:
            raise Overloaded(
                "the deadline passed before etcd was asked, as too many calls wait; "
                "nothing was sent"
            )
        return left_s

    def _is_late(self, deadline_s: float) -> bool:
        """Whether the hub was away when the deadline passed. Otherwise nobody waits so long after
        it."""
        return self._clock.monotonic() > deadline_s + 2 * GRACE_S

    def _reconnect(self, failed: Connection, missed: bool) -> None:
        """Connect to the next endpoint. If there is only one, gRPC itself repairs a broken
        connection."""
        if len(self._endpoints) == 1 and not missed:
            return
        self._misses = 0
        self._turn += 1
        self.counts.reconnects += 1
        endpoint = self._endpoints[self._turn % len(self._endpoints)]
        log.warning("etcd does not answer, reconnecting", endpoint=failed.endpoint, next=endpoint)
        self._connection = Connection(endpoint, self._credentials)
        failed.close()
