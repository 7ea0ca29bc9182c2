"""One HTTP request and what comes of it, as values: independent of how it is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crawler.errors import CrawlerError

TOO_LONG = "host rests too long"
DOWN = "host is down"
_FINAL = frozenset(
    {TOO_LONG, DOWN, "bad url", "forbidden address", "forbidden scheme", "too large", "tls"}
)
_UNREACHABLE = frozenset({"connection refused", "connection failed", "dns"})


class FetchError(CrawlerError):
    """No answer, or not a whole one. `reason` is one of few short texts, to be counted by."""

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
class Call:
    """One request as it is sent; `url` is safe ASCII."""

    url: str
    headers: Sequence[str]
    """Lines `Name: value`."""
    timeout_s: float
    connect_timeout_s: float
    max_body_bytes: int
    """Counted after decompression, while the body comes in."""
    method: str = "GET"
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
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
