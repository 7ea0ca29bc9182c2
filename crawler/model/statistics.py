"""The statistics of a crawl at one moment, as they are shown, and as they travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args, get_type_hints


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
        hints = get_type_hints(cls)
        known = {name: value for name, value in data.items() if name in hints}
        return cls(**{name: _read(hints[name], value) for name, value in known.items()})


def _read(hint: Any, value: Any) -> Any:
    """A value of that type: JSON has one kind of numbers, and texts as keys."""
    inner = get_args(hint)
    if inner:
        return {_read(inner[0], key): _read(inner[1], each) for key, each in value.items()}
    return int(value) if hint is int else value
