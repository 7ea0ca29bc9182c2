"""What an errback gets: why a request has no page for its callback. The names are Scrapy's."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import gevent

from crawler.engine.http.messages import FetchError

if TYPE_CHECKING:
    from crawler.engine.http.request import Request
    from crawler.engine.http.response import Response


FAULTS = (Exception, SystemExit, gevent.Timeout)
"""What spiders, pipelines and plugins raise at their own cost. A `sys.exit` that got through would
end the worker, with every crawl of it."""


class IgnoreRequest(Exception):
    """A request that is not sent, or whose answer is not used, as when robots.txt forbids it."""


class HttpError(IgnoreRequest):
    """An answer with an HTTP status that the callback does not ask for, in `response`."""

    def __init__(self, response: Response, *args: Any) -> None:
        super().__init__(*(args or (f"HTTP {response.status}",)))
        self.response = response


class CloseSpider(Exception):
    """A callback raises it to end the crawl; `reason` becomes the finish reason."""

    def __init__(self, reason: str = "cancelled") -> None:
        super().__init__(reason)
        self.reason = reason


class DNSLookupError(FetchError):
    """The name of the host has no address."""


class TimedOut(FetchError, TimeoutError):
    """No answer in time."""


class ConnectError(FetchError, ConnectionError):
    """No connection, or one that broke."""


class Refused(FetchError, ConnectionRefusedError):
    """Nothing listens at that port."""


_KINDS = {
    "dns": DNSLookupError,
    "timeout": TimedOut,
    "connection refused": Refused,
    "connection failed": ConnectError,
    "connection closed": ConnectError,
}


Kind = type[BaseException]


class Failure:
    """Why `request` has no page; `value` is the exception."""

    def __init__(self, value: BaseException, request: Request) -> None:
        self.value = value
        self.request = request

    @property
    def type(self) -> Kind:
        """The class of the exception."""
        return self.value.__class__

    @property
    def response(self) -> Response | None:
        """The answer, if its HTTP status made the request fail."""
        return getattr(self.value, "response", None)

    def check(self, *kinds: Kind) -> Kind | None:
        """The first of the exception classes to which `value` belongs, or None."""
        return next((kind for kind in kinds if isinstance(self.value, kind)), None)

    def trap(self, *kinds: Kind) -> Kind:
        """Like `check`, but raises `value` if it belongs to none of the classes."""
        kind = self.check(*kinds)
        if kind is None:
            raise self.value
        return kind

    def getErrorMessage(self) -> str:
        """What went wrong, in a line."""
        return str(self.value)

    def getTraceback(self) -> str:
        """The exception with the place where it was raised, if it was."""
        return "".join(traceback.format_exception(self.value))

    def __repr__(self) -> str:
        return f"<Failure {self.type.__name__}: {self.value}>"


def fetch_error(reason: str, detail: str = "") -> FetchError:
    """The exception for a reason of the fetcher, of a class an errback can `check` for."""
    return _KINDS.get(reason, FetchError)(reason, detail.removeprefix(f"{reason}: "))
