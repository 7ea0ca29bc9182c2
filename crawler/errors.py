"""Every error the program raises on purpose, in one tree drawn by what the caller does next.

    CrawlerError
    ├── Retryable                the same call may succeed later
    │   ├── Unavailable          nobody answered, or nobody leads: try again after a while
    │   │   └── StoreFull        the store takes no writes until somebody makes room in it
    │   ├── Overloaded           too much is under way already: try again after a while
    │   ├── OutcomeUnknown       a write was sent and its answer never came: settle it by reading
    │   └── Compacted            a watch asked for history that is gone: list again
    ├── Rejected                 the caller's request is at fault; repeating it changes nothing
    │   ├── InvalidArgument
    │   │   └── ConfigError      the same, for settings: every fault in one message
    │   ├── NotFound
    │   ├── AlreadyExists
    │   ├── StoreRefused         the store will never take it: too large, not permitted
    │   └── Conflict             somebody else changed what the request was based on
    └── Lost                     stop now: what the work was based on is gone
        ├── LeaseLost
        └── LeadershipLost

Foreign exceptions are translated into these in one file per library. That a task cannot be placed
is no exception: `Resource.reason` says why it waits.
"""

from __future__ import annotations

from typing import Any


class CrawlerError(Exception):
    """The root. `code` is the gRPC status name under which the API reports the error."""

    code = "INTERNAL"


class Retryable(CrawlerError):
    """The same call may succeed later; loops catch this family and back off."""

    code = "UNAVAILABLE"


class Unavailable(Retryable):
    """Nobody answered in time to say that the request was accepted; it was not acted upon."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreFull(Unavailable):
    """The store has no room, and refused a write before anything was done; reads go on."""


class Overloaded(Retryable):
    """Too much is under way already; the request was refused before anything was done."""

    code = "RESOURCE_EXHAUSTED"


class OutcomeUnknown(Retryable):
    """A write was sent and its answer never came; read before you repeat it."""

    code = "DEADLINE_EXCEEDED"


class Compacted(Retryable):
    """The history from the wanted revision on is gone; `revision` is the oldest that is left."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"history before revision {revision} was compacted")
        self.revision = revision


class Rejected(CrawlerError):
    """The request itself is at fault; the message says what to change."""

    code = "INVALID_ARGUMENT"


class InvalidArgument(Rejected):
    """A field has a value that is not allowed; the message names field, value and what is."""


class ConfigError(InvalidArgument):
    """Settings are wrong; the message lists every fault, each with its path and what is allowed."""


class NotFound(Rejected):
    """Nothing of that name exists."""

    code = "NOT_FOUND"


class AlreadyExists(Rejected):
    """Something of that name exists already and differs."""

    code = "ALREADY_EXISTS"


class StoreRefused(Rejected):
    """The store refused a request for good and did nothing; its message says why."""

    code = "FAILED_PRECONDITION"


class Conflict(Rejected):
    """What the request was based on has changed meanwhile; read again and decide anew."""

    code = "ABORTED"


class Lost(CrawlerError):
    """What the work was based on is gone; whoever catches this stops the work first."""

    code = "UNAVAILABLE"


class LeaseLost(Lost):
    """The lease ended, or may have ended by the local clock."""


class LeadershipLost(Lost):
    """Another leads, or may lead by now; no write of the old leader is accepted any more."""


def shown(value: Any) -> str:
    """A value as an error message shows it: on one line, and not all of a long one."""
    text = repr(value) if isinstance(value, (str, int, float)) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
