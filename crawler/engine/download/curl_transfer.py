"""One request in libcurl: collects what libcurl receives, and translates libcurl's errors."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Protocol

import pycurl

from crawler.engine.download.body_memory import BodyMemory
from crawler.engine.download.decompress import codings
from crawler.engine.download.descriptors import NO_SOCKET
from crawler.engine.http import urls
from crawler.engine.http.messages import (
    EXHAUSTED,
    FAULT,
    Done,
    FetchAnswer,
    FetchCall,
    FetchError,
)
from crawler.logs import get_logger

log = get_logger(__name__)

_HTTP2_STREAM, _PROXY, _TOO_LARGE = 92, 97, 100
"""Errors of libcurl for which pycurl has no names."""
_TARGET_FAILED = frozenset({19, 20, 21, 22, 24, 27})
"""Replies of a working SOCKS proxy that the target failed (CURLPX_REPLY_…, CURLPX_RESOLVE_HOST)."""
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


class Driver(Protocol):
    """The fetcher that drives a transfer."""

    def now_s(self) -> float:
        """The monotonic time."""
        ...

    def waits(self, transfer: Transfer) -> bool:
        """Whether the transfer must pause. The transfer asks when memory is full."""
        ...

    def drop(self, transfer: Transfer) -> None:
        """Cancel the transfer."""
        ...


class Transfer:
    """A request in libcurl."""

    __slots__ = (
        "_driver",
        "_held",
        "body_at_s",
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

    def __init__(self, call: FetchCall, done: Done, held: BodyMemory, driver: Driver) -> None:
        self._held = held
        self._driver = driver
        self.call = call
        self.done = done
        self.handle: Any = None
        """libcurl's handle, while the transfer has one."""
        self.chunks: list[bytes] = []
        self.header_lines: list[bytes] = []
        self.layers: Sequence[str] = ()
        """The content codings of the body, in the order in which they must be undone."""
        self.fault = ""
        """Why the transfer was cancelled, if its own check failed."""
        self.limit = 0
        self.body_at_s = 0.0
        """The monotonic time at which the body began; 0 before."""
        self.size = 0
        self.seen = 0
        self.seen_s = 0.0

    def goes_out(self, *_: Any) -> int:
        """Tell that the connection stands, and that libcurl sends the request now."""
        try:
            if self.call.on_way is not None:
                self.call.on_way()
        except Exception as error:  # pycurl would only print it
            self.fault = fault(error, self.call).reason
            return int(pycurl.PREREQFUNC_ABORT)
        return int(pycurl.PREREQFUNC_OK)

    def receive(self, chunk: bytes) -> int | None:
        """Take a part of the body from libcurl. -1 makes libcurl cancel the transfer."""
        try:
            return self._take(chunk)
        except Exception as error:  # pycurl would only print it
            self.fault = fault(error, self.call).reason
            return -1

    def _take(self, chunk: bytes) -> int | None:
        if self._held.full and self._driver.waits(self):
            return int(pycurl.WRITEFUNC_PAUSE)  # libcurl calls again with the same part
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
        """Check the headers, which are complete now: is the body wanted, and how is it coded?

        libcurl must not be called while it calls us.
        """
        self.body_at_s = self._driver.now_s()
        terms = self.call.terms
        self.limit = terms.most_bytes
        if b"content-encoding" in b"".join(self.header_lines).lower():
            self.layers = codings(self.header_lines)
        if terms.content_types and not is_wanted(self.header_lines, terms.content_types):
            self.fault = "content type"
            self.limit = -1

    def go_on(self) -> None:
        """Resume a paused transfer."""
        self.handle.pause(pycurl.PAUSE_CONT)

    def cancel(self) -> None:
        """Cancel the transfer: `done` will not be called. Does nothing after its end."""
        self._driver.drop(self)

    def forget(self) -> None:
        """Drop the reference to `done`, so it is never called.

        An idle handle keeps its last transfer, and through `done` it would keep a whole crawl in
        memory.
        """
        self.done = _nobody

    def tell(self, answer: FetchAnswer | FetchError) -> None:
        """Call `done`, once."""
        done = self.done
        self.forget()
        try:
            done(answer)
        except Exception as error:
            failed = fault(error, self.call)
        else:
            return
        try:  # without an answer the crawl would wait for ever
            done(failed)
        except Exception:
            log.error("the receiver of an answer failed", exc_info=True)

    def answer(self) -> FetchAnswer:
        """The whole response, with its body as received. The transfer drops the body.

        libcurl counts the time of the first byte from a later beginning than the total. Other
        processes may run between the two, so their difference may begin before the request does.
        """
        body = b"".join(self.chunks)
        self.chunks.clear()
        status = self.handle.getinfo(pycurl.RESPONSE_CODE)
        began_s = self.handle.getinfo(pycurl.STARTTRANSFER_TIME)
        waited_s = began_s - self.handle.getinfo(pycurl.PRETRANSFER_TIME)
        body_s = self._driver.now_s() - self.body_at_s if self.body_at_s else 0.0
        return FetchAnswer(
            status,
            self.header_lines,
            body,
            self.seconds(),
            waited_s,
            body_s,
            self.size,
            address=self.handle.getinfo(pycurl.PRIMARY_IP),
        )

    def error(self, code: int, message: str) -> FetchError:
        """libcurl's error as a FetchError."""
        self.chunks.clear()
        if self.fault:
            return FetchError(self.fault, self._detail(message), self.seconds())
        opener = self.handle.opener
        if opener.refused and not opener.opened:
            return FetchError("forbidden address", opener.refused, self.seconds())
        if opener.fault:
            return FetchError(FAULT, opener.fault, self.seconds())
        if opener.exhausted and not opener.opened:
            return FetchError(EXHAUSTED, "no socket could be opened", self.seconds())
        if code == _TOO_LARGE:  # libcurl has no words for it
            message = message or "its headers, or one of them, are too long"
        return FetchError(self._reason(code), message, self.seconds())

    def overdue(self, now_s: float, paused: bool) -> str:
        """The reason to give up the transfer; empty if there is none. `now_s` is monotonic.

        A paused transfer waits for us, not for the site, so it is never given up.
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
        """The seconds that the transfer has taken so far."""
        return float(self.handle.getinfo(pycurl.TOTAL_TIME))

    def _detail(self, message: str) -> str:
        if self.fault == "content type":
            return str(self.handle.getinfo_raw(pycurl.CONTENT_TYPE).decode("latin-1"))
        return f"more than {self.limit} bytes" if self.fault == "too large" else message

    def _reason(self, code: int) -> str:
        handle = self.handle
        if self.call.proxy and self._proxy_failed(code):
            return "proxy"
        if code == pycurl.E_COULDNT_CONNECT:
            number = handle.getinfo(pycurl.OS_ERRNO)
            if number in NO_SOCKET:
                return EXHAUSTED
            if number == _REFUSED:
                return "connection refused"
        if code == pycurl.E_OPERATION_TIMEDOUT and not handle.getinfo(pycurl.PRETRANSFER_TIME):
            return "connect timeout"
        if code == pycurl.E_UNSUPPORTED_PROTOCOL and handle.getinfo(pycurl.PRETRANSFER_TIME):
            return "bad response"  # an answer of HTTP/0.9
        if code == _PROXY:
            return "connection failed"
        return _REASONS.get(code, f"curl error {code}")

    def _proxy_failed(self, code: int) -> bool:
        """Whether the proxy itself failed, and not its target."""
        handle = self.handle
        if code == _PROXY:
            return handle.getinfo(pycurl.PROXY_ERROR) not in _TARGET_FAILED
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return not handle.getinfo(pycurl.CONNECT_TIME)
        if handle.getinfo(pycurl.HTTP_CONNECTCODE) == _PROXY_AUTH:
            return True
        if self.call.proxy[:6].lower() == "https:" and _REASONS.get(code) == "tls":
            return not handle.getinfo(pycurl.HTTP_CONNECTCODE)  # after CONNECT the site failed
        connected = handle.getinfo(pycurl.CONNECT_TIME) and handle.getinfo(pycurl.HTTP_CONNECTCODE)
        return code == pycurl.E_COULDNT_RESOLVE_PROXY or (
            code == pycurl.E_COULDNT_CONNECT and not connected
        )


def fault(error: BaseException, call: FetchCall) -> FetchError:
    """Log a defect of the fetcher. Returns the error that the one request gets."""
    log.error("fetcher fault", url=urls.shown(call.url), exc_info=error)
    return FetchError(FAULT, f"{type(error).__name__}: {error}")


def _nobody(_: FetchAnswer | FetchError) -> None:
    """Ignore the result of a cancelled transfer."""


def is_wanted(header_lines: Sequence[bytes], patterns: Sequence[str]) -> bool:
    """Whether an answer has one of these media types, or no media type."""
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
