"""Renews leases from a native thread, past the hub: one gRPC call, made with libcurl.

gRPC under gevent needs six to nine turns of the hub for a renewal. On a hub that computes all the
time, each turn as long as all its greenlets together, that took 9 s (docs/decisions/0008); this
takes 3 ms whatever the hub does. A gRPC call of one message each way is an HTTP/2 POST.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pycurl
from pyetcd.etcdrpc import rpc_pb2

from crawler.errors import LeaseLost, Unavailable

_PATH = "/etcdserverpb.Lease/LeaseKeepAlive"
_HEADERS = ("content-type: application/grpc", "te: trailers", "expect:")
_FRAME = struct.Struct(">BI")
"""Before each message: whether it is compressed, and its length in bytes."""


class EtcdRenewer:
    """Asks one endpoint after the other; to be used by one native thread."""

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._endpoints = list(endpoints)
        self._turn = 0
        self._curl = pycurl.Curl()
        for option, value in (
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE),
            (pycurl.HTTPHEADER, _HEADERS),
            (pycurl.POST, 1),
            (pycurl.NOSIGNAL, 1),
            (pycurl.PROXY, ""),
        ):
            self._curl.setopt(option, value)

    def renew(self, lease: int, timeout_s: float) -> int:
        """The lease's time to live in seconds. Raises LeaseLost, Unavailable."""
        endpoint = self._endpoints[self._turn % len(self._endpoints)]
        try:
            answer = self._ask(endpoint, rpc_pb2.LeaseKeepAliveRequest(ID=lease), timeout_s)
        except Unavailable:
            self._turn += 1  # the next attempt asks another
            raise
        if answer.TTL <= 0:
            raise LeaseLost(f"lease {lease:x} has expired")
        return int(answer.TTL)

    def close(self) -> None:
        """Close the connection."""
        self._curl.close()

    def _ask(self, endpoint: str, request: rpc_pb2.LeaseKeepAliveRequest, timeout_s: float) -> Any:
        message = request.SerializeToString()
        body: list[bytes] = []
        heads: list[bytes] = []
        curl = self._curl
        curl.setopt(pycurl.URL, f"http://{endpoint}{_PATH}")
        curl.setopt(pycurl.POSTFIELDS, _FRAME.pack(0, len(message)) + message)
        curl.setopt(pycurl.TIMEOUT_MS, max(1, int(timeout_s * 1000)))
        curl.setopt(pycurl.WRITEFUNCTION, body.append)
        curl.setopt(pycurl.HEADERFUNCTION, heads.append)
        try:
            curl.perform()
        except pycurl.error as error:
            raise Unavailable(f"etcd at {endpoint}: {error.args[-1]}") from error
        status = _status(heads)
        raw = b"".join(body)
        if status.get("grpc-status") != "0" or len(raw) < _FRAME.size:
            raise Unavailable(f"etcd at {endpoint}: {status.get('grpc-message') or 'no answer'}")
        return rpc_pb2.LeaseKeepAliveResponse.FromString(raw[_FRAME.size :])


def _status(heads: Sequence[bytes]) -> dict[str, str]:
    """Headers and trailers by name."""
    lines = [head.decode(errors="replace").strip() for head in heads]
    pairs = (line.partition(":") for line in lines)
    return {name.lower(): value.strip() for name, colon, value in pairs if colon}
