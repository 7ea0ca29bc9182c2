"""All errors that the program raises on purpose, in a tree ordered by what the caller does next.

    CrawlerError
    ├── Retryable                the same call may succeed later
    │   ├── Unavailable          nobody answered, or nobody leads: try again after a while
    │   │   └── StoreFull        the store takes no writes until somebody makes room in it
    │   ├── Overloaded           too many requests are in progress: try again after a while
    │   ├── OutcomeUnknown       a write was sent but never answered: read to find its outcome
    │   └── Compacted            a watch asked for history that is gone: list again
    ├── Rejected                 the caller's request is wrong; repeating it changes nothing
    │   ├── InvalidArgument
    │   │   └── ConfigError      the same for settings: all faults in one message
    │   ├── NotFound
    │   ├── AlreadyExists
    │   ├── WouldRestart         a change would begin a run anew, which nobody allowed
    │   ├── WrongState           the task is in a state in which the request makes no sense
    │   ├── StoreRefused         the store will never take it: too large, not permitted
    │   ├── Unauthenticated      nobody knows who calls: a token is missing or wrong
    │   ├── Forbidden            the caller may not do this
    │   └── Conflict             somebody else changed the data on which the request was based
    └── Lost                     stop now: the lease or the leadership behind the work is gone
        ├── LeaseLost
        └── LeadershipLost

For each library, one file translates its exceptions into these. A task that cannot be placed is
parked with a reason; that is a value, never an exception.
"""

from __future__ import annotations

from typing import Any


class CrawlerError(Exception):
    """The root. `code` is the gRPC status name with which the API reports the error."""

    code = "INTERNAL"


class Retryable(CrawlerError):
    """The same call may succeed later. Loops catch this family and back off."""

    code = "UNAVAILABLE"


class Unavailable(Retryable):
    """Nobody accepted the request in time. It had no effect."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreFull(Unavailable):
    """The store is full and refused a write before it did anything. Reads still work."""


class Overloaded(Retryable):
    """Too many requests are in progress. This one was refused before anything was done."""

    code = "RESOURCE_EXHAUSTED"

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(Retryable):
    """A write was sent, but never answered. Read before you repeat it."""

    code = "DEADLINE_EXCEEDED"


class Compacted(Retryable):
    """The history from the wanted revision on is gone. `revision` is the oldest that is left."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"history before revision {revision} was compacted")
        self.revision = revision


class Rejected(CrawlerError):
    """The request itself is wrong. The message says what to change."""

    code = "INVALID_ARGUMENT"


class InvalidArgument(Rejected):
    """A field has a bad value. The message names the field, the value, and what is allowed."""


class ConfigError(InvalidArgument):
    """Settings are wrong. The message lists all faults, each with its path and what is allowed."""


class NotFound(Rejected):
    """Nothing with that name exists."""

    code = "NOT_FOUND"


class AlreadyExists(Rejected):
    """Something with that name already exists, and differs."""

    code = "ALREADY_EXISTS"


class WouldRestart(Rejected):
    """A change would begin the run of a task anew, and the caller did not allow that."""

    code = "FAILED_PRECONDITION"


class WrongState(Rejected):
    """The task is in a state in which the request makes no sense. The message says what does."""

    code = "FAILED_PRECONDITION"


class StoreRefused(Rejected):
    """The store refused a request for good and did nothing. Its message says why."""

    code = "FAILED_PRECONDITION"


class Unauthenticated(Rejected):
    """Nobody knows who calls. The message says how to give a token."""

    code = "UNAUTHENTICATED"


class Forbidden(Rejected):
    """The caller may not do this."""

    code = "PERMISSION_DENIED"


class Conflict(Rejected):
    """The data on which the request was based has changed. Read again, and decide anew."""

    code = "ABORTED"


class Lost(CrawlerError):
    """The lease or leadership behind the work is gone. Whoever catches this stops the work."""

    code = "UNAVAILABLE"


class LeaseLost(Lost):
    """The lease ended, or may have ended by the local clock."""


class LeadershipLost(Lost):
    """Another master leads, or may lead. etcd accepts no more writes of the old leader."""


def shown(value: Any) -> str:
    """A value as an error message shows it: on one line, and shortened if it is long."""
    if isinstance(value, int) and abs(value) >= 10**60:  # Python converts only so many digits
        return "a number of more than 60 digits"
    text = repr(value) if isinstance(value, (str, int, float)) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
