"""Spans that wait for a collector: how many, for how long, and what is told of lost ones."""

import gevent
import pytest
from gevent.event import Event
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext, TraceFlags

from crawler.clock import ManualClock, give_turn, settle
from crawler.metrics import Metrics
from crawler.tracing import span_queue
from crawler.tracing.span_queue import SpanQueue


class Exporter:
    """Takes batches, or none."""

    def __init__(self):
        self.taken = []
        self.fails = self.hangs = False
        self.is_shut = False

    def export(self, spans):
        if self.hangs:
            Event().wait()
        give_turn()  # as each request does
        if self.fails:
            return SpanExportResult.FAILURE
        self.taken.append([span.name for span in spans])
        return SpanExportResult.SUCCESS

    def shutdown(self):
        self.is_shut = True


class Scene:
    def __init__(self):
        self.exporter, self.metrics, self.clock = Exporter(), Metrics(), ManualClock()
        self.queue = SpanQueue(self.exporter, self.metrics, self.clock)
        self.queue.start()
        settle()

    def end(self, *names, flags=1):
        for name in names:
            place = SpanContext(1, 1, False, TraceFlags(flags))
            self.queue.on_end(ReadableSpan(str(name), place))
        settle()

    def metric(self, name):
        text = self.metrics.render()[0].decode()
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    @property
    def dropped(self):
        return self.metric("crawler_spans_dropped_total")


@pytest.fixture
def scene(monkeypatch):
    monkeypatch.setattr(span_queue, "MOST_WAITING", 5)
    monkeypatch.setattr(span_queue, "AT_ONCE", 3)
    scene = Scene()
    yield scene
    scene.queue.close(0)


def test_spans_that_end_soon_after_each_other_are_sent_together(scene):
    scene.end("a", "b")
    scene.clock.advance(0.5)
    scene.end("c", "d")
    assert scene.exporter.taken == []
    scene.clock.advance(0.5)
    assert scene.exporter.taken == [["a", "b", "c"], ["d"]]
    scene.end("e")
    scene.clock.advance(1)
    assert scene.exporter.taken[2:] == [["e"]]
    assert (scene.metric("crawler_spans_sent_total"), scene.dropped) == (5, 0)


def test_a_span_of_a_trace_that_is_not_recorded_is_not_sent(scene):
    scene.end("a", flags=0)
    scene.end("b", flags=3)
    scene.clock.advance(1)
    assert scene.exporter.taken == [["b"]]


def test_so_many_wait_and_no_more(scene, caplog):
    scene.end(*range(7))
    assert scene.metric('crawler_queue_length{queue="spans"}') == 5
    assert scene.dropped == 2
    assert [record.fields["error"] for record in caplog.records] == [
        "more spans come than the collector takes"
    ]


def test_what_is_not_taken_is_dropped_and_told_once_a_minute(scene, caplog):
    scene.exporter.fails = True
    for _ in range(12):  # two minutes
        scene.end("x")
        scene.clock.advance(10)
    assert scene.dropped == 12
    assert [record.fields["dropped"] for record in caplog.records] == [1, 7]
    scene.exporter.fails = False
    scene.end("y")
    scene.clock.advance(10)
    assert scene.exporter.taken == [["y"]]
    assert caplog.messages[2:] == ["the collector takes spans again"]


def test_who_stops_sends_what_waits_first(scene):
    scene.end("a", "b", "c", "d")
    scene.queue.close(1)
    assert (scene.exporter.taken, scene.exporter.is_shut) == ([["a", "b", "c"], ["d"]], True)


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
def test_who_stops_waits_for_no_collector_in_trouble(scene, trouble, caplog):
    setattr(scene.exporter, trouble, True)
    scene.end("a")
    scene.clock.advance(1)
    scene.end("b")
    stopping = gevent.spawn(scene.queue.close, 1)
    settle()
    if trouble == "hangs":
        scene.clock.advance(1)
    gevent.joinall([stopping])
    assert scene.exporter.is_shut
    assert caplog.messages[-1] == "the last spans were not sent"
