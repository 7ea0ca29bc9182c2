"""One request as libcurl sees it: its options, what it receives, and its errors translated.

Only http and https are spoken. Every connection is judged by its address before it is made. The
proxy variables of the environment are ignored. Only this file and fetch.py import pycurl.
"""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pycurl
from gevent import monkey

from crawler.engine.address import AddressPolicy
from crawler.engine.exchange import Answer, Call, FetchError, Terms
from crawler.engine.expand import codings
from crawler.engine.memory import ResponseMemory
from crawler.engine.resolver import Name

DNS_CACHE_S = 86_400
"""How long libcurl keeps what resolver.py told it; that tells it anew when it is too old."""
NO_CONTENT_TYPE = "Content-Type:"
"""Keeps libcurl from calling every body a form."""
HTTP_VERSIONS = {
    "auto": pycurl.CURL_HTTP_VERSION_2TLS,
    "1.1": pycurl.CURL_HTTP_VERSION_1_1,
    "2": pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
}

_HTTP2_STREAM, _PROXY, _TOO_LARGE = 92, 97, 100
"""Errors of libcurl that pycurl has no names for."""
_TARGET_FAILED = frozenset({19, 20, 21, 22, 24, 27})
"""What a SOCKS proxy says of the target (CURLPX_REPLY_…, CURLPX_RESOLVE_HOST); it works itself."""
_PROXY_AUTH = 407
_REFUSED = errno.ECONNREFUSED

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
    pycurl.E_COULDNT_RESOLVE_PROXY: "proxy",
    pycurl.E_SSL_INVALIDCERTSTATUS: "tls",
    _HTTP2_STREAM: "connection closed",
    _PROXY: "proxy",
    _TOO_LARGE: "bad response",
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

    __slots__ = ("_policy", "opened", "refused", "trusted")

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self.trusted = False
        """Whether it goes to a proxy that the operator named."""
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
        if not self.trusted and not self._policy.allows(target):
            self.refused = target
            return pycurl.SOCKET_BAD
        try:
            socket = _Descriptor(address)
        except OSError:  # no more descriptors, or a protocol that this machine has not
            return pycurl.SOCKET_BAD
        self.opened = True
        return socket


class Transfer:
    """A request on its way; `Fetcher.cancel` takes it."""

    __slots__ = (
        "_held",
        "_waits",
        "call",
        "chunks",
        "done",
        "fault",
        "handle",
        "header_lines",
        "layers",
        "limit",
        "seen",
        "seen_s",
        "size",
    )

    def __init__(self, call: Call, done: Done, held: ResponseMemory, waits: Waits) -> None:
        """`waits` is asked, when memory is full, whether it is to receive no more for now."""
        self._held = held
        self._waits = waits
        self.call = call
        self.done = done
        self.handle: Any = None
        """libcurl's handle, while it has one."""
        self.chunks: list[bytes] = []
        self.header_lines: list[bytes] = []
        self.layers: Sequence[str] = ()
        """The content codings of the body, in the order in which they are to be taken off."""
        self.fault = ""
        """Why it was broken off, when libcurl was told to."""
        self.limit = 0
        self.size = 0
        self.seen = 0
        self.seen_s = 0.0

    def receive(self, chunk: bytes) -> int | None:
        """Called by libcurl with a part of the body; -1 makes it give up."""
        if self._held.full and self._waits(self):
            return int(pycurl.WRITEFUNC_PAUSE)  # it comes again with the same part
        if not self.limit:
            self._begin_body()
        size = len(chunk)
        self.size += size
        self._held.take(size)
        if self.size > self.limit:
            self.fault = self.fault or "too large"
            self.chunks.clear()
            return -1
        self.chunks.append(chunk)
        return None

    def _begin_body(self) -> None:
        """Look at the headers, which are complete now: what follows, and is it wanted?

        libcurl must not be asked anything while it calls.
        """
        terms = self.call.terms
        self.limit = _most(terms)
        if b"content-encoding" in b"".join(self.header_lines).lower():
            self.layers = codings(self.header_lines)
        if terms.content_types and not is_wanted(self.header_lines, terms.content_types):
            self.fault = "content type"
            self.limit = -1

    def go_on(self) -> None:
        """Receive again what had to wait."""
        self.handle.pause(pycurl.PAUSE_CONT)

    def forget(self) -> None:
        """Call nobody any more. Whoever asked is held no longer either: an idle handle keeps the
        transfer that it had last, and through that it would keep a whole crawl."""
        self.done = _nobody

    def answer(self) -> Answer:
        """The whole response, its body as received; the transfer holds it no longer."""
        body = b"".join(self.chunks)
        self.chunks.clear()
        status = self.handle.getinfo(pycurl.RESPONSE_CODE)
        seconds = self.seconds()
        began_s = self.handle.getinfo(pycurl.STARTTRANSFER_TIME)
        waited_s = began_s - self.handle.getinfo(pycurl.PRETRANSFER_TIME)
        return Answer(
            status,
            self.header_lines,
            body,
            seconds,
            waited_s,
            seconds - began_s,
            self.size,
            address=self.handle.getinfo(pycurl.PRIMARY_IP),
        )

    def error(self, code: int, message: str) -> FetchError:
        """libcurl's error in our words."""
        self.chunks.clear()
        if self.fault:
            return FetchError(self.fault, self._detail(message), self.seconds())
        opener = self.handle.opener
        if opener.refused and not opener.opened:
            return FetchError("forbidden address", opener.refused, self.seconds())
        return FetchError(self._reason(code), message, self.seconds())

    def overdue(self, now_s: float, paused: bool) -> str:
        """Why this is to be given up, if it is. Called now and then; `now_s` is monotonic.

        One that is `paused` waits for us, not for the site.
        """
        seen = self.size + len(self.header_lines)
        if seen != self.seen or not self.seen_s or paused:
            self.seen, self.seen_s = seen, now_s
            return ""
        silent_s = now_s - self.seen_s
        terms = self.call.terms
        if seen:
            return "stalled" if silent_s > terms.stall_timeout_s else ""
        if silent_s > terms.first_byte_timeout_s:
            sent_s = self.handle.getinfo(pycurl.PRETRANSFER_TIME)  # 0 while it connects
            if sent_s and silent_s - sent_s > terms.first_byte_timeout_s:
                return "first byte timeout"
        return ""

    def seconds(self) -> float:
        """How long it takes, or took."""
        return float(self.handle.getinfo(pycurl.TOTAL_TIME))

    def _detail(self, message: str) -> str:
        if self.fault == "content type":
            return str(self.handle.getinfo(pycurl.CONTENT_TYPE))
        return f"more than {self.limit} bytes" if self.fault == "too large" else message

    def _reason(self, code: int) -> str:
        handle = self.handle
        if self.call.proxy and self._proxy_failed(code):
            return "proxy"
        if code == pycurl.E_COULDNT_CONNECT and handle.getinfo(pycurl.OS_ERRNO) == _REFUSED:
            return "connection refused"
        if code == pycurl.E_OPERATION_TIMEDOUT and not handle.getinfo(pycurl.PRETRANSFER_TIME):
            return "connect timeout"
        if code == pycurl.E_UNSUPPORTED_PROTOCOL and handle.getinfo(pycurl.PRETRANSFER_TIME):
            return "bad response"  # of HTTP/0.9
        if code == _PROXY:
            return "connection failed"
        return _REASONS.get(code, f"curl error {code}")

    def _proxy_failed(self, code: int) -> bool:
        """Whether the proxy itself is to blame, not what it was asked to reach."""
        handle = self.handle
        if code == _PROXY:
            return handle.getinfo(pycurl.PROXY_ERROR) not in _TARGET_FAILED
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return not handle.getinfo(pycurl.CONNECT_TIME)
        if handle.getinfo(pycurl.HTTP_CONNECTCODE) == _PROXY_AUTH:
            return True
        if self.call.proxy[:6].lower() == "https:" and _REASONS.get(code) == "tls":
            return not handle.getinfo(pycurl.HTTP_CONNECTCODE)  # of the site it is after that
        connected = handle.getinfo(pycurl.CONNECT_TIME) and handle.getinfo(pycurl.HTTP_CONNECTCODE)
        return code == pycurl.E_COULDNT_RESOLVE_PROXY or (
            code == pycurl.E_COULDNT_CONNECT and not connected
        )


def _nobody(_: Answer | FetchError) -> None:
    """Told of what was broken off."""


def is_wanted(header_lines: Sequence[bytes], patterns: Sequence[str]) -> bool:
    """Whether a page is of one of these media types, or does not say of which it is."""
    kind, status = "", b""
    for line in header_lines:
        name, _, value = line.partition(b":")
        if line.startswith(b"HTTP/"):
            kind, status = "", line.split(None, 2)[1]
        elif name.strip().lower() == b"content-type":
            kind = value.decode("latin-1").partition(";")[0].strip().lower()
    if not status.startswith(b"2") or not kind:
        return True
    return any(fnmatchcase(kind, pattern) for pattern in patterns)


def _most(terms: Terms) -> int:
    """How many bytes may come: what is larger packed will not be smaller unpacked."""
    return min(terms.max_download_bytes, terms.max_body_bytes)


def new_handle(policy: AddressPolicy) -> Any:
    """A handle for any number of requests, one after the other."""
    handle = pycurl.Curl()
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.FOLLOWLOCATION, 0)
    handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    handle.setopt(pycurl.REDIR_PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    handle.setopt(pycurl.DNS_CACHE_TIMEOUT, DNS_CACHE_S)
    handle.setopt(pycurl.PROXY, "")
    handle.setopt(pycurl.NOPROXY, "")  # else libcurl asks the environment which hosts need none
    authorities = ssl.get_default_verify_paths().cafile
    if authorities:
        handle.setopt(pycurl.CAINFO, authorities)
        handle.setopt(pycurl.PROXY_CAINFO, authorities)
    handle.opener = Opener(policy)
    if not policy.allows_all:
        handle.setopt(pycurl.OPENSOCKETFUNCTION, handle.opener)
    handle.method = "GET"
    handle.headers = handle.terms = handle.jar = handle.credentials = None
    handle.proxy = ""
    return handle


def prepare(transfer: Transfer, name: Name | None, trusted: frozenset[str]) -> None:
    """Set what this request asks for; what the last one asked for as well stays as it is.

    `name` is what libcurl is to be told of the host; `trusted` are proxies that may be anywhere.
    """
    handle, call = transfer.handle, transfer.call
    handle.opener.begin()
    handle.setopt(pycurl.URL, call.url)
    handle.setopt(pycurl.WRITEFUNCTION, transfer.receive)
    handle.setopt(pycurl.HEADERFUNCTION, transfer.header_lines.append)
    handle.setopt(pycurl.TIMEOUT_MS, max(1, round(call.timeout_s * 1000)))
    if handle.headers is not call.headers:
        handle.setopt(pycurl.HTTPHEADER, _as_sent(call.headers))
        handle.headers = call.headers
    if handle.terms is not call.terms:
        _agree(handle, call.terms)
    if handle.jar is not call.jar:
        _share(handle, call)
    if handle.proxy != call.proxy:
        _go_through(handle, call.proxy, trusted)
    if handle.credentials is not call.credentials:
        _log_in(handle, call)
    if name is not None and not name.told:
        _tell(handle, name)
    handle.method = call.method
    if call.method != "GET" or call.body is not None or call.cookies:
        _set_extras(handle, call)


def _set_extras(handle: Any, call: Call) -> None:
    """What few requests have, and no other must inherit: the handle is not used again."""
    handle.method = "custom"
    if call.cookies:
        handle.setopt(pycurl.COOKIE, call.cookies)
    if call.method == "HEAD":
        handle.setopt(pycurl.NOBODY, 1)
    elif call.method != "GET" or call.body is not None:
        handle.setopt(pycurl.POSTFIELDS, call.body or b"")
        handle.setopt(pycurl.CUSTOMREQUEST, call.method)
        if not any(line.lower().startswith("content-type:") for line in call.headers):
            handle.setopt(pycurl.HTTPHEADER, [*_as_sent(call.headers), NO_CONTENT_TYPE])


def _as_sent(headers: Sequence[str]) -> list[str | bytes]:
    """What ASCII has not goes as UTF-8."""
    return [line if line.isascii() else line.encode() for line in headers]


def _agree(handle: Any, terms: Terms) -> None:
    handle.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(terms.connect_timeout_s * 1000)))
    handle.setopt(pycurl.MAXFILESIZE_LARGE, _most(terms))
    handle.setopt(pycurl.HTTP_VERSION, HTTP_VERSIONS[terms.http_version])
    # To wait whether a first connection can be shared costs a host of HTTP/1.1 a whole answer.
    handle.setopt(pycurl.PIPEWAIT, int(terms.http_version == "2"))
    for option in (pycurl.SSL_VERIFYPEER, pycurl.PROXY_SSL_VERIFYPEER):
        handle.setopt(option, int(terms.verify_tls))
    for option in (pycurl.SSL_VERIFYHOST, pycurl.PROXY_SSL_VERIFYHOST):
        handle.setopt(option, 2 if terms.verify_tls else 0)
    handle.terms = terms


def _share(handle: Any, call: Call) -> None:
    if handle.jar is not None:
        handle.unsetopt(pycurl.SHARE)
        handle.setopt(pycurl.COOKIELIST, "ALL")  # a handle without a jar keeps none either
    if call.jar is not None:
        call.jar.attach(handle)
    handle.jar = call.jar


def _go_through(handle: Any, proxy: str, trusted: frozenset[str]) -> None:
    handle.setopt(pycurl.PROXY, proxy)
    handle.opener.trusted = proxy in trusted
    handle.proxy = proxy


def _log_in(handle: Any, call: Call) -> None:
    who = call.credentials
    if who is None:
        handle.unsetopt(pycurl.USERNAME)
        handle.unsetopt(pycurl.PASSWORD)
    else:
        handle.setopt(
            pycurl.HTTPAUTH, pycurl.HTTPAUTH_DIGEST if who.digest else pycurl.HTTPAUTH_BASIC
        )
        handle.setopt(pycurl.USERNAME, who.user)
        handle.setopt(pycurl.PASSWORD, who.password)
    handle.credentials = who


def _tell(handle: Any, name: Name) -> None:
    """Have libcurl know the addresses of a host, for this request and later ones."""
    if name.addresses:
        found = ",".join(f"[{each}]" if ":" in each else each for each in name.addresses)
        handle.setopt(pycurl.RESOLVE, [f"+{name.host}:{name.port}:{found}"])
    name.told = True
