"""Makes a span of each HTTP request that changes something, for callers that were let in."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from crawler.tracing.tracing import Kind, Tracing

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def span(tracing: Tracing, environ: WSGIEnvironment, route: str) -> AbstractContextManager[str]:
    """Return a context that is the span of a request. The span before, if there is one, is in the
    header traceparent."""
    method = environ["REQUEST_METHOD"]
    told = {"http.request.method": method, "http.route": route}
    parent = environ.get("HTTP_TRACEPARENT", "")
    return tracing.span(f"{method} {route}", Kind.SERVER, parent, told)
