"""The way of a new task past Flask: what it does around a route costs as much as the route.

A leader has some 300 µs for each task that it accepts, and Flask takes 80 of them. So the plainest
request for the most frequent call, an addition with all its body announced, is answered here, by
the same service, schemas and bodies as in `routes`. What is not plain goes on to Flask as it came,
and errors do so too: there they are answered, whatever raised them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from crawler.api.http import bodies
from crawler.api.limiter import RateLimiter
from crawler.api.service import Call, Service
from crawler.schemas import task_schemas
from crawler.settings.sections import ApiSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PATH = "/crawler/resource"
METHOD = "POST"


class FastPath:
    """Adds tasks for requests that have not been looked at by Flask."""

    def __init__(self, service: Service, limiter: RateLimiter, settings: ApiSettings) -> None:
        self._service = service
        self._limiter = limiter
        self._timeout_s = settings.timeout_s
        self._most = settings.max_request_bytes

    def takes(self, environ: WSGIEnvironment) -> bool:
        """Whether it is an addition with the usual deadline, and a body that is not too large."""
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
        """Add the task; the body of the answer. Raises what the route would raise."""
        self._limiter.admit("http", environ.get("REMOTE_ADDR") or "")
        call = Call(self._timeout_s)
        spec = task_schemas.load_spec(bodies.read_object(self._body(environ)))
        return bodies.write(bodies.placement(self._service.backend(call).add(spec, call)))

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
    """The length of the body, as it was announced; below zero when it is not plain."""
    text = environ.get("CONTENT_LENGTH", "")
    return int(text) if text.isascii() and text.isdecimal() else -1
