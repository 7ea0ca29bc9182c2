"""Revokes a lease with one call to etcd's JSON gateway, without gRPC.

Only the standard library is imported, and `ssl` only if etcd uses TLS: the guard is a small
process. Python's HTTP client would add 7 MB to its 10. One question of HTTP/1.0 needs no client:
etcd answers it and closes the connection.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

CALL_S = 1.0
"""How long one member of etcd may be silent, in seconds. Then the next one is asked."""

PATIENCE_S = 5.0
"""For how many seconds all members are asked again: then a lease of the usual TTL has ended."""

PAUSE_S = 0.3
"""The pause before the members are asked again, in seconds."""

_SIGN_IN = "/v3/auth/authenticate"
_REVOKE = "/v3/lease/revoke"

_NOT_FOUND = 5
"""The gRPC code of a lease that has ended already."""
_AUTH_IS_OFF = 9
"""The gRPC code with which an etcd without users answers who signs in."""


class Failed(Exception):
    """A member of etcd did not do it. The text says why."""


class Etcd:
    """How a guard reaches etcd."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        ca: str = "",
        cert: str = "",
        key: str = "",
        user: str = "",
        password: str = "",
    ) -> None:
        """Read the files of TLS, if `ca` names one: at the end they might be gone. Raises
        OSError."""
        self._endpoints = list(endpoints)
        self._tls = _context(ca, cert, key) if ca else None
        self._user = user
        self._password = password

    def revoke(self, lease: int, patience_s: float = PATIENCE_S) -> str:
        """Revoke a lease at the first member that does it. Return an empty text, or why none did.

        It is no error if the lease has ended already. To ask twice is none either: the call names
        the lease. If nobody does it, all are asked again while the patience lasts.
        """
        until_s = time.monotonic() + patience_s
        while (error := self._tried(lease)) and time.monotonic() + PAUSE_S < until_s:
            time.sleep(PAUSE_S)
        return error

    def _tried(self, lease: int) -> str:
        errors = []
        for endpoint in self._endpoints:
            try:
                self._revoke(endpoint, lease)
            except (Failed, OSError, ValueError) as error:
                errors.append(f"{endpoint}: {error}")
            else:
                return ""
        return "; ".join(errors)

    def _revoke(self, endpoint: str, lease: int) -> None:
        token = self._signed_in(endpoint) if self._user else ""
        code, answer = self._ask(endpoint, _REVOKE, {"ID": str(lease)}, token)
        if code not in (0, _NOT_FOUND):
            raise Failed(answer.get("message", "no reason given"))

    def _signed_in(self, endpoint: str) -> str:
        """Return a token, or an empty text if etcd asks for none."""
        user = {"name": self._user, "password": self._password}
        code, answer = self._ask(endpoint, _SIGN_IN, user)
        if code not in (0, _AUTH_IS_OFF):
            raise Failed(answer.get("message", "no reason given"))
        return str(answer.get("token", ""))

    def _ask(
        self, endpoint: str, path: str, body: dict[str, str], token: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """Return gRPC's code of the answer (0 is success), and its JSON. Raises OSError, ValueError
        for an answer that is none of etcd's."""
        raw = json.dumps(body).encode()
        head = [
            f"POST {path} HTTP/1.0",
            f"Host: {endpoint}",
            "Content-Type: application/json",
            f"Content-Length: {len(raw)}",
            *([f"Authorization: {token}"] if token else []),
        ]
        with closing(self._connected(endpoint)) as connection:
            connection.sendall("\r\n".join([*head, "", ""]).encode() + raw)
            told = b"".join(iter(lambda: connection.recv(65_536), b""))
        status, _, rest = told.partition(b" ")[2].partition(b" ")
        answer = json.loads(rest.partition(b"\r\n\r\n")[2])
        return (0 if status == b"200" else int(answer["code"])), answer

    def _connected(self, endpoint: str) -> socket.socket:
        host, _, port = endpoint.rpartition(":")
        host = host.strip("[]")
        connection = socket.create_connection((host, int(port)), CALL_S)
        if self._tls is None:
            return connection
        try:
            return self._tls.wrap_socket(connection, server_hostname=host)
        except BaseException:
            connection.close()
            raise


def _context(ca: str, cert: str, key: str) -> ssl.SSLContext:
    """Trust only that authority, and show this node's certificate if there is one."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    if cert:
        context.load_cert_chain(cert, key)
    return context
