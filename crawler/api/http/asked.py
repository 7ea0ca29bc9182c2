"""What the paths of HTTP have in common: they read a request, and write its answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

import gevent
from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from crawler.api.backend import Backend, Call
from crawler.api.doors import Doors
from crawler.api.health import Health
from crawler.api.http import bodies
from crawler.api.http.access import CALLER, TRACE
from crawler.api.service import Service
from crawler.api.workers import Reach
from crawler.errors import InvalidArgument, shown
from crawler.metrics import Metrics
from crawler.settings.sections import ApiSettings

EXTENSION = "crawler"
"""The name under which the application keeps its `Parts`."""

MOST_TIMEOUT_S = 86_400.0
"""The longest deadline. Beyond some thousand years it would overflow on its way to the leader."""

_UNITS_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

api = Blueprint("crawler", __name__, url_prefix="/crawler")
"""The API of crawler.proto."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What an application needs of its node."""

    service: Service | None
    """None on a worker."""
    health: Health
    metrics: Metrics
    settings: ApiSettings
    doors: Doors
    reach: Reach | None = None
    """Returns the client of a worker; None on a worker."""


def parts() -> Parts:
    """Return the parts of the application that handles the present request."""
    return cast(Parts, current_app.extensions[EXTENSION])


def answer(value: Any, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(bodies.write(value), status, content_type="application/json")


def present_call() -> Call:
    """Return how the request arrived. Raises InvalidArgument."""
    timeout = request.headers.get("Grpc-Timeout")
    timeout_s = parts().settings.timeout_s if timeout is None else parse_timeout(timeout)
    environ = request.environ
    return Call(timeout_s, caller=environ[CALLER], trace=environ.get(TRACE, ""))


def service() -> Service:
    """Return the service of a master."""
    return cast(Service, parts().service)


def backend(call: Call) -> Backend:
    """Return who carries the request out. Raises Unavailable."""
    return service().backend(call)


def body_of(call: Call) -> dict[str, Any]:
    """Return the object in the body of the request. Raises InvalidArgument, RequestTimeout,
    RequestEntityTooLarge."""
    body = b""
    with gevent.Timeout(call.timeout_s, RequestTimeout):
        body = request.get_data(cache=False)
    # Werkzeug reads a chunked body only up to its limit, and does not report the rest. That limit
    # is one byte above this server's, so that such a body is recognised.
    if len(body) > parts().settings.max_request_bytes:
        raise RequestEntityTooLarge
    return bodies.read_object(body)


def named_in_path(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return a body with the name in its path. Raises InvalidArgument if it has another."""
    if given.get("name") is None:
        given["name"] = name
    if given["name"] != name:
        raise InvalidArgument(f"name: {shown(given['name'])} is not the name in the path, {name!r}")
    return given


def parse_timeout(text: str) -> float:
    """Return the seconds in a Grpc-Timeout header: up to 8 digits and a unit, as `500m` or `5S`.
    It is a day at most.

    Raises InvalidArgument.
    """
    found = re.fullmatch(r"([0-9]{1,8})([HMSmun])", text)
    if found is None or int(found[1]) == 0:
        raise InvalidArgument(
            f"Grpc-Timeout: {shown(text)} is not allowed; allowed are 1 to 8 digits above "
            "zero and one of H, M, S, m, u, n"
        )
    return min(int(found[1]) * _UNITS_S[found[2]], MOST_TIMEOUT_S)
