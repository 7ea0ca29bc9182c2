"""The statistics that the history keeps of a run: those of its crawl, in a bounded size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crawler.model.statistics import Statistics

MOST_BYTES = 2_000
"""The largest size of the statistics of one run, as JSON."""
MOST_TOLD = (10, 5, 2, 0)
"""How many reasons, statuses and hosts are told one by one: the first number with which all fits.
The rest are told together, as `others`."""
LONGEST_NAME = 100
"""How many characters of a reason are told."""
OTHERS = "others"
_NUMBERS = (
    *("finish_reason", "resumed", "seconds", "discovered", "pages", "items", "requests"),
    *("repeated", "retries", "redirects", "from_cache", "bytes_received", "bytes_expanded"),
    *("pending", "slow_callbacks"),
)
_BY_NAME = ("statuses", "failures", "filtered", "items_dropped", "items_failed")

NO_STATISTICS: Mapping[str, Any] = {}
"""The statistics of a run of which none are known."""


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """The statistics of one run that is over, as its worker tells them to the leader."""

    id: str
    """The id of its task."""
    shard: int
    epoch: int
    text: str
    """JSON of at most `MOST_BYTES`."""


def kept_of(found: Statistics) -> str:
    """Return what the history keeps of the statistics of a crawl, as JSON. What is 0 or empty is
    left out."""
    numbers = {name: getattr(found, name) for name in _NUMBERS}
    numbers["seconds"] = round(found.seconds, 3)
    numbers["finish_reason"] = found.finish_reason[:LONGEST_NAME]
    latency_s = {name: value for name, value in found.latency_s.items() if value}
    hosts = {host: load.requests for host, load in found.hosts.items()}
    text = ""
    for most in MOST_TOLD:
        named = {name: _largest(getattr(found, name), most) for name in _BY_NAME}
        told = {**numbers, **named, "pending_at": _largest(hosts, most), "latency_s": latency_s}
        known = {name: value for name, value in told.items() if value}
        text = json.dumps(known, separators=(",", ":"))
        if len(text) <= MOST_BYTES:
            break
    return text


def statistics_in(text: str) -> Mapping[str, Any]:
    """Return the statistics in a text; none if it is empty, or no JSON object."""
    try:
        found = json.loads(text) if text else NO_STATISTICS
    except ValueError:
        return NO_STATISTICS
    return found if isinstance(found, dict) else NO_STATISTICS


def _largest(counts: Mapping[Any, int], most: int) -> Mapping[str, int]:
    """Return the largest counts by name, and the sum of all others."""
    order = sorted(counts, key=lambda name: -counts[name])
    told = {str(name)[:LONGEST_NAME]: counts[name] for name in order[:most] if counts[name]}
    others = sum(counts[name] for name in order[most:])
    return {**told, OTHERS: others} if others else told
