"""The paths about a node itself: health, readiness, metrics, what its interface is."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, request

from crawler.api.http.access import approach
from crawler.api.http.asked import answer, parts
from crawler.model.access import Need

node = Blueprint("node", __name__)


@node.get("/healthz")
def healthz() -> Response:
    """Answer that the process is alive."""
    return answer({"alive": True})


@node.get("/readyz")
def readyz() -> Response:
    """Return whether the node takes requests. Whoever may read learns why not, or who leads."""
    health, doors = parts().health, parts().doors
    may_read = doors.admits(approach(request.environ), Need.READ)
    if not health.ready:
        return answer({"ready": False, **({"reason": health.reason} if may_read else {})}, 503)
    return answer({"ready": True, **(health.details if may_read else {})})


@node.get("/metrics")
def metrics() -> Response:
    """Return the metrics of the node, for Prometheus."""
    text, content_type = parts().metrics.render(request.headers.get("Accept", ""))
    return Response(text, content_type=content_type)


@node.get("/openapi.json")
def openapi() -> Response:
    """Return the description of this interface, as OpenAPI 3.1."""
    from crawler.api.http.openapi.document import document_of  # few ask, and apispec takes time

    return Response(document_of(current_app), content_type="application/json")
