"""The statistics of a crawl: counted while it runs, and shown as they stand, or as they ended.

What the counters counts decides how a crawl ended; what is here is for people. Counting an answer
costs about a microsecond.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any

from crawler.clock import Clock
from crawler.engine.http.messages import FetchAnswer, FetchError
from crawler.engine.stats.counters import Counters
from crawler.engine.stats.latency import Latency

RATE_S = 10.0
"""Pages per second are those of the last so many seconds."""
SAMPLE_S = 1.0
"""How often the pages are noted for that, at most."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """The statistics of a crawl at one moment."""

    task: str
    spider: str
    began_ns: int = 0
    """Wall time of the start; 0 before it."""
    ended_ns: int = 0
    """Wall time of the end; 0 before it."""
    finish_reason: str = ""
    """Empty while it runs; then `finished`, `stopped`, or why it failed."""
    seconds: float = 0.0
    discovered: int = 0
    """Requests found; each is a page, filtered, failed, or pending."""
    pages: int = 0
    pages_per_s: float = 0.0
    """Over the last ten seconds while it runs, over all of its time when it has ended."""
    items: int = 0
    """Items that were written."""
    items_dropped: Mapping[str, int] = field(default_factory=dict)
    """Items that were invalid, or that a pipeline dropped, by reason."""
    items_failed: Mapping[str, int] = field(default_factory=dict)
    """Items that a pipeline raised at, or that could not be written, by reason."""
    requests: int = 0
    """Attempts that were sent and ended, those of redirects and repetitions included."""
    retries: int = 0
    redirects: int = 0
    from_cache: int = 0
    bytes_received: int = 0
    """Bodies as they came over the wire."""
    bytes_expanded: int = 0
    """The same, decompressed."""
    statuses: Mapping[int, int] = field(default_factory=dict)
    """How many answers had each HTTP status."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """URLs that ended in an error, and callbacks that raised, by reason."""
    filtered: Mapping[str, int] = field(default_factory=dict)
    """Requests that were not sent, by reason."""
    pending: int = 0
    """Requests without an end so far: discovered = pages + filtered + failed URLs + pending."""
    resting: Mapping[str, float] = field(default_factory=dict)
    """How many `hosts` with such requests rest now, and for how long yet at the `longest_s`."""
    memory: Mapping[str, int] = field(default_factory=dict)
    """URLs that are `known` and the `known_bytes` that takes; requests that wait in memory
    (`waiting`) and `on_disk`."""
    latency_s: Mapping[str, float] = field(default_factory=dict)
    """`p50`, `p90`, `p99` and `max` of the time from sending to the last byte."""
    slow_callbacks: int = 0
    """How often a callback computed for longer than `slow_callback_s`."""

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {
            **asdict(self),
            "seconds": round(self.seconds, 3),
            "pages_per_s": round(self.pages_per_s, 2),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Statistics:
        """From what `to_json` made, of this version of the program or another."""
        kinds = {each.name: _READERS.get(str(each.type)) for each in fields(cls)}
        known = {name: value for name, value in data.items() if name in kinds}
        return cls(**{name: _read(kinds[name], value) for name, value in known.items()})


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "int": int,
    "Mapping[int, int]": lambda value: {int(key): int(each) for key, each in value.items()},
    "Mapping[str, int]": lambda value: {key: int(each) for key, each in value.items()},
    "Mapping[str, float]": dict,
}
"""JSON has one kind of numbers, and texts as keys."""


def _read(reader: Callable[[Any], Any] | None, value: Any) -> Any:
    return value if reader is None else reader(value)


class CrawlStats:
    """Counts what one crawl sends and receives. Cheap: it is called for every answer."""

    def __init__(self, counters: Counters, clock: Clock) -> None:
        self.retries = 0
        self.redirects = 0
        self.slow_callbacks = 0
        self._counters = counters
        self._clock = clock
        self._requests = 0
        self._from_cache = 0
        self._received = 0
        self._expanded = 0
        self._statuses: defaultdict[int, int] = defaultdict(int)
        self._latency = Latency()
        self._began_s: float | None = None
        self._took_s: float | None = None
        self._began_ns = 0
        self._ended_ns = 0
        self._samples: deque[tuple[float, int]] = deque(maxlen=int(RATE_S / SAMPLE_S) + 1)
        self._sample_s = 0.0

    @property
    def begun(self) -> bool:
        """Whether the crawl has started."""
        return self._began_s is not None

    @property
    def seconds(self) -> float:
        """How long the crawl runs, or ran."""
        if self._took_s is not None:
            return self._took_s
        return 0.0 if self._began_s is None else self._clock.monotonic() - self._began_s

    @property
    def pages_per_s(self) -> float:
        """Pages per second of late, or over all of its time when the crawl has ended."""
        if self._took_s is not None or not self._samples:
            return self._counters.pages / self._took_s if self._took_s else 0.0
        now_s = self._clock.monotonic()
        while len(self._samples) > 1 and self._samples[1][0] <= now_s - RATE_S:
            self._samples.popleft()
        since_s, pages = self._samples[0]
        return (self._counters.pages - pages) / max(now_s - since_s, SAMPLE_S)

    def begin(self) -> None:
        """The crawl starts now."""
        self._began_s = self._clock.monotonic()
        self._began_ns = self._clock.time_ns()
        self._sample(self._began_s)

    def end(self) -> None:
        """The crawl has ended."""
        self._took_s = self.seconds
        self._ended_ns = self._clock.time_ns()

    def settled(self, result: FetchAnswer | FetchError) -> None:
        """An attempt has ended."""
        self._requests += 1
        if isinstance(result, FetchAnswer):
            self._statuses[result.status] += 1
            self._expanded += len(result.body)
            self._received += result.received
            self._from_cache += result.cached
            self._latency.add(result.seconds)
        now_s = self._clock.monotonic()
        if now_s >= self._sample_s:
            self._sample(now_s)

    def shown(
        self,
        task: str,
        spider: str,
        finish_reason: str,
        resting: Mapping[str, float] = MappingProxyType({}),
        memory: Mapping[str, int] = MappingProxyType({}),
    ) -> Statistics:
        """How it stands now, with what the crawl knows besides."""
        return Statistics(
            task=task,
            spider=spider,
            began_ns=self._began_ns,
            ended_ns=self._ended_ns,
            finish_reason=finish_reason,
            seconds=self.seconds,
            discovered=self._counters.discovered,
            pages=self._counters.pages,
            pages_per_s=self.pages_per_s,
            items=self._counters.items,
            items_dropped=dict(self._counters.items_dropped),
            items_failed=dict(self._counters.items_failed),
            requests=self._requests,
            retries=self.retries,
            redirects=self.redirects,
            from_cache=self._from_cache,
            bytes_received=self._received,
            bytes_expanded=self._expanded,
            statuses=dict(self._statuses),
            failures=dict(self._counters.failures_by_reason),
            filtered=dict(self._counters.filtered),
            pending=self._counters.pending,
            resting={
                "hosts": len(resting),
                "longest_s": round(max(resting.values(), default=0.0), 1),
            },
            memory=dict(memory),
            latency_s=self._latency.shown(),
            slow_callbacks=self.slow_callbacks,
        )

    def _sample(self, now_s: float) -> None:
        self._samples.append((now_s, self._counters.pages))
        self._sample_s = now_s + SAMPLE_S
