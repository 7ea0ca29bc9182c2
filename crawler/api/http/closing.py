"""Answers that the server gives by itself, without the application, and the headers of all."""

from __future__ import annotations

from crawler.api.failures import Failure
from crawler.api.http import bodies

GUARDS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)
"""Headers of every answer. To a browser it is nothing but what its type says, no page frames it,
and it loads and runs nothing."""

_GUARD_LINES = "".join(f"{name}: {value}\r\n" for name, value in GUARDS)


def closing(status: str, failure: Failure, more: str = "") -> bytes:
    """Return an answer after which the connection ends."""
    body = bodies.write(bodies.failure(failure))
    head = (
        f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{more}{_GUARD_LINES}\r\n"
    )
    return head.encode() + body
