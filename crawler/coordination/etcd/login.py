"""Signs a user of etcd in, and keeps the token that goes with each call.

etcd forgets tokens: after a while without use, and when a member restarts. When etcd refuses a
token, the caller calls `forget`, and the next call signs in again.
"""

from __future__ import annotations

import grpc
from gevent.lock import RLock
from pyetcd.etcdrpc import rpc_pb2

from crawler.clock import Clock
from crawler.coordination.etcd.connection import Connection, Metadata, ask
from crawler.coordination.etcd.failures import code_of, details_of
from crawler.errors import StoreRefused, Unavailable
from crawler.logs import get_logger

log = get_logger(__name__)

REFUSED_S = 5.0
"""For how many seconds a refused password is not tried again: each attempt costs etcd much work."""


class Login:
    """Signs a user in. Many greenlets may ask at once; one of them signs in for all."""

    def __init__(self, user: str, password: str, clock: Clock) -> None:
        self.user = user
        self._password = password
        self._clock = clock
        self._signing_in = RLock()
        self._metadata: Metadata | None = None
        self._refused_until_s = 0.0
        self._open_noted = False
        self.count = 0
        """How often it signed in."""

    def metadata(self, connection: Connection, timeout_s: float) -> Metadata:
        """Return the metadata of a call.

        Raises StoreRefused for a wrong password, Unavailable while another greenlet is still
        signing in, and what `etcd.failures.FAILURES` lists. In each case the call was not sent.
        """
        known = self._metadata
        return known if known is not None else self._signed_in(connection, timeout_s)

    def forget(self, metadata: Metadata) -> None:
        """Drop a token that etcd does not know any more. A newer token stays."""
        if self._metadata is metadata:
            self._metadata = None

    def _signed_in(self, connection: Connection, timeout_s: float) -> Metadata:
        if not self._signing_in.acquire(timeout=timeout_s):
            raise Unavailable(f"signing in to etcd as {self.user!r} takes too long")
        try:
            if self._metadata is None:
                self._metadata = self._authenticated(connection, timeout_s)
            return self._metadata
        finally:
            self._signing_in.release()

    def _authenticated(self, connection: Connection, timeout_s: float) -> Metadata:
        if self._clock.monotonic() < self._refused_until_s:
            raise self._refusal()
        request = rpc_pb2.AuthenticateRequest(name=self.user, password=self._password)
        self.count += 1
        try:
            answer = ask(connection.auth.Authenticate, request, timeout_s, ())
        except grpc.RpcError as error:
            return self._unanswered(error)
        return (("token", answer.token),)

    def _unanswered(self, error: grpc.RpcError) -> Metadata:
        """Return no metadata if etcd has no users at all, because then no token is needed. Raise
        otherwise."""
        if "authentication is not enabled" in details_of(error):
            if not self._open_noted:
                log.warning("etcd asks for no password; run `etcdctl auth enable`")
            self._open_noted = True
            return ()
        if code_of(error) is grpc.StatusCode.INVALID_ARGUMENT:
            self._refused_until_s = self._clock.monotonic() + REFUSED_S
            raise self._refusal() from error
        raise error

    def _refusal(self) -> StoreRefused:
        return StoreRefused(
            f"etcd refuses the user {self.user!r} or its password: "
            "check etcd.user and CRAWLER_ETCD_PASSWORD"
        )
