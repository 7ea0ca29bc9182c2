"""HTTP: builds the WSGI application of a node, and answers every error as grpc-gateway does.

The application of a master serves the API; a worker's tells of its crawls (worker_routes.py).
Both have health, readiness and metrics.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import get_path_info

from crawler.api.failures import Failure, explain, shorten
from crawler.api.health import Health
from crawler.api.http import bodies, fast_path
from crawler.api.http.fast_path import FastPath
from crawler.api.http.routes import EXTENSION, Parts, answer, api, node, parts
from crawler.api.http.server import MAX_CONNECTIONS
from crawler.api.http.worker_routes import blueprint
from crawler.api.limiter import RateLimiter
from crawler.api.service import Crawls, Service
from crawler.clock import Clock, SystemClock
from crawler.logs import get_logger
from crawler.metrics import Metrics
from crawler.settings.sections import ApiSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask.typing import ResponseReturnValue

log = get_logger(__name__)

BEGAN = "crawler.began_s"
"""In the environment of a request: when it came, by the clock of the application."""

ERROR = "crawler.error"
"""There too: what the shortcut has met, for Flask to answer."""

_CODES = {
    404: ("NOT_FOUND", "nothing is at this path"),
    405: ("UNIMPLEMENTED", "this path does not allow the method"),
    408: ("DEADLINE_EXCEEDED", "the body did not arrive in time"),
    413: ("RESOURCE_EXHAUSTED", "the body is larger than this server takes"),
}
"""Codes of the errors that Flask raises by itself; what is not listed is the client's fault."""


def build_app(
    service: Service | None,
    health: Health,
    metrics: Metrics,
    settings: ApiSettings,
    *,
    limiter: RateLimiter | None = None,
    clock: Clock | None = None,
    crawls: Crawls | None = None,
) -> Flask:
    """The application of a node: a master's has a service, a worker's crawls.

    The limiter is the one that gRPC asks too.
    """
    limiter = limiter or RateLimiter(settings, metrics)
    way = None if service is None else FastPath(service, limiter, settings)
    app = _App(metrics, clock or SystemClock(), way)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes + 1
    # A doubled slash is another path, and not worth a redirect in HTML.
    app.url_map.merge_slashes = False
    app.extensions[EXTENSION] = Parts(service, health, metrics, settings)
    app.register_blueprint(node)
    if service is not None:
        app.register_blueprint(api)
    if crawls is not None:
        app.register_blueprint(blueprint(crawls))
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _failed)
    _limit_requests(app, limiter)
    return app


class _App(Flask):
    """Counts, times and logs every request, whichever server it came through.

    By overriding, not by hooks: each hook, and each look at `flask.request`, costs every request.
    """

    def __init__(self, metrics: Metrics, clock: Clock, way: FastPath | None) -> None:
        super().__init__("crawler", static_folder=None)
        self._clock = clock
        self._shortcut = way
        self._under_way = 0
        metrics.queue("http requests", MAX_CONNECTIONS, lambda: self._under_way)
        seconds = metrics.histogram(
            "crawler_http_seconds",
            "Duration of HTTP requests, by route, method and status.",
            "route",
            "method",
            "status",
        )
        # By route, as paths may be as many as names; so there are but a few to be remembered.
        self._seconds = cache(seconds.labels)

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        environ[BEGAN] = self._clock.monotonic()
        self._under_way += 1
        try:
            if self._shortcut is None or not self._shortcut.takes(environ):
                return super().wsgi_app(environ, start_response)
            try:
                body = self._shortcut.answer(environ)
            except Exception as error:
                environ[ERROR] = error
                return super().wsgi_app(environ, start_response)
            self._note(environ, fast_path.PATH, 200)
            start_response(
                "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
            )
            return [body]
        finally:
            self._under_way -= 1

    def full_dispatch_request(self) -> Response:
        """Have a request answered, and take note of it."""
        response = super().full_dispatch_request()
        asked = request_ctx.request
        self._note(
            asked.environ, asked.url_rule.rule if asked.url_rule else "", response.status_code
        )
        return response

    def preprocess_request(self) -> ResponseReturnValue | None:
        """Raise what the shortcut met; else go on."""
        environ = request_ctx.request.environ
        if ERROR in environ:  # it refers to this very environment, and must not be kept by it
            raise environ.pop(ERROR)
        return super().preprocess_request()

    def _note(self, environ: WSGIEnvironment, route: str, status: int) -> None:
        took_s = self._clock.monotonic() - environ[BEGAN]
        # Only where a route matched is the method one of a few.
        method = environ["REQUEST_METHOD"]
        self._seconds(route, method if route else "", status).observe(took_s)
        # What went well is counted; and a flood that is refused must not become a flood of lines.
        quiet = status < 400 or status == 429 or route in ("/healthz", "/readyz")
        if quiet and not log.tells_developers:
            return
        note = log.debug if quiet else log.info
        note(
            "http",
            method=method,
            path=get_path_info(environ),
            status=status,
            seconds=round(took_s, 6),
            peer=environ.get("REMOTE_ADDR"),
        )


def _refused(error: HTTPException) -> Response:
    """What Flask or Werkzeug refused before it reached us."""
    code, message = _CODES.get(error.code or 400, ("INVALID_ARGUMENT", error.description or ""))
    if error.code == 413:
        limit = parts().settings.max_request_bytes
        message = f"{message}: {limit} bytes, by its setting api.max_request_bytes"
    if error.code == 405:
        message = f"{message} {request.method}"
    response = answer(bodies.failure(Failure(code, shorten(message))), error.code or 400)
    # `Allow` and the like; the type and length of Werkzeug's own page stay behind.
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _failed(error: Exception) -> Response:
    failure = explain(error, f"{request.method} {request.path}")
    response = answer(bodies.failure(failure), failure.http_status)
    if failure.retry_after_s is not None:
        response.headers["Retry-After"] = str(math.ceil(failure.retry_after_s))
    return response


def _limit_requests(app: Flask, limiter: RateLimiter) -> None:
    """Refuse what is too much of one client, before anything of its body is read.

    What tells of the node itself always answers: who watches it needs it most under load.
    """

    def admit() -> None:
        if request.blueprint != node.name:
            limiter.admit("http", request.remote_addr or "")

    app.before_request(admit)
