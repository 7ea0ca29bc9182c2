"""A collector of OpenTelemetry for tests: it takes spans over HTTP, as OTLP, on loopback."""

from __future__ import annotations

from typing import NamedTuple

from gevent.pywsgi import WSGIServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


class Seen(NamedTuple):
    """A span that was taken, with its ids in hexadecimal digits."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    """Empty if it is the first one of its trace."""
    failed: bool
    told: dict
    seconds: float


class Collector:
    """Keeps what it gets. It serves in the hub of the test: who sends must not block that."""

    def __init__(self):
        self.spans = []
        self.paths = []
        self._server = WSGIServer(("127.0.0.1", 0), self._answer, log=None)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self):
        self._server.stop(timeout=1)

    def of(self, trace):
        """The spans of a trace, by their names; several of a name in the order of their ends."""
        found = {}
        for span in self.spans:
            if span.trace == trace:
                found.setdefault(span.name, []).append(span)
        return found

    def _answer(self, environ, start_response):
        self.paths.append(environ["PATH_INFO"])
        body = environ["wsgi.input"].read()
        for origin in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _attributes(origin.resource)["service.name"]
            for scope in origin.scope_spans:
                self.spans += [_seen(service, span) for span in scope.spans]
        start_response("200 OK", [("Content-Type", "application/x-protobuf")])
        return [b""]


def _seen(service, span):
    return Seen(
        service,
        span.name,
        Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.status.code == Status.STATUS_CODE_ERROR,
        _attributes(span),
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


def _attributes(holder):
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in holder.attributes
    }
