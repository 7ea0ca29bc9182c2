"""Renews leases from a native thread, independently of the hub: one gRPC call, made with libcurl.

gRPC under gevent needs six to nine turns of the hub for a renewal. On a hub that computes all the
time, each turn takes as long as all its greenlets together, so a renewal took 9 s
(docs/decisions/0008). This takes 3 ms, whatever the hub does. A gRPC call with one message in each
direction is an HTTP/2 POST.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import pycurl
from pyetcd.etcdrpc import rpc_pb2

from crawler.coordination.etcd.connection import Tls
from crawler.coordination.etcd.failures import StaleToken, is_stale
from crawler.errors import LeaseLost, Unavailable

_RENEW = "/etcdserverpb.Lease/LeaseKeepAlive"
_SIGN_IN = "/etcdserverpb.Auth/Authenticate"
_HEADERS = ("content-type: application/grpc", "te: trailers", "expect:")
_FRAME = struct.Struct(">BI")
"""The header of each message: whether it is compressed, and its length in bytes."""


class EtcdRenewer:
    """Asks one endpoint after the other. Only one native thread may use it."""

    def __init__(
        self,
        endpoints: Sequence[str],
        tls: Tls | None = None,
        user: str = "",
        password: str = "",
    ) -> None:
        self._endpoints = list(endpoints)
        self._scheme = "http" if tls is None else "https"
        self._user = user
        self._password = password
        self._token = ""
        self._turn = 0
        self._tls = tls
        self._curl = _handle(tls)

    def renew(self, lease: int, timeout_s: float) -> int:
        """Renew a lease. Return its time to live in seconds. Raises LeaseLost, Unavailable."""
        endpoint = self._endpoints[self._turn % len(self._endpoints)]
        try:
            answer = self._renewed(endpoint, rpc_pb2.LeaseKeepAliveRequest(ID=lease), timeout_s)
        except Unavailable:
            self._turn += 1  # the next attempt asks another
            self._connect_anew()
            raise
        if answer.TTL <= 0:
            raise LeaseLost(f"lease {lease:x} has expired")
        return int(answer.TTL)

    def close(self) -> None:
        """Close the connection."""
        self._curl.close()

    def _renewed(self, endpoint: str, request: Any, timeout_s: float) -> Any:
        """Renew, and sign in only if etcd requires it: at least up to 3.5 anybody may renew a
        lease."""
        answers = rpc_pb2.LeaseKeepAliveResponse
        try:
            return answers.FromString(self._ask(endpoint, _RENEW, request, timeout_s))
        except StaleToken:
            if not self._user:
                raise
        user = rpc_pb2.AuthenticateRequest(name=self._user, password=self._password)
        signed = self._ask(endpoint, _SIGN_IN, user, timeout_s, signed=False)
        self._token = rpc_pb2.AuthenticateResponse.FromString(signed).token
        return answers.FromString(self._ask(endpoint, _RENEW, request, timeout_s))

    def _ask(
        self, endpoint: str, path: str, request: Any, timeout_s: float, *, signed: bool = True
    ) -> bytes:
        """Send a message and return the answer. Raises Unavailable, StaleToken."""
        message = request.SerializeToString()
        body: list[bytes] = []
        heads: list[bytes] = []
        token = [f"token: {self._token}"] if signed and self._token else []
        curl = self._curl
        curl.setopt(pycurl.URL, f"{self._scheme}://{endpoint}{path}")
        curl.setopt(pycurl.HTTPHEADER, [*_HEADERS, *token])
        curl.setopt(pycurl.POSTFIELDS, _FRAME.pack(0, len(message)) + message)
        curl.setopt(pycurl.TIMEOUT_MS, max(1, int(timeout_s * 1000)))
        curl.setopt(pycurl.WRITEFUNCTION, body.append)
        curl.setopt(pycurl.HEADERFUNCTION, heads.append)
        try:
            curl.perform()
        except pycurl.error as error:
            raise Unavailable(f"etcd at {endpoint}: {error.args[-1]}") from error
        return _message(endpoint, _status(heads), b"".join(body))

    def _connect_anew(self) -> None:
        """Open a new connection: libcurl would use the HTTP/2 connection again on which a request
        timed out, dead or not."""
        self._curl.close()
        self._curl = _handle(self._tls)


def _handle(tls: Tls | None) -> pycurl.Curl:
    """Return a handle without a connection."""
    curl = pycurl.Curl()
    for option, value in (
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE),
        (pycurl.POST, 1),
        (pycurl.NOSIGNAL, 1),
        (pycurl.PROXY, ""),
    ):
        curl.setopt(option, value)
    if tls is not None:
        _use(curl, tls)
    return curl


def _use(curl: pycurl.Curl, tls: Tls) -> None:
    """Trust only that authority, and show this node's certificate if there is one."""
    curl.unsetopt(pycurl.CAINFO)
    curl.unsetopt(pycurl.CAPATH)
    curl.setopt(pycurl.CAINFO_BLOB, tls.ca)
    if tls.cert:
        curl.setopt(pycurl.SSLCERT_BLOB, tls.cert)
        curl.setopt(pycurl.SSLKEY_BLOB, tls.key)


def _message(endpoint: str, status: Mapping[str, str], raw: bytes) -> bytes:
    """Return the answered message. Raises Unavailable, StaleToken."""
    told = status.get("grpc-message", "")
    if status.get("grpc-status") == "0" and len(raw) >= _FRAME.size:
        return raw[_FRAME.size :]
    family = StaleToken if is_stale(told) else Unavailable
    raise family(f"etcd at {endpoint}: {told or 'no answer'}")


def _status(heads: Sequence[bytes]) -> dict[str, str]:
    """Return headers and trailers by name."""
    lines = [head.decode(errors="replace").strip() for head in heads]
    pairs = (line.partition(":") for line in lines)
    return {name.lower(): value.strip() for name, colon, value in pairs if colon}
