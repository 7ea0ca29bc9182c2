"""The counters of one crawl."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from crawler.clock import Clock
from crawler.engine.http import urls
from crawler.engine.http.messages import FetchAnswer, FetchError
from crawler.engine.stats.latency import Latency
from crawler.engine.stats.pending_hosts import NO_HOSTS, PendingHosts
from crawler.engine.stats.timing import Timing
from crawler.model.records import Counts
from crawler.model.statistics import Statistics
from crawler.redaction import hidden

_NUMBERS = (
    *(
        "discovered",
        "pages",
        "items_taken",
        "items",
        "requests",
        "repeated",
        "retries",
        "redirects",
    ),
    *("from_cache", "bytes_received", "bytes_expanded", "slow_callbacks"),
)
_REASONS = ("items_dropped", "items_failed", "filtered", "failed", "raised", "spoilt")
"""The counters that a later run of the crawl takes over."""


@dataclass(eq=False, repr=False, slots=True)
class Counters:
    """Counts every request from its discovery to its one end, and every attempt in between.

    At every moment discovered = pages + filtered + failed + pending. A request stays the same
    request through redirects and retries. A callback that raises changes the end of no request.
    There are only a few different reasons, and each is short. Counting an answer takes about a
    microsecond.
    """

    clock: InitVar[Clock]
    timing: Timing = field(init=False)
    """When the crawl ran, and its present speed."""
    discovered: int = 0
    """Requests that `start` and the callbacks yielded."""
    pages: int = 0
    items_taken: int = 0
    """Items that callbacks yielded. Each is in one of the next three counts."""
    items: int = 0
    """Items that were written."""
    items_dropped: Counter[str] = field(default_factory=Counter)
    """Items that were invalid, or that a pipeline dropped, by reason."""
    items_failed: Counter[str] = field(default_factory=Counter)
    """Items at which a pipeline raised, or that no sink could write, by reason."""
    filtered: Counter[str] = field(default_factory=Counter)
    """Requests that were filtered, by reason: duplicate, depth, offsite, …"""
    failed: Counter[str] = field(default_factory=Counter)
    """Requests that failed, by reason."""
    raised: Counter[str] = field(default_factory=Counter)
    """Callbacks that raised, and outputs that nobody can use, by reason."""
    spoilt: Counter[str] = field(default_factory=Counter)
    """Pages whose callback raised, or yielded only what nobody can use, by reason. `raised`
    counts them too."""
    start_fault: str = ""
    """Why the start of the spider broke off. Empty if it did not."""
    fault: str = ""
    """Why the whole crawl cannot go on. Empty while it can."""
    requests: int = 0
    """Attempts that were sent and ended, including redirects and retries."""
    repeated: int = 0
    """Requests that a run before this one had sent too, and could not end."""
    retries: int = 0
    redirects: int = 0
    from_cache: int = 0
    bytes_received: int = 0
    """Bytes of the bodies as they came over the wire."""
    bytes_expanded: int = 0
    """Bytes of the same bodies, unpacked."""
    statuses: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    """The number of answers with each HTTP status."""
    latency: Latency = field(default_factory=Latency)
    """The times from sending to the last byte."""
    slow_callbacks: int = 0
    """The number of callbacks that computed for longer than `slow_callback_s`."""
    earlier: Mapping[str, Any] = field(default_factory=dict)
    """What the runs before this one have counted; empty if the crawl begins with this run."""
    _examples: dict[str, str] = field(default_factory=dict)

    def __post_init__(self, clock: Clock) -> None:
        self.timing = Timing(clock)

    @property
    def pending(self) -> int:
        """Requests without an end: waiting, also for a cooldown, in flight, or cancelled."""
        return self.discovered - self.pages - self.filtered.total() - self.failed.total()

    @property
    def failures_by_reason(self) -> Counter[str]:
        """Failed requests, and callbacks that raised, by reason."""
        return self.failed + self.raised

    @property
    def failures(self) -> int:
        """The number of failures."""
        return self.failed.total() + self.raised.total()

    def filter(self, reason: str, url: str, count: int = 1) -> None:
        """Count a request that was filtered, or several. The first URL with each reason is kept as
        its example."""
        self.filtered[reason] += count
        if reason not in self._examples:  # most links of a page are duplicates
            self._keep_first(reason, url)

    def fail(self, reason: str, url: str) -> None:
        """Count a request that failed. The first URL with each reason is kept as its example."""
        self.failed[reason] += 1
        self._keep_first(reason, url)

    def blame(self, reason: str, url: str) -> None:
        """Count a callback that raised. The first URL with each reason is kept as its example."""
        self.raised[reason] += 1
        self._keep_first(reason, url)

    def _keep_first(self, reason: str, url: str) -> None:
        if reason not in self._examples:
            self._examples[reason] = urls.shown(url)

    def settled(self, result: FetchAnswer | FetchError) -> None:
        """Count an attempt that has ended."""
        self.requests += 1
        if isinstance(result, FetchAnswer):
            self.statuses[result.status] += 1
            self.bytes_expanded += len(result.body)
            self.bytes_received += result.received
            self.from_cache += result.cached
            self.latency.add(result.seconds)
        self.timing.note(self.pages)

    def example_of(self, reason: str) -> str:
        """The first URL that was counted for a reason."""
        return self._examples[reason]

    def kept(self) -> dict[str, Any]:
        """All that is counted, in JSON, without the values of secrets."""
        return {
            **{name: getattr(self, name) for name in _NUMBERS},
            **{name: hidden(getattr(self, name)) for name in _REASONS},
            "statuses": dict(self.statuses),
            "examples": hidden(self._examples),
            "latency": self.latency.kept(),
            "seconds": self.timing.seconds,
            "counted_ns": self.timing.now_ns,
        }

    def go_on(self, kept: Mapping[str, Any]) -> None:
        """Go on from what `kept` returned."""
        self.earlier = kept
        for name in _NUMBERS:
            setattr(self, name, kept[name])
        for name in _REASONS:
            setattr(self, name, Counter(kept[name]))
        self.statuses.update({int(status): count for status, count in kept["statuses"].items()})
        self._examples.update(kept["examples"])
        self.latency.go_on(kept["latency"])
        self.timing.go_on(kept["seconds"], self.pages)

    def counts(self) -> Counts:
        """The counts that the worker reports to the leader."""
        return Counts(self.pages, self.items, self.failures, self.timing.seconds)

    def statistics(
        self,
        task: str,
        spider: str,
        finish_reason: str = "",
        cooldowns: Mapping[str, float] = MappingProxyType({}),
        memory: Mapping[str, int] = MappingProxyType({}),
        hosts: PendingHosts = NO_HOSTS,
    ) -> Statistics:
        """The statistics of the crawl at this moment.

        `cooldowns` are the hosts that have a cooldown, with the seconds that are left. `hosts` are
        those with the most pending requests.
        """
        timing = self.timing
        return Statistics(
            task=task,
            spider=spider,
            began_ns=timing.began_ns,
            ended_ns=timing.ended_ns,
            finish_reason=finish_reason,
            resumed=bool(self.earlier),
            seconds=timing.seconds,
            discovered=self.discovered,
            pages=self.pages,
            pages_per_s=timing.pages_per_s(self.pages),
            items=self.items,
            items_dropped=dict(self.items_dropped),
            items_failed=dict(self.items_failed),
            requests=self.requests,
            repeated=self.repeated,
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
            hosts=hosts.largest,
            pending_hosts=hosts.total,
            memory=dict(memory),
            latency_s=self.latency.shown(),
            slow_callbacks=self.slow_callbacks,
            counted_ns=self.timing.now_ns,
        )


def statistics_of_kept(kept: Mapping[str, Any], task: str, spider: str, clock: Clock) -> Statistics:
    """The statistics of a crawl of which only that is known what `Counters.kept` has returned.

    It may hold requests still, or others may have got them since: so it tells none. Nor does it
    tell that an earlier run began the crawl: nobody knows how many runs have counted.
    """
    counters = Counters(clock)
    counters.go_on(kept)
    counters.discovered -= counters.pending
    counted_ns = kept.get("counted_ns", 0)  # an earlier version kept none
    return replace(counters.statistics(task, spider), resumed=False, counted_ns=counted_ns)
