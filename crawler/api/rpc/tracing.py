"""Makes a span of each gRPC call that changes something, for callers that were let in."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import grpc
from grpc_interceptor import ServerInterceptor

from crawler.api.rpc.access import ACTIONS
from crawler.api.rpc.interceptors import Method
from crawler.api.rpc.metadata import TRACEPARENT
from crawler.tracing.tracing import Kind, Told, Tracing

_present: ContextVar[str] = ContextVar("trace", default="")


def present_trace() -> str:
    """Return the span of the call that is being carried out; empty if it has none."""
    return _present.get()


def about(method_name: str) -> tuple[str, Told]:
    """Return the name of a span of a call, and what is told of it."""
    service, _, method = method_name.strip("/").partition("/")
    name = f"{service}/{method}"
    return name, {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}


class TraceInterceptor(ServerInterceptor):
    """Carries calls out in spans. The span before, if there is one, is in their metadata."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def intercept(
        self,
        method: Method,
        request_or_iterator: Any,
        context: grpc.ServicerContext,
        method_name: str,
    ) -> Any:
        """Call the method."""
        if method_name not in ACTIONS:
            return method(request_or_iterator, context)
        metadata = {key: value for key, value in context.invocation_metadata() or ()}
        parent = str(metadata.get(TRACEPARENT, ""))
        name, told = about(method_name)
        with self._tracing.span(name, Kind.SERVER, parent, told) as trace:
            token = _present.set(trace)
            try:
                return method(request_or_iterator, context)
            finally:
                _present.reset(token)
