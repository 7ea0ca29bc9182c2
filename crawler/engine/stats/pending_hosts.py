"""Which hosts a crawl still has to ask, and what keeps it from that."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping

from crawler.engine.frontier.site_queue import SiteQueue
from crawler.model.statistics import MOST_HOSTS, HostLoad


def pending_hosts(
    queues: Iterable[SiteQueue],
    cooldowns: Mapping[str, float],
    pause_s: Callable[[str], float],
    most: int = MOST_HOSTS,
) -> dict[str, HostLoad]:
    """The hosts with the most requests without an end: how many of them wait and are in flight,
    the seconds for which the host rests, and its pause in force."""
    found: dict[str, list[int]] = {}
    for queue in queues:
        counts = found.setdefault(queue.host, [0, 0])
        counts[0] += len(queue.jobs) + queue.on_disk
        counts[1] += queue.busy
    largest = heapq.nlargest(most, found.items(), key=lambda each: sum(each[1]))
    return {
        host: HostLoad(
            waiting,
            in_flight,
            rests_s=round(cooldowns.get(host, 0.0), 1),
            pause_s=round(pause_s(host), 3),
        )
        for host, (waiting, in_flight) in largest
        if waiting or in_flight
    }
