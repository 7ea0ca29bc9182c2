"""The spans that wait to be sent to a collector. Nothing waits for the collector.

The exporter of the SDK sends in a greenlet, with sockets that wait in gevent's way. It tries again
by itself, for some 10 s. What it cannot send is dropped, as is what comes while the queue is full.
"""

from __future__ import annotations

import logging
from collections import deque
from itertools import islice

from gevent.event import Event
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from crawler.clock import Clock
from crawler.logs import get_logger
from crawler.metrics import Metrics
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

MOST_WAITING = 10_000
"""How many spans wait. They take some 2 kB each."""
AT_ONCE = 200
"""How many are sent in one request. To encode them takes a few ms, in which nothing else runs."""
PAUSE_S = 1.0
"""How long the first of them waits for others."""
REST_S = 5.0
"""The pause after spans that were not taken."""
TELL_S = 60.0
"""How often it is told at most that spans are not taken."""


class _Why(logging.Handler):
    """Keeps the last thing that the exporter has said, and lets it say nothing by itself: it would
    at each attempt."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING or not self.last:  # errors say less than these
            self.last = record.getMessage()


_WHY = _Why()


class SpanQueue(SpanProcessor):
    """Takes spans that have ended, and sends them."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics, clock: Clock) -> None:
        self._exporter = exporter
        self._clock = clock
        self._supervisor = Supervisor("tracing", clock=clock)
        self._waiting: deque[ReadableSpan] = deque()
        self._wake = Event()
        self._closing = Event()
        self._ended = Event()
        self._is_failing = False
        self._told_s = -TELL_S
        self._dropped = 0
        self._sent = metrics.counter("crawler_spans_sent", "Spans that a collector took.")
        metrics.counter_of(
            "crawler_spans_dropped",
            "Spans that were dropped: the queue was full, or the collector did not take them.",
            lambda: self._dropped,
        )
        metrics.queue("spans", MOST_WAITING, lambda: len(self._waiting))
        said = logging.getLogger("opentelemetry.exporter")
        said.addHandler(_WHY)
        said.propagate = False

    def start(self) -> None:
        """Begin to send."""
        self._supervisor.spawn("spans", self._run, on_end=OnEnd.RESTART)

    def close(self, patience_s: float) -> None:
        """Send what waits, for at most `patience_s` seconds, and end. A collector that took
        nothing before is not waited for."""
        self._closing.set()
        self._wake.set()
        if not self._is_failing:
            self._clock.wait(self._ended, patience_s)
        self._supervisor.stop()
        self._exporter.shutdown()
        if self._waiting:
            log.warning("the last spans were not sent", spans=len(self._waiting))

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span, without waiting."""
        place = span.get_span_context()
        if place is None or not place.trace_flags.sampled:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._drop(1)
            return
        self._waiting.append(span)
        self._wake.set()

    def _run(self) -> None:
        while self._waiting or not self._closing.is_set():
            self._clock.wait(self._wake)
            self._wake.clear()
            self._clock.wait(self._closing, PAUSE_S)
            while self._waiting:
                self._send_some()
        self._ended.set()

    def _send_some(self) -> None:
        spans = list(islice(self._waiting, AT_ONCE))
        _WHY.last = ""
        took = self._exporter.export(spans) is SpanExportResult.SUCCESS
        for _ in spans:
            self._waiting.popleft()
        if took:
            self._sent.inc(len(spans))
            if self._is_failing:
                log.warning("the collector takes spans again", dropped=self._dropped)
            self._is_failing = False
            return
        self._is_failing = True
        self._drop(len(spans))
        self._clock.wait(self._closing, REST_S)

    def _drop(self, count: int) -> None:
        """Count what was dropped, and tell of it from time to time."""
        self._dropped += count
        now_s = self._clock.monotonic()
        if now_s >= self._told_s + TELL_S:
            self._told_s = now_s
            log.warning(
                "spans are dropped; all else goes on",
                dropped=self._dropped,
                error=_WHY.last or "more spans come than the collector takes",
            )
