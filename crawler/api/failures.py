"""Translates an error for clients: a gRPC status, an HTTP status, and one sentence.

The client gets the message of an error that the program raises on purpose. Any other error is a
bug: the client gets an id, and the log of this node has the traceback under that id. Nothing of the
traceback leaves the node.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from crawler.errors import CrawlerError, Overloaded, Unavailable
from crawler.logs import get_logger

log = get_logger(__name__)

MAX_MESSAGE_BYTES = 2000
"""The limit of a message. gRPC sends messages as headers, with three bytes for each character
beyond ASCII, and peers drop headers beyond 8 KiB."""

CODES = {
    "OK": (0, 200),
    "CANCELLED": (1, 499),
    "UNKNOWN": (2, 500),
    "INVALID_ARGUMENT": (3, 400),
    "DEADLINE_EXCEEDED": (4, 504),
    "NOT_FOUND": (5, 404),
    "ALREADY_EXISTS": (6, 409),
    "PERMISSION_DENIED": (7, 403),
    "RESOURCE_EXHAUSTED": (8, 429),
    "FAILED_PRECONDITION": (9, 400),
    "ABORTED": (10, 409),
    "OUT_OF_RANGE": (11, 400),
    "UNIMPLEMENTED": (12, 501),
    "INTERNAL": (13, 500),
    "UNAVAILABLE": (14, 503),
    "DATA_LOSS": (15, 500),
    "UNAUTHENTICATED": (16, 401),
}
"""The number and the HTTP status of each gRPC code, as grpc-gateway maps them."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a client learns about an error."""

    code: str
    """The name of the gRPC status."""
    message: str
    retry_after_s: float | None = None
    """In how many seconds the same call may succeed; None if waiting changes nothing."""

    @property
    def number(self) -> int:
        """The gRPC status as a number."""
        return CODES[self.code][0]

    @property
    def http_status(self) -> int:
        """The HTTP status that matches."""
        return CODES[self.code][1]


def explain(error: BaseException, where: str) -> Failure:
    """Return the failure for an error raised in the call `where`. Log the error if it is a bug."""
    if isinstance(error, CrawlerError) and error.code in CODES:
        return Failure(error.code, shorten(str(error)), _retry_after_s(error))
    error_id = uuid.uuid4().hex[:12]
    log.error(
        "a bug made a request fail; the client got this id",
        error_id=error_id,
        call=where,
        exc_info=(type(error), error, error.__traceback__),
    )
    return Failure("INTERNAL", f"internal error; see the log of this node, id {error_id}")


def shorten(message: str) -> str:
    """Return as much of the message as fits into a gRPC header."""
    encoded = message.encode(errors="backslashreplace")
    if len(encoded) <= MAX_MESSAGE_BYTES:
        return encoded.decode()
    return encoded[: MAX_MESSAGE_BYTES - 3].decode(errors="ignore") + "..."


def _retry_after_s(error: CrawlerError) -> float | None:
    if isinstance(error, Unavailable | Overloaded):
        return error.retry_after_s
    return 1.0 if error.code == "UNAVAILABLE" else None
