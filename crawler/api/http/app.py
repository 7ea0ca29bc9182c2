"""Builds the WSGI application of a node, and answers every error as grpc-gateway does.

The application of a master serves the API. A worker's application serves the statistics of its
crawls (worker_routes.py). Both serve health, readiness and metrics.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import get_path_info

from crawler.api.bounded_crawls import LabelsOf, no_labels
from crawler.api.cleaning import clean
from crawler.api.doors import Doors, protected
from crawler.api.failures import Failure, explain, shorten
from crawler.api.health import Health
from crawler.api.http import (
    alert_routes,
    bodies,
    cluster_routes,
    fast_path,
    history_routes,
    item_routes,
    log_routes,
    project_routes,
    routes,
    schedule_routes,
    spider_routes,
    statistics_routes,
)
from crawler.api.http.access import ACTIONS, CALLER, TRACE, approach, need_of
from crawler.api.http.asked import EXTENSION, Parts, answer, api, parts
from crawler.api.http.closing import GUARDS
from crawler.api.http.debug import routes as debug
from crawler.api.http.fast_path import FastPath
from crawler.api.http.found_rule import FoundRule
from crawler.api.http.node_routes import node
from crawler.api.http.pages import Pages
from crawler.api.http.server import MAX_CONNECTIONS
from crawler.api.http.tracing import span
from crawler.api.http.worker_routes import blueprint
from crawler.api.limiter import RateLimiter
from crawler.api.service import Crawls, Service
from crawler.api.sparse import Sparing
from crawler.api.workers import Reach
from crawler.clock import Clock, SystemClock
from crawler.debugging.looks import Looks
from crawler.logs import get_logger
from crawler.metrics import Metrics
from crawler.model.access import Need
from crawler.settings.sections import ApiSettings
from crawler.tracing.tracing import NoTracing, Tracing

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask.typing import ResponseReturnValue

log = get_logger(__name__)

PATHS_OF_THE_API = (
    routes,
    log_routes,
    item_routes,
    statistics_routes,
    spider_routes,
    schedule_routes,
    project_routes,
    cluster_routes,
    history_routes,
    alert_routes,
)
"""Each adds its paths to `api`."""

BEGAN = "crawler.began_s"
"""The key in the environment of a request for the time of its arrival, by the application's
clock."""

ERROR = "crawler.error"
"""The key for the error that the fast path raised. Flask answers it."""

_GUARDED = "Content-Security-Policy"
"""Pages have guards of their own, with this among them."""

_CODES = {
    404: ("NOT_FOUND", "nothing is at this path"),
    405: ("UNIMPLEMENTED", "this path does not allow the method"),
    408: ("DEADLINE_EXCEEDED", "the body did not arrive in time"),
    413: ("RESOURCE_EXHAUSTED", "the body is larger than this server takes"),
}
"""The codes of errors that Flask itself raises. Any other such error is the client's fault."""


def build_app(
    service: Service | None,
    health: Health,
    metrics: Metrics,
    settings: ApiSettings,
    *,
    limiter: RateLimiter | None = None,
    doors: Doors | None = None,
    clock: Clock | None = None,
    crawls: Crawls | None = None,
    labels_of: LabelsOf = no_labels,
    looks: Looks | None = None,
    reach: Reach | None = None,
    pages: Pages | None = None,
    tracing: Tracing | None = None,
) -> Flask:
    """Build the application of a node: a master's has a service, a worker's has crawls.

    gRPC uses the same limiter and the same doors. `reach` returns the client of a worker. `pages`
    are those for people, of a master that serves them.
    """
    limiter = limiter or RateLimiter(settings, metrics)
    doors = doors or protected(clock or SystemClock())
    tracing = tracing or NoTracing()
    way = None if service is None else FastPath(service, limiter, doors, settings, tracing)
    app = _App(metrics, clock or SystemClock(), way, tracing)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes + 1
    # A doubled slash is another path, and needs no redirect in HTML.
    app.url_map.merge_slashes = False
    app.extensions[EXTENSION] = Parts(service, health, metrics, settings, doors, reach)
    app.register_blueprint(node)
    app.register_blueprint(debug.blueprint((looks or Looks(SystemClock())).answer))
    if service is not None:
        app.register_blueprint(api)
    if crawls is not None:
        app.register_blueprint(blueprint(crawls, labels_of))
    if pages is not None:
        pages.begin(app)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _failed)
    _admit_requests(app, limiter, doors, pages)
    return app


class _App(Flask):
    """Counts, times and logs every request, whichever server it came through.

    It overrides methods instead of using hooks: each hook, and each access to `flask.request`,
    costs time in every request.
    """

    url_rule_class = FoundRule

    def __init__(
        self, metrics: Metrics, clock: Clock, way: FastPath | None, tracing: Tracing
    ) -> None:
        super().__init__("crawler", static_folder=None)
        self._tracing = tracing
        self._clock = clock
        self._shortcut = way
        self._under_way = 0
        self._refused, self._failed = Sparing(clock), Sparing(clock)
        metrics.queue("http requests", MAX_CONNECTIONS, lambda: self._under_way)
        seconds = metrics.histogram(
            "crawler_http_seconds",
            "Duration of HTTP requests, by route, method and status.",
            "route",
            "method",
            "status",
        )
        # The label is the route: there are few routes, but as many paths as names.
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
            length = ("Content-Length", str(len(body)))
            start_response("200 OK", [("Content-Type", "application/json"), length, *GUARDS])
            return [body]
        finally:
            self._under_way -= 1

    def full_dispatch_request(self) -> Response:
        """Answer a request, and record it."""
        response = super().full_dispatch_request()
        if _GUARDED not in response.headers:
            response.headers.extend(GUARDS)
        asked = request_ctx.request
        self._note(
            asked.environ, asked.url_rule.rule if asked.url_rule else "", response.status_code
        )
        return response

    def preprocess_request(self) -> ResponseReturnValue | None:
        """Raise the error of the fast path, if there is one."""
        environ = request_ctx.request.environ
        if ERROR in environ:  # it refers to this environment, which must not keep it
            raise environ.pop(ERROR)
        return super().preprocess_request()

    def dispatch_request(self) -> ResponseReturnValue:
        """Answer a request that was let in: in a span, if it changes something."""
        asked = request_ctx.request
        if not self._tracing.is_on or asked.endpoint not in ACTIONS or asked.url_rule is None:
            return super().dispatch_request()
        with span(self._tracing, asked.environ, asked.url_rule.rule) as trace:
            asked.environ[TRACE] = trace
            return super().dispatch_request()

    def _note(self, environ: WSGIEnvironment, route: str, status: int) -> None:
        took_s = self._clock.monotonic() - environ[BEGAN]
        # Only if a route matched, the method is one of a few.
        method = environ["REQUEST_METHOD"]
        self._seconds(route, method if route else "", status).observe(took_s)
        # Successful requests are only counted. A refused flood must not become a flood of log
        # lines. What strangers make fail hides nothing that the node makes fail.
        quiet = status < 400 or status == 429 or route in ("/healthz", "/readyz")
        if not quiet:
            failures = self._refused if status < 500 else self._failed
            quiet = not failures.allows()
        if quiet and not log.tells_developers:
            return
        note = log.debug if quiet else log.info
        note(
            "http",
            method=method,
            path=clean(get_path_info(environ)),
            status=status,
            seconds=round(took_s, 6),
            peer=environ.get("REMOTE_ADDR"),
        )


def _refused(error: HTTPException) -> Response:
    """Answer what Flask or Werkzeug refused before the program saw it."""
    code, message = _CODES.get(error.code or 400, ("INVALID_ARGUMENT", error.description or ""))
    if error.code == 413:
        limit = parts().settings.max_request_bytes
        message = f"{message}: {limit} bytes, by its setting api.max_request_bytes"
    if error.code == 405:
        message = f"{message} {request.method}"
    response = answer(bodies.failure(Failure(code, shorten(message))), error.code or 400)
    # Keep `Allow` and the like, but not the type and length of Werkzeug's own page.
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _failed(error: Exception) -> Response:
    failure = explain(error, clean(f"{request.method} {request.path}"))
    response = answer(bodies.failure(failure), failure.http_status)
    if failure.retry_after_s is not None:
        response.headers["Retry-After"] = str(math.ceil(failure.retry_after_s))
    return response


def _admit_requests(
    app: Flask, limiter: RateLimiter, doors: Doors, pages: Pages | None = None
) -> None:
    """Refuse a client's excess requests, and those that it may not make, before any of their body
    is read. A request for a page shows what its session holds.

    The paths about the node itself have no rate: whoever watches it needs them most under load.
    """

    def admit() -> None:
        if request.blueprint != node.name:
            limiter.admit("http", request.remote_addr or "")
        environ = request.environ
        endpoint, named = request.endpoint or "", (request.view_args or {}).get("name", "")
        about = named or f"{request.method} {request.path}"
        found, need = approach(environ, endpoint, about), need_of(request.endpoint)
        if pages is not None and endpoint in pages.needs:
            need = pages.needs[endpoint]
            shown = pages.authorization() if need is not Need.NOTHING else ""
            action = pages.actions.get(endpoint, "")
            found = replace(found, authorization=shown or found.authorization, action=action)
        environ[CALLER] = doors.admit(found, need)

    app.before_request(admit)
