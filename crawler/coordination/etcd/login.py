"""A user of etcd: the token that goes with each call, asked for when needed.

etcd forgets tokens: after a while without use, and when a member restarts. Whoever is told so lets
the login forget it too; the next call signs in anew.
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
"""How long a refused password is not tried again: etcd works hard on each attempt."""


class Login:
    """Signs a user in; many greenlets may ask at once, and one of them does it for all."""

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
        """What goes with a call.

        Raises StoreRefused for a wrong password, Unavailable when another greenlet is still signing
        in, and what `etcd_failures.FAILURES` names; in each case nothing of the call was sent.
        """
        known = self._metadata
        return known if known is not None else self._signed_in(connection, timeout_s)

    def forget(self, metadata: Metadata) -> None:
        """etcd does not know this token any more; a newer one stays."""
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
        """Raises, unless etcd has no users at all: then no token is needed."""
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
