"""The statistics of a crawl at one moment, for people: as they stand, or as they ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any

from crawler.engine.stats.counters import Counters


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

    @classmethod
    def of(
        cls,
        counters: Counters,
        task: str,
        spider: str,
        finish_reason: str = "",
        cooldowns: Mapping[str, float] = MappingProxyType({}),
        memory: Mapping[str, int] = MappingProxyType({}),
    ) -> Statistics:
        """As the counters stand now; `cooldowns` are the hosts that are left alone, with the
        seconds that is for yet."""
        timing = counters.timing
        return cls(
            task=task,
            spider=spider,
            began_ns=timing.began_ns,
            ended_ns=timing.ended_ns,
            finish_reason=finish_reason,
            seconds=timing.seconds,
            discovered=counters.discovered,
            pages=counters.pages,
            pages_per_s=timing.pages_per_s(counters.pages),
            items=counters.items,
            items_dropped=dict(counters.items_dropped),
            items_failed=dict(counters.items_failed),
            requests=counters.requests,
            retries=counters.retries,
            redirects=counters.redirects,
            from_cache=counters.from_cache,
            bytes_received=counters.bytes_received,
            bytes_expanded=counters.bytes_expanded,
            statuses=dict(counters.statuses),
            failures=dict(counters.failures_by_reason),
            filtered=dict(counters.filtered),
            pending=counters.pending,
            resting={
                "hosts": len(cooldowns),
                "longest_s": round(max(cooldowns.values(), default=0.0), 1),
            },
            memory=dict(memory),
            latency_s=counters.latency.shown(),
            slow_callbacks=counters.slow_callbacks,
        )

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
