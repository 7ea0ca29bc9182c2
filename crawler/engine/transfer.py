"""One request as libcurl sees it: its options, what it receives, and its errors translated.

Only http and https are spoken. Every connection is judged by its address before it is made. The
proxy variables of the environment are ignored. Only this file and fetch.py import pycurl.
"""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable
from typing import Any

import pycurl
from gevent import monkey

from crawler.engine.address import AddressPolicy
from crawler.engine.exchange import Answer, Call, FetchError
from crawler.engine.memory import ResponseMemory

DNS_CACHE_S = 600
ENCODINGS = "gzip, deflate, br"

_REASONS = {
    pycurl.E_URL_MALFORMAT: "bad url",
    pycurl.E_UNSUPPORTED_PROTOCOL: "forbidden scheme",
    pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_COULDNT_CONNECT: "connection failed",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_FILESIZE_EXCEEDED: "too large",
    pycurl.E_PARTIAL_FILE: "truncated",
    pycurl.E_BAD_CONTENT_ENCODING: "bad encoding",
    pycurl.E_GOT_NOTHING: "connection closed",
    pycurl.E_SEND_ERROR: "connection closed",
    pycurl.E_RECV_ERROR: "connection closed",
    pycurl.E_HTTP2: "connection closed",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "bad response",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_SSL_CIPHER: "tls",
    pycurl.E_SSL_CACERT: "tls",
    pycurl.E_SSL_CACERT_BADFILE: "tls",
    pycurl.E_SSL_CERTPROBLEM: "tls",
    pycurl.E_SSL_ISSUER_ERROR: "tls",
    pycurl.E_PEER_FAILED_VERIFICATION: "tls",
}

Done = Callable[[Answer | FetchError], None]
Waits = Callable[["Transfer"], bool]

_Socket = monkey.get_original("socket", "socket")


class _Descriptor:
    """A socket for libcurl, which takes a copy of its number; the original is closed at once."""

    __slots__ = ("_number",)

    def __init__(self, address: Any) -> None:
        opened = _Socket(address.family, address.socktype, address.protocol)
        self._number: int = opened.detach()

    def fileno(self) -> int:
        """Its number."""
        return self._number

    def __del__(self) -> None:
        os.close(self._number)


class Opener:
    """Opens the sockets of one handle, as far as the policy allows."""

    __slots__ = ("_policy", "opened", "refused")

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self.refused = ""
        """The address refused last since `begin`."""
        self.opened = False
        """Whether a socket was opened since `begin`."""

    def begin(self) -> None:
        """A request begins."""
        self.refused = ""
        self.opened = False

    def __call__(self, purpose: int, address: Any) -> Any:
        """Called by libcurl with a resolved address, before it connects."""
        target = str(address.addr[0])
        if not self._policy.allows(target):
            self.refused = target
            return pycurl.SOCKET_BAD
        try:
            socket = _Descriptor(address)
        except OSError:  # no more descriptors, or a protocol that this machine has not
            return pycurl.SOCKET_BAD
        self.opened = True
        return socket


class Transfer:
    """A request in flight; `Fetcher.cancel` takes it."""

    __slots__ = ("_held", "_waits", "chunks", "done", "handle", "header_lines", "limit", "size")

    def __init__(
        self, handle: Any, call: Call, done: Done, held: ResponseMemory, waits: Waits
    ) -> None:
        """`waits` is asked, when memory is full, whether it is to receive no more for now."""
        self._held = held
        self._waits = waits
        self.handle = handle
        self.done = done
        self.limit = call.max_body_bytes
        self.size = 0
        self.chunks: list[bytes] = []
        self.header_lines: list[bytes] = []

    def receive(self, chunk: bytes) -> int | None:
        """Called by libcurl with a part of the body; -1 makes it give up."""
        if self._held.full and self._waits(self):
            return int(pycurl.WRITEFUNC_PAUSE)  # it comes again with the same part
        size = len(chunk)
        self.size += size
        self._held.take(size)
        if self.size > self.limit:
            self.chunks.clear()
            return -1
        self.chunks.append(chunk)
        return None

    def go_on(self) -> None:
        """Receive again what had to wait."""
        self.handle.pause(pycurl.PAUSE_CONT)

    def answer(self) -> Answer:
        """The whole response; the transfer holds its body no longer."""
        body = b"".join(self.chunks)
        self.chunks.clear()
        status = self.handle.getinfo(pycurl.RESPONSE_CODE)
        seconds = self._seconds()
        began_s = self.handle.getinfo(pycurl.STARTTRANSFER_TIME)
        waited_s = began_s - self.handle.getinfo(pycurl.PRETRANSFER_TIME)
        return Answer(status, self.header_lines, body, seconds, waited_s, seconds - began_s)

    def error(self, code: int, message: str) -> FetchError:
        """libcurl's error in our words."""
        self.chunks.clear()
        if self.size > self.limit:
            return FetchError("too large", f"more than {self.limit} bytes", self._seconds())
        opener = self.handle.opener
        if opener.refused and not opener.opened:
            return FetchError("forbidden address", opener.refused, self._seconds())
        system = self.handle.getinfo(pycurl.OS_ERRNO)
        error = FetchError(_reason(code, system), message, self._seconds())
        if error.reason == "timeout" and not self.handle.getinfo(pycurl.CONNECT_TIME):
            error.unreachable = True
        return error

    def _seconds(self) -> float:
        return float(self.handle.getinfo(pycurl.TOTAL_TIME))


def new_handle(policy: AddressPolicy) -> Any:
    """A handle for any number of requests, one after the other."""
    handle = pycurl.Curl()
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.FOLLOWLOCATION, 0)
    handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    handle.setopt(pycurl.REDIR_PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    handle.setopt(pycurl.ENCODING, ENCODINGS)
    handle.setopt(pycurl.DNS_CACHE_TIMEOUT, DNS_CACHE_S)
    handle.setopt(pycurl.PROXY, "")
    authorities = ssl.get_default_verify_paths().cafile
    if authorities:
        handle.setopt(pycurl.CAINFO, authorities)
    handle.opener = Opener(policy)
    if not policy.allows_all:
        handle.setopt(pycurl.OPENSOCKETFUNCTION, handle.opener)
    handle.method = "GET"
    handle.headers = None
    return handle


def prepare(handle: Any, call: Call, transfer: Transfer) -> None:
    """Set what this request asks for."""
    handle.opener.begin()
    handle.setopt(pycurl.URL, call.url)
    handle.setopt(pycurl.WRITEFUNCTION, transfer.receive)
    handle.setopt(pycurl.HEADERFUNCTION, transfer.header_lines.append)
    handle.setopt(pycurl.TIMEOUT_MS, max(1, round(call.timeout_s * 1000)))
    handle.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(call.connect_timeout_s * 1000)))
    handle.setopt(pycurl.MAXFILESIZE_LARGE, call.max_body_bytes)
    if handle.headers is not call.headers:
        handle.setopt(pycurl.HTTPHEADER, list(call.headers))
        handle.headers = call.headers
    handle.method = call.method
    if call.method == "HEAD":
        handle.setopt(pycurl.NOBODY, 1)
    elif call.method != "GET" or call.body is not None:
        handle.setopt(pycurl.POSTFIELDS, call.body or b"")
        handle.setopt(pycurl.CUSTOMREQUEST, call.method)
        handle.method = "custom"


def _reason(code: int, system: int) -> str:
    if code == pycurl.E_COULDNT_CONNECT and system == errno.ECONNREFUSED:
        return "connection refused"
    return _REASONS.get(code, f"curl error {code}")
