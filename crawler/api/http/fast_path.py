"""The fast path of a new task around Flask, which costs as much as the route itself.

A leader has some 300 µs for each task that it accepts, and Flask takes 80 of them. Therefore this
module answers the plainest request of the most frequent call: an addition whose body is announced
with its length. It uses the same service, schemas and bodies as `routes`. Flask answers all other
requests, and all errors, whoever raised them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from crawler.api.backend import Call
from crawler.api.doors import Doors
from crawler.api.http import bodies
from crawler.api.http.access import approach
from crawler.api.http.tracing import span
from crawler.api.limiter import RateLimiter
from crawler.api.service import Service
from crawler.model.access import Need
from crawler.schemas import task_schemas
from crawler.settings.sections import ApiSettings
from crawler.tracing.tracing import Tracing

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PATH = "/crawler/resource"
METHOD = "POST"
ENDPOINT = "crawler.add"


class FastPath:
    """Adds tasks for requests that Flask has not seen."""

    def __init__(
        self,
        service: Service,
        limiter: RateLimiter,
        doors: Doors,
        settings: ApiSettings,
        tracing: Tracing,
    ) -> None:
        self._service = service
        self._tracing = tracing
        self._doors = doors
        self._limiter = limiter
        self._timeout_s = settings.timeout_s
        self._most = settings.max_request_bytes

    def takes(self, environ: WSGIEnvironment) -> bool:
        """Whether the request is an addition with the usual deadline and a body that is not too
        large."""
        return (
            environ.get("PATH_INFO") == PATH
            and environ["REQUEST_METHOD"] == METHOD
            and "HTTP_GRPC_TIMEOUT" not in environ
            and "HTTP_TRANSFER_ENCODING" not in environ
            and "HTTP_UPGRADE" not in environ
            and "upgrade" not in environ.get("HTTP_CONNECTION", "").lower()
            and 0 <= _length(environ) <= self._most
        )

    def answer(self, environ: WSGIEnvironment) -> bytes:
        """Add the task. Return the body of the answer. Raises what the route would raise."""
        self._limiter.admit("http", environ.get("REMOTE_ADDR") or "")
        caller = self._doors.admit(approach(environ, ENDPOINT, f"{METHOD} {PATH}"), Need.TASKS)
        with span(self._tracing, environ, PATH) as trace:
            call = Call(self._timeout_s, caller=caller, trace=trace)
            spec, waits = task_schemas.load_addition(bodies.read_object(self._body(environ)))
            submission = self._service.backend(call).submit(spec, call, waits)
        return bodies.write(bodies.placement(submission))

    def _body(self, environ: WSGIEnvironment) -> bytes:
        length = _length(environ)
        body: bytes = b""
        with gevent.Timeout(self._timeout_s, RequestTimeout):
            try:
                body = environ["wsgi.input"].read(length)
            except OSError as error:
                raise ClientDisconnected from error
        if len(body) < length:
            raise ClientDisconnected
        return body


def _length(environ: WSGIEnvironment) -> int:
    """Return the announced length of the body; negative if the request is not plain."""
    text = environ.get("CONTENT_LENGTH", "")
    return int(text) if text.isascii() and text.isdecimal() else -1
