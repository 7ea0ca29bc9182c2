"""Which hosts a crawl still has to ask, and what keeps it from that."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from crawler.engine.frontier.site_queue import SiteQueue
from crawler.model.statistics import MOST_HOSTS, HostLoad


class PendingHosts(NamedTuple):
    """The hosts that have requests without an end."""

    largest: dict[str, HostLoad]
    """Those with the most of them."""
    total: int
    """How many hosts have such requests, but for those whose requests are all on disk."""


NO_HOSTS = PendingHosts({}, 0)


def pending_hosts(
    queues: Iterable[SiteQueue],
    cooldowns: Mapping[str, float],
    pause_s: Callable[[str], float],
    lease: Callable[[str], str],
    most: int = MOST_HOSTS,
) -> PendingHosts:
    """The hosts with the most requests without an end: how many of them wait and are in flight,
    the seconds for which the host rests, its pause in force and its lease."""
    found: dict[str, list[int]] = {}
    for queue in queues:
        counts = found.setdefault(queue.host, [0, 0])
        counts[0] += len(queue.jobs) + queue.on_disk
        counts[1] += queue.busy
    pending = {host: counts for host, counts in found.items() if any(counts)}
    largest = heapq.nlargest(most, pending.items(), key=lambda each: sum(each[1]))
    loads = {
        host: HostLoad(
            waiting,
            in_flight,
            rests_s=round(cooldowns.get(host, 0.0), 1),
            pause_s=round(pause_s(host), 3),
            lease=lease(host),
        )
        for host, (waiting, in_flight) in largest
    }
    return PendingHosts(loads, len(pending))
