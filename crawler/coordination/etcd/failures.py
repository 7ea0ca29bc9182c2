"""Translates the errors of etcd and gRPC into the program's own. Only this module reads their
texts.

The most important question is whether a write may have been carried out. It certainly was not if
etcd says that it refused the write, or if there was no connection. In every other case the outcome
is unknown.
"""

from __future__ import annotations

import grpc

from crawler.errors import (
    Compacted,
    CrawlerError,
    LeaseLost,
    OutcomeUnknown,
    Overloaded,
    StoreFull,
    StoreRefused,
    Unavailable,
)

FULL_RETRY_S = 10.0
"""When a write may be tried again while etcd is full, in seconds: somebody has to free space
first."""

_FULL = (
    "etcd's database is full (its quota): writes are refused; free space: compact, defrag, then "
    "`etcdctl alarm disarm`; reads go on, and existing leases stay"
)
_CORRUPT = (
    "etcd refuses writes, as its members disagree (alarm CORRUPT): replace the member named by "
    "`etcdctl alarm list`, then `etcdctl alarm disarm`"
)
_NO_ROLE = "etcd.user needs a role with readwrite on the prefixes of the section coordination"
_NO_USER = "etcd requires a user: set etcd.user, and CRAWLER_ETCD_PASSWORD"

_REFUSALS = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
)
"""Statuses with which etcd says that it did nothing, and will not do it if asked again."""

_STALE = (
    "etcdserver: invalid auth token",
    "etcdserver: user name is empty",
    "etcdserver: revision of auth store is old",
    "auth: revision in header is old",  # of etcd 3.5.1 for writes, with the status UNKNOWN
)
"""What etcd says, before it does anything, about a token that is unknown or outdated."""

_HINTS = (
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not signed by etcd.ca"),
    ("Hostname Verification", "its certificate names other hosts than etcd.endpoints"),
    ("_CERTIFICATE", "it refuses our certificate, or misses one: check etcd.cert and etcd.key"),
    ("Handshake read failed", "it seems to speak no TLS, but etcd.ca is set"),
    ("Socket closed", "it closes the connection; if it speaks TLS, set etcd.ca"),
)
"""What gRPC's messages about a connection that was never made mean. The first match counts."""

_NEVER_SENT = ("failed to connect", "connections to all backends")


class Stuck(Exception):
    """A call that did not end within its deadline, not even by gRPC's own clock."""


class StaleToken(Unavailable):
    """etcd did nothing, because it does not know the token any more. Sign in again, and repeat the
    call."""


FAILURES = (grpc.RpcError, Stuck, ValueError)
"""What a call may raise. gRPC raises ValueError if the channel was closed."""


def code_of(error: Exception) -> grpc.StatusCode | None:
    """Return gRPC's status; None if there was no answer at all."""
    return error.code() if isinstance(error, grpc.RpcError) else None


def details_of(error: Exception) -> str:
    """Return the message of etcd or gRPC."""
    return (error.details() or "") if isinstance(error, grpc.RpcError) else ""


def translated(error: Exception, endpoint: str, write: bool) -> CrawlerError:
    """Return the program's own error. `write` says whether the call would have changed
    something."""
    if isinstance(error, ValueError):
        return Unavailable(f"the connection to etcd at {endpoint} was closed")
    if not isinstance(error, grpc.RpcError):
        return _silent(f"etcd at {endpoint}: no answer within the deadline", write)
    code, details = error.code(), details_of(error)
    known = _by_text(code, details)
    if known is not None:
        return known
    message = f"etcd at {endpoint}: {code.name}: {details}"
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Overloaded(message)
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return StoreRefused(f"{message}; {_NO_ROLE}")
    if code in _REFUSALS:
        return StoreRefused(message)
    if any(text in details for text in _NEVER_SENT):
        hints = [f"{hint}: " for text, hint in _HINTS if text in details]
        return Unavailable(f"etcd at {endpoint}: {''.join(hints[:1])}{details}")
    return _silent(message, write)


def is_stale(details: str) -> bool:
    """Whether etcd did nothing because the token is unknown or missing."""
    return any(text in details for text in _STALE)


def cancelled(reason: str) -> CrawlerError:
    """Return the error for a watch that etcd ended, by etcd's message."""
    if is_stale(reason):
        return StaleToken(f"etcd ended the watch: {reason}")
    if "permission denied" in reason:
        return StoreRefused(f"etcd ended the watch: {reason}; {_NO_ROLE}")
    return Unavailable(f"etcd ended the watch: {reason}")


def _by_text(code: grpc.StatusCode, details: str) -> CrawlerError | None:
    """Return the error if the status alone does not say enough, else None."""
    if code is grpc.StatusCode.NOT_FOUND and "lease" in details:
        return LeaseLost(f"etcd: {details}")
    if code is grpc.StatusCode.OUT_OF_RANGE and "compacted" in details:
        return Compacted(0)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "database space exceeded" in details:
        return StoreFull(_FULL, FULL_RETRY_S)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "message larger than max" in details:
        return StoreRefused(f"etcd refuses so large a request: {details}")
    if code is grpc.StatusCode.DATA_LOSS and "corrupt" in details:
        return Unavailable(_CORRUPT, FULL_RETRY_S)
    if is_stale(details):
        return StaleToken(f"{_NO_USER} ({details})" if "empty" in details else f"etcd: {details}")
    return None


def _silent(message: str, write: bool) -> CrawlerError:
    return OutcomeUnknown(message) if write else Unavailable(message)
