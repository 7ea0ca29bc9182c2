"""The metrics of one node. Each node has its own registry, because a process may run several nodes.

    metrics = Metrics()
    placed = metrics.counter("crawler_placements", "Resources placed.", "strategy")
    placed.labels("least-load").inc()

A second call with the same name returns the same metric, so parts need not know each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

MetricT = TypeVar("MetricT", Counter, Gauge, Histogram)

LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The bounds of the buckets for durations in seconds: from a local answer to a missed deadline."""


class _ReadCounter(Collector):
    """A counter that is read from a function; prometheus_client has only gauges of this kind."""

    def __init__(self, name: str, help: str, read: Callable[[], float]) -> None:
        self._name, self._help, self._read = name, help, read

    def collect(self) -> Iterable[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._help, value=self._read())


class _ReadGauges(Collector):
    """Gauges of one name that are read from a function, by the values of a label."""

    def __init__(
        self, name: str, help: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        self._name, self._help, self._label, self._read = name, help, label, read

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._help, labels=[self._label])
        for label, value in self._read().items():
            family.add_metric([label], value)
        yield family


@dataclass(frozen=True, slots=True)
class Total:
    """The present value of a counter that another part keeps."""

    name: str
    help: str
    value: float | Mapping[str, float]
    """The value, or with a label one value for each of its values."""
    label: str = ""


class _ReadTotals(Collector):
    """Several counters that are read together."""

    def __init__(self, read: Callable[[], Iterable[Total]]) -> None:
        self._read = read

    def collect(self) -> Iterable[CounterMetricFamily]:
        for total in self._read():
            if not isinstance(total.value, Mapping):
                yield CounterMetricFamily(total.name, total.help, value=total.value)
                continue
            family = CounterMetricFamily(total.name, total.help, labels=[total.label])
            for value, count in total.value.items():
                family.add_metric([value], count)
            yield family


class Metrics:
    """Makes the metrics of a node, and writes them for Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._made: dict[str, Any] = {}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def counter(self, name: str, help: str, *labels: str) -> Counter:
        """A counter, which only grows. Prometheus adds `_total` to the name."""
        return self._make(Counter, name, help, labels)

    def gauge(self, name: str, help: str, *labels: str) -> Gauge:
        """A gauge, which goes up and down."""
        return self._make(Gauge, name, help, labels)

    def gauge_of(self, name: str, help: str, read: Callable[[], float]) -> Gauge:
        """A gauge that calls `read` at each scrape. `read` must neither block nor raise."""
        gauge = self._make(Gauge, name, help, ())
        gauge.set_function(read)
        return gauge

    def gauges_of(
        self, name: str, help: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """Gauges by the values of a label: `read` returns those that there are, and neither blocks
        nor raises."""
        if name not in self._made:
            self._made[name] = _ReadGauges(name, help, label, read)
            self.registry.register(self._made[name])

    def counter_of(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A counter that another part keeps: `read` returns it, and neither blocks nor raises."""
        if name not in self._made:
            self._made[name] = _ReadCounter(name, help, read)
            self.registry.register(self._made[name])

    def totals_of(self, name: str, read: Callable[[], Iterable[Total]]) -> None:
        """Counters that another part keeps. One call of `read` returns all of them, and may wait.

        `name` stands for all of them: a second call with it changes nothing.
        """
        if name not in self._made:
            self._made[name] = _ReadTotals(read)
            self.registry.register(self._made[name])

    def queue(self, name: str, limit: float, length: Callable[[], float]) -> None:
        """Report the limit of a queue or pool, and its length at each scrape."""
        full = self.gauge("crawler_queue_length", "Present length of the queue.", "queue")
        full.labels(name).set_function(length)
        most = self.gauge("crawler_queue_limit", "Limit of the queue.", "queue")
        most.labels(name).set(limit)

    def refusals(self, name: str) -> Counter:
        """Counts what a full queue refused. A queue that makes others wait has none."""
        refused = self.counter(
            "crawler_queue_refused", "Refused because the queue was full.", "queue"
        )
        return refused.labels(name)

    def histogram(
        self, name: str, help: str, *labels: str, buckets: tuple[float, ...] = LATENCY_S
    ) -> Histogram:
        """A histogram: how many values lie below each bound. By default the values are seconds."""
        return self._make(Histogram, name, help, labels, buckets=buckets)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their content type, in the format that an Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _make(
        self, kind: type[MetricT], name: str, help: str, labels: tuple[str, ...], **more: Any
    ) -> MetricT:
        if name not in self._made:
            self._made[name] = kind(name, help, labels, registry=self.registry, **more)
        return cast(MetricT, self._made[name])
