"""What a crawl has done so far."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from types import MappingProxyType

from crawler.clock import Clock
from crawler.engine.http import urls
from crawler.engine.http.messages import FetchAnswer, FetchError
from crawler.engine.stats.latency import Latency
from crawler.engine.stats.timing import Timing
from crawler.model.records import Counts
from crawler.model.statistics import Statistics


class Counters:
    """Counts every request from when it is found to its one end, and every attempt in between.

    discovered = pages + filtered + failed + pending, at every moment. A request keeps its identity
    through redirects and retries. What a callback raises costs no request its end. The reasons are
    few short texts. To count an answer costs about a microsecond.
    """

    def __init__(self, clock: Clock) -> None:
        self.timing = Timing(clock)
        """When the crawl ran, and how fast it was of late."""
        self.discovered = 0
        """Requests that start requests and callbacks yielded."""
        self.pages = 0
        self.items_taken = 0
        """Items that callbacks yielded; each is in one of the next three."""
        self.items = 0
        """Items that were written."""
        self.items_dropped: Counter[str] = Counter()
        """Items that were invalid, or that a pipeline dropped, by reason."""
        self.items_failed: Counter[str] = Counter()
        """Items that a pipeline raised at, or that could not be written, by reason."""
        self.filtered: Counter[str] = Counter()
        """Those that are not fetched on purpose, by reason: duplicate, depth, offsite, …"""
        self.failed: Counter[str] = Counter()
        """Those that ended in an error, by reason."""
        self.raised: Counter[str] = Counter()
        """Callbacks that raised, by reason."""
        self.fault = ""
        """Why the crawl as a whole cannot go on; empty as long as it can."""
        self.requests = 0
        """Attempts that were sent and ended, those of redirects and retries included."""
        self.retries = 0
        self.redirects = 0
        self.from_cache = 0
        self.bytes_received = 0
        """Bodies as they came over the wire."""
        self.bytes_expanded = 0
        """The same, decompressed."""
        self.statuses: defaultdict[int, int] = defaultdict(int)
        """How many answers had each HTTP status."""
        self.latency = Latency()
        """From sending to the last byte."""
        self.slow_callbacks = 0
        """How often a callback computed for longer than `slow_callback_s`."""
        self._examples: dict[str, str] = {}

    @property
    def pending(self) -> int:
        """Requests without an end so far: that wait, rest, are on their way, or were broken off."""
        return self.discovered - self.pages - self.filtered.total() - self.failed.total()

    @property
    def failures_by_reason(self) -> Counter[str]:
        """URLs that ended in an error, and callbacks that raised."""
        return self.failed + self.raised

    @property
    def failures(self) -> int:
        """How many there were in all."""
        return self.failed.total() + self.raised.total()

    def filter(self, reason: str) -> None:
        """Count a request that ends here because it is not to be fetched."""
        self.filtered[reason] += 1

    def fail(self, reason: str, url: str) -> None:
        """Count a request that ends in an error; the first URL of each reason is its example."""
        self.failed[reason] += 1
        self._examples.setdefault(reason, urls.shown(url))

    def blame(self, reason: str, url: str) -> None:
        """Count a callback that raised."""
        self.raised[reason] += 1
        self._examples.setdefault(reason, urls.shown(url))

    def settled(self, result: FetchAnswer | FetchError) -> None:
        """An attempt has ended."""
        self.requests += 1
        if isinstance(result, FetchAnswer):
            self.statuses[result.status] += 1
            self.bytes_expanded += len(result.body)
            self.bytes_received += result.received
            self.from_cache += result.cached
            self.latency.add(result.seconds)
        self.timing.note(self.pages)

    def example_of(self, reason: str) -> str:
        """The URL that first failed for that reason."""
        return self._examples[reason]

    def counts(self) -> Counts:
        """What the leader is told of the crawl."""
        return Counts(self.pages, self.items, self.failures, self.timing.seconds)

    def statistics(
        self,
        task: str,
        spider: str,
        finish_reason: str = "",
        cooldowns: Mapping[str, float] = MappingProxyType({}),
        memory: Mapping[str, int] = MappingProxyType({}),
    ) -> Statistics:
        """The statistics of the crawl, as they stand now.

        `cooldowns` are the hosts that are left alone, with the seconds until the end of that.
        """
        timing = self.timing
        return Statistics(
            task=task,
            spider=spider,
            began_ns=timing.began_ns,
            ended_ns=timing.ended_ns,
            finish_reason=finish_reason,
            seconds=timing.seconds,
            discovered=self.discovered,
            pages=self.pages,
            pages_per_s=timing.pages_per_s(self.pages),
            items=self.items,
            items_dropped=dict(self.items_dropped),
            items_failed=dict(self.items_failed),
            requests=self.requests,
            retries=self.retries,
            redirects=self.redirects,
            from_cache=self.from_cache,
            bytes_received=self.bytes_received,
            bytes_expanded=self.bytes_expanded,
            statuses=dict(self.statuses),
            failures=dict(self.failures_by_reason),
            filtered=dict(self.filtered),
            pending=self.pending,
            resting={
                "hosts": len(cooldowns),
                "longest_s": round(max(cooldowns.values(), default=0.0), 1),
            },
            memory=dict(memory),
            latency_s=self.latency.shown(),
            slow_callbacks=self.slow_callbacks,
        )
