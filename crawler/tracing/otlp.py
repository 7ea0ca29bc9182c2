"""Makes spans with the SDK of OpenTelemetry. Only this file and `span_queue.py` know it.

The SDK is never made the one of the whole process: each node has its own.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME
from opentelemetry.sdk.resources import Resource as Origin
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

import crawler
from crawler.clock import Clock
from crawler.errors import CrawlerError, OutcomeUnknown
from crawler.metrics import Metrics
from crawler.model.records import Report, Resource, State
from crawler.tracing.span_queue import SpanQueue
from crawler.tracing.traceparent import TracePlace, place_in, placement_id_of, trace_id_of
from crawler.tracing.tracing import Kind, Told

OUTCOME = "crawler.outcome"
_UNNAMED = "unknown_service"
"""How the SDK begins the name of a service that nobody has named."""
_BAD_CODES = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL")
"""Codes of errors that are no fault of who called."""


class OtlpTracing:
    """Makes the spans of a node, and sends them to a collector."""

    is_on = True

    def __init__(self, endpoint: str, role: str, metrics: Metrics, clock: Clock) -> None:
        """`endpoint` is the whole URL; if it is empty, the variables of OpenTelemetry say it."""
        self._queue = SpanQueue(OTLPSpanExporter(endpoint or None), metrics, clock)
        self._ids = _Ids()
        provider = TracerProvider(
            resource=_origin(role), id_generator=self._ids, shutdown_on_exit=False
        )
        provider.add_span_processor(self._queue)
        self._sampler = provider.sampler
        self._tracer = provider.get_tracer("crawler", crawler.__version__)

    def start(self) -> None:
        """Begin to send spans."""
        self._queue.start()

    def close(self, patience_s: float) -> None:
        """Send what waits, for at most `patience_s` seconds, and end."""
        self._queue.close(patience_s)

    def span(
        self, name: str, kind: Kind, parent: str = "", told: Told | None = None
    ) -> AbstractContextManager[str]:
        """Return a context that is a span, with the `traceparent` of it."""
        return self._within(name, kind, place_in(parent), told or {})

    @contextmanager
    def _within(
        self, name: str, kind: Kind, parent: TracePlace | None, told: Told
    ) -> Iterator[str]:
        span = self._tracer.start_span(name, _after(parent), SpanKind[kind.name], told)
        try:
            yield _place_of(span).text
        except BaseException as error:
            _note(span, error)
            raise
        finally:
            span.end()

    def placed(
        self, was: Resource | None, now: Resource, strategy: str, began_ns: int, ended_ns: int
    ) -> None:
        """Note that a task got a worker."""
        asked = place_in(now.trace)
        told = {**_about(now), "crawler.strategy": strategy}
        if was is not None and was.owner is not None:
            told["crawler.node.before"] = was.owner.node_id
        self._ids.next_trace, self._ids.next_span = trace_id_of(now), placement_id_of(now)
        kind = SpanKind.INTERNAL
        self._tracer.start_span("place", _after(asked), kind, told, start_time=began_ns).end(
            ended_ns
        )
        self._ids.forget()

    def ran(self, resource: Resource, report: Report, began_ns: int, ended_ns: int) -> None:
        """Note that a run has ended here."""
        outcome = _outcome_of(report)
        counts = report.counts
        told = {
            **_about(resource),
            OUTCOME: outcome,
            "crawler.pages": counts.pages,
            "crawler.items": counts.items,
            "crawler.failures": counts.failures,
        }
        parent = _after(self._placement_of(resource))
        span = self._tracer.start_span("run", parent, attributes=told, start_time=began_ns)
        if report.state is State.FAILED:
            span.set_status(Status(StatusCode.ERROR, report.reason))
        span.end(ended_ns)

    def _placement_of(self, resource: Resource) -> TracePlace:
        """Return the span in which the leader gave a task to this worker."""
        span_id, asked = placement_id_of(resource), place_in(resource.trace)
        if asked is not None:
            return TracePlace(asked.trace_id, span_id, asked.flags)
        trace_id = trace_id_of(resource)  # the leader has sampled it just so
        found = self._sampler.should_sample(Context(), trace_id, "place").decision
        return TracePlace(trace_id, span_id, int(found is Decision.RECORD_AND_SAMPLE))


class _Ids(RandomIdGenerator):
    """Draws ids at random, but for those that were told."""

    next_trace = next_span = 0

    def generate_trace_id(self) -> int:
        return self.next_trace or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return self.next_span or super().generate_span_id()

    def forget(self) -> None:
        self.next_trace = self.next_span = 0


def _origin(role: str) -> Origin:
    """Return what is told of this process. What the variables of OpenTelemetry say comes first."""
    ours = {"service.version": crawler.__version__, "host.name": socket.gethostname()}
    found = Origin({**ours, "process.pid": os.getpid()}).merge(Origin.create())
    if str(found.attributes.get(SERVICE_NAME, _UNNAMED)).startswith(_UNNAMED):
        found = found.merge(Origin({SERVICE_NAME: f"crawler-{role}"}))
    return found


def _about(resource: Resource) -> dict[str, str | int | float]:
    """Return what is told of a task that has a worker."""
    spec, owner = resource.spec, resource.owner
    told: Mapping[str, str | int | float] = {
        "crawler.task": spec.name,
        "crawler.task.id": resource.id,
        "crawler.spider": spec.offered_as,
        "crawler.run": resource.run,
        "crawler.epoch": resource.epoch,
        "crawler.node": owner.node_id if owner is not None else "",
        "crawler.project": spec.project,
        "crawler.bundle": resource.digest,
    }
    return {key: value for key, value in told.items() if value != ""}


def _outcome_of(report: Report) -> str:
    """Return how a run has ended, in a word."""
    if not report.state.finished:
        return "stopped"
    return "interrupted" if report.interrupted else report.state.value


def _after(parent: TracePlace | None) -> Context:
    """Return what makes a span the child of another one."""
    if parent is None:
        return Context()
    flags = TraceFlags(parent.flags)
    place = SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(place), Context())


def _place_of(span: Span) -> TracePlace:
    place = span.get_span_context()
    return TracePlace(place.trace_id, place.span_id, int(place.trace_flags))


def _note(span: Span, error: BaseException) -> None:
    """Note with which error a call ended. Its message may show values of a task."""
    code = error.code if isinstance(error, CrawlerError) else "INTERNAL"
    span.set_attribute(OUTCOME, code)
    if code in _BAD_CODES or isinstance(error, OutcomeUnknown):
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))
