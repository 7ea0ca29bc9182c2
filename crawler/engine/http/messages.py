"""One HTTP request and its result, as values that do not depend on the fetcher."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from crawler.errors import CrawlerError
from crawler.settings import wire
from crawler.settings.crawl import CrawlSettings

TOO_LONG = "host rests too long"
DOWN = "host is down"
FAULT = "fetcher fault"
"""A defect of this program, which costs one request. The log has its traceback."""
EXHAUSTED = "no descriptor"
"""The process has no file descriptor or native thread left for now."""
_FINAL = frozenset(
    {
        TOO_LONG,
        DOWN,
        FAULT,
        "bad cookies",
        "bad meta",
        "bad proxy",
        "bad request",
        "bad url",
        "content type",
        "forbidden address",
        "forbidden scheme",
        "no fetcher",
        "too large",
        "tls",
    }
)
_UNREACHABLE = frozenset({"connect timeout", "connection refused", "connection failed", "dns"})


class FetchError(CrawlerError):
    """There is no answer, or only a part. `reason` is one of a few short texts that are counted."""

    code = "UNAVAILABLE"

    def __init__(self, reason: str, detail: str = "", seconds: float = 0.0) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.seconds = seconds
        self.unreachable = reason in _UNREACHABLE
        """Whether no connection to the host could be made."""

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.reason not in _FINAL


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """The limits of requests and their answers. All requests of a crawl share one object."""

    connect_timeout_s: float
    """From the first packet until the connection is ready, TLS included."""
    first_byte_timeout_s: float
    """From then until the answer begins."""
    stall_timeout_s: float
    """The longest pause in the middle of an answer."""
    max_body_bytes: int
    """The most bytes of an unpacked body."""
    max_download_bytes: int
    """The most bytes of a body as it arrives over the wire."""
    content_types: Sequence[str]
    """Patterns of media types. Bodies of other types are not fetched. Empty allows all."""
    http_version: str
    verify_tls: bool
    dns_ttl_s: float

    @property
    def most_bytes(self) -> int:
        """The most bytes that may arrive. A packed body is never larger than the unpacked one."""
        return min(self.max_download_bytes, self.max_body_bytes)

    @classmethod
    def of(cls, settings: CrawlSettings) -> Self:
        """The limits that the settings of a crawl ask for."""
        return cls(
            connect_timeout_s=settings.connect_timeout_s,
            first_byte_timeout_s=settings.first_byte_timeout_s,
            stall_timeout_s=settings.stall_timeout_s,
            max_body_bytes=settings.max_body_bytes,
            max_download_bytes=settings.max_download_bytes,
            content_types=tuple(pattern.lower() for pattern in settings.content_types),
            http_version=settings.http_version,
            verify_tls=settings.verify_tls,
            dns_ttl_s=settings.dns_ttl_s,
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password for a site."""

    user: str
    password: str = field(repr=False)
    digest: bool = False
    """Whether to use digest authentication (RFC 7616). Otherwise the password is sent as text."""


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a crawl asks a site: its header lines, and its login."""

    headers: tuple[str, ...]
    credentials: Credentials | None = None

    def elsewhere(self) -> Self:
        """The same for a host for which its secrets are not meant."""
        kept = (line for line in self.headers if wire.name_of(line) not in wire.BOUND)
        return replace(self, headers=tuple(kept), credentials=None)


class CookieStore(Protocol):
    """The cookies of a session, for a fetcher."""

    session: str
    """The name of the session."""

    def attach(self, handle: Any) -> None:
        """Make a libcurl handle send these cookies, and store here the cookies that it receives."""
        ...

    def add(
        self, name: str, value: str, *, domain: str, below: bool, path: str, secure: bool
    ) -> None:
        """Keep a cookie for a host; with `below`, also for the hosts below it."""
        ...

    def sent_to(self, url: str, host: str) -> Sequence[str]:
        """The cookies that a request to a URL of a host carries, as `name=value`."""
        ...

    def lines_of(self, names: Collection[str], host: str) -> Sequence[str]:
        """The cookies of a host with these names, for `restore`."""
        ...

    def restore(self, lines: Iterable[str]) -> None:
        """Keep cookies that `lines_of` gave, where there are none in their place."""
        ...

    def answered(self) -> None:
        """Count an answer to a request with these cookies."""
        ...


@dataclass(slots=True)
class FetchCall:
    """One request as it is sent. `url` is safe ASCII. Do not change it after `submit`."""

    url: str
    headers: Sequence[str]
    """Header lines, `Name: value`; `Name;` for one that is empty, `Name:` for one that is not sent.
    Bytes outside UTF-8 are lone surrogates (`headers.bytes_of`)."""
    terms: FetchLimits
    timeout_s: float
    """Seconds from sending to the last byte."""
    method: str = "GET"
    body: bytes | None = None
    jar: CookieStore | None = None
    """The cookies to send, and the store for those that arrive. None means no cookies."""
    cookies: str = ""
    """More cookies for this request alone, in the form of the header."""
    referer: str = ""
    """The URL for the header Referer, unless `headers` has one. Empty means none."""
    proxy: str = ""
    """The URL of the proxy. Empty means no proxy."""
    credentials: Credentials | None = None
    fetcher: str = ""
    """The name of the fetcher to use. Empty means libcurl."""
    on_way: Callable[[], None] | None = None
    """Is called when the request goes onto the wire: its connection stands. Pauses count from then.
    It may be called again, if the request is sent again."""


@dataclass(slots=True)
class FetchAnswer:
    """One response as received, with its body unpacked. Do not change it: a frozen one would take
    four times as long to make."""

    status: int
    header_lines: Sequence[bytes]
    body: bytes
    seconds: float
    """Seconds from sending to the last byte."""
    waited_s: float = 0.0
    """Seconds from sending the request on a ready connection to the first byte."""
    body_s: float = 0.0
    """Seconds from the first byte of the body to the last."""
    received: int = 0
    """The bytes of the body as it came over the wire."""
    cached: bool = False
    """Whether the answer came from the HTTP cache."""
    address: str = ""
    """The IP address of the server, or of the proxy if one was used. Empty if unknown."""
    is_cut: bool = False
    """Whether the packed body ended too early, so that `body` is a part of what it should be."""


Done = Callable[[FetchAnswer | FetchError], None]
"""Called once with the result of a request."""


class Sent(Protocol):
    """A request in flight."""

    def cancel(self) -> None:
        """Cancel the request: `done` will not be called. Does nothing if the request has ended."""
        ...
