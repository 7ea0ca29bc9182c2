"""Translates the statuses of gRPC into errors of this program, with the code of the other side."""

from __future__ import annotations

from typing import Any

from crawler.api.rpc.bulkhead import Permit
from crawler.api.rpc.metadata import ANSWERED
from crawler.errors import (
    AlreadyExists,
    Conflict,
    CrawlerError,
    Forbidden,
    InvalidArgument,
    NotFound,
    Overloaded,
    Rejected,
    Unauthenticated,
)

MOST_PAUSE_S = 3600.0
"""The longest pause, in seconds, that another master may ask for."""

_REJECTED: dict[str, type[Rejected]] = {
    "INVALID_ARGUMENT": InvalidArgument,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": AlreadyExists,
    "ABORTED": Conflict,
    "FAILED_PRECONDITION": Rejected,
    "OUT_OF_RANGE": Rejected,
    "PERMISSION_DENIED": Forbidden,
    "UNAUTHENTICATED": Unauthenticated,
    "UNIMPLEMENTED": Rejected,
}

_UNANSWERED = ("UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "UNKNOWN", "INTERNAL")
"""The codes that gRPC itself uses for a failed connection. The server of the other side decided all
other codes."""


def refusal(error: Any) -> CrawlerError:
    """Return the error for a status that the other side decided."""
    code, message = error.code().name, error.details() or ""
    if code in _REJECTED:
        return _coded(_REJECTED[code](message), code)
    if code == "RESOURCE_EXHAUSTED":
        too_large = "larger than max" in message
        return _coded(Rejected(message) if too_large else Overloaded(message), code)
    return _coded(CrawlerError(message), code)


def judge(error: Any, passage: Permit) -> None:
    """Report to the breaker what an error says about the peer. A refusal is an answer like any
    other."""
    code = error.code().name
    if ANSWERED in trailer(error) or code not in _UNANSWERED:
        passage.answered()
    elif code == "DEADLINE_EXCEEDED":
        passage.silent()
    else:
        passage.broken()


def _coded(error: CrawlerError, code: str) -> CrawlerError:
    error.code = code
    return error


def seconds(text: Any) -> float:
    """Return the seconds in a trailer; one second for what is no sensible number."""
    try:
        found = float(text or 1.0)
    except ValueError:
        return 1.0
    return found if 0.0 <= found <= MOST_PAUSE_S else 1.0


def trailer(error: Any) -> dict[str, Any]:
    """Return what the other side sent behind its status."""
    return dict(error.trailing_metadata() or ())
