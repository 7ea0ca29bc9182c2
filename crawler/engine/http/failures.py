"""What an errback gets: the reason why a request has no page. The interface is Scrapy's."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import gevent

from crawler.engine.http.messages import FetchError

if TYPE_CHECKING:
    from crawler.engine.http.request import Request
    from crawler.engine.http.response import Response


FAULTS = (Exception, SystemExit, gevent.Timeout)
"""The exceptions of spiders, pipelines and plugins that are handled as their faults.

Without SystemExit here, a `sys.exit` in a spider would end the worker with all its crawls.
"""


class IgnoreRequest(Exception):
    """A request is not sent, or its answer is ignored: robots.txt forbids it, for example."""


class HttpError(IgnoreRequest):
    """An answer whose HTTP status the callback did not ask for. `response` holds the answer."""

    def __init__(self, response: Response, *args: Any) -> None:
        super().__init__(*(args or (f"HTTP {response.status}",)))
        self.response = response


class CloseSpider(Exception):
    """A callback raises this to end the crawl. `reason` is the finish reason."""

    def __init__(self, reason: str = "cancelled") -> None:
        super().__init__(reason)
        self.reason = reason


class DNSLookupError(FetchError):
    """The host's name has no address."""


class TimedOut(FetchError, TimeoutError):
    """No answer came in time."""


class ConnectError(FetchError, ConnectionError):
    """No connection was made, or it broke."""


class Refused(FetchError, ConnectionRefusedError):
    """Nothing listens on that port."""


_KINDS = {
    "dns": DNSLookupError,
    "timeout": TimedOut,
    "connection refused": Refused,
    "connection failed": ConnectError,
    "connection closed": ConnectError,
}


Kind = type[BaseException]


class Failure:
    """The reason why `request` has no page. `value` is the exception."""

    def __init__(self, value: BaseException, request: Request) -> None:
        self.value = value
        self.request = request

    @property
    def type(self) -> Kind:
        """The class of the exception."""
        return self.value.__class__

    @property
    def response(self) -> Response | None:
        """The answer, if its HTTP status is the reason."""
        return getattr(self.value, "response", None)

    def check(self, *kinds: Kind) -> Kind | None:
        """The first of these classes to which the exception belongs; None if there is none."""
        return next((kind for kind in kinds if isinstance(self.value, kind)), None)

    def trap(self, *kinds: Kind) -> Kind:
        """As `check`, but raises the exception if it belongs to none."""
        kind = self.check(*kinds)
        if kind is None:
            raise self.value
        return kind

    def getErrorMessage(self) -> str:
        """The message of the exception, in one line."""
        return str(self.value)

    def getTraceback(self) -> str:
        """The exception with its traceback, if it was raised."""
        return "".join(traceback.format_exception(self.value))

    def __repr__(self) -> str:
        return f"<Failure {self.type.__name__}: {self.value}>"


def fetch_error(reason: str, detail: str = "") -> FetchError:
    """The exception for a reason of the fetcher, of a class that an errback can `check` for."""
    return _KINDS.get(reason, FetchError)(reason, detail.removeprefix(f"{reason}: "))
