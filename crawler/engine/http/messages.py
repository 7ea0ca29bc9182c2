"""One HTTP request and what comes of it, as values: independent of how it is fetched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from crawler.errors import CrawlerError
from crawler.settings.crawl import CrawlSettings

TOO_LONG = "host rests too long"
DOWN = "host is down"
_FINAL = frozenset(
    {
        TOO_LONG,
        DOWN,
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
    """No answer, or only a part of one. `reason` is one of few short texts, for counting."""

    code = "UNAVAILABLE"

    def __init__(self, reason: str, detail: str = "", seconds: float = 0.0) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.seconds = seconds
        self.unreachable = reason in _UNREACHABLE
        """Whether no connection to the host came about."""

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.reason not in _FINAL


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How requests are sent, and what is taken of their answers: one for all of a crawl."""

    connect_timeout_s: float
    """From the first packet until the connection is made, TLS included."""
    first_byte_timeout_s: float
    """From then until an answer begins."""
    stall_timeout_s: float
    """How long no byte may arrive in the middle of an answer."""
    max_body_bytes: int
    """As unpacked."""
    max_download_bytes: int
    """As it comes over the wire."""
    content_types: Sequence[str]
    """Patterns of media types; bodies of others are not fetched. Empty takes all."""
    http_version: str
    verify_tls: bool
    dns_ttl_s: float

    @property
    def most_bytes(self) -> int:
        """How many bytes may arrive. A body that is too large packed will be too large unpacked."""
        return min(self.max_download_bytes, self.max_body_bytes)

    @classmethod
    def of(cls, settings: CrawlSettings) -> Self:
        """Those that the settings of a crawl ask for."""
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
    """The user and the password for a site that asks for them."""

    user: str
    password: str = field(repr=False)
    digest: bool = False
    """By RFC 7616's challenge; else in the clear, as `basic` is."""


class CookieStore(Protocol):
    """The cookies of a session, as a fetcher uses them."""

    def attach(self, handle: Any) -> None:
        """Have a handle of libcurl send these cookies, and put here what it gets."""
        ...

    def add(
        self, name: str, value: str, *, domain: str, below: bool, path: str, secure: bool
    ) -> None:
        """Keep a cookie for a host, and for those `below` it."""
        ...

    def answered(self) -> None:
        """An answer came to a request with these cookies."""
        ...


@dataclass(slots=True)
class FetchCall:
    """One request as it is sent; `url` is safe ASCII. Not to be changed."""

    url: str
    headers: Sequence[str]
    """Lines `Name: value`."""
    terms: FetchLimits
    timeout_s: float
    """From sending to the last byte."""
    method: str = "GET"
    body: bytes | None = None
    jar: CookieStore | None = None
    """Cookies to send, and where to keep those that come; None is without."""
    cookies: str = ""
    """Further cookies for this request alone, as the header has them."""
    proxy: str = ""
    """Its URL; empty is without."""
    credentials: Credentials | None = None
    fetcher: str = ""
    """Name of the fetcher that is to send it; empty is libcurl."""


@dataclass(frozen=True, slots=True)
class FetchAnswer:
    """One response as received, its body decompressed."""

    status: int
    header_lines: Sequence[bytes]
    body: bytes
    seconds: float
    """From sending to the last byte."""
    waited_s: float = 0.0
    """From when the request went out, on a connection that stood, to the first byte."""
    body_s: float = 0.0
    """From the first byte to the last."""
    received: int = 0
    """Bytes of the body as they came over the wire."""
    cached: bool = False
    """Whether it came from the HTTP cache."""
    address: str = ""
    """The IP address that it came from, that of the proxy where there was one; empty if unknown."""


Done = Callable[[FetchAnswer | FetchError], None]
"""Gets what came of a request, once."""


class Sent(Protocol):
    """A request on its way."""

    def cancel(self) -> None:
        """Break it off: its `done` is not called any more. Harmless when it has ended."""
        ...
