"""The pace of one host: what all that send to it have agreed on, and when the next may send.

The delay counts from the beginning of an answer, because the host had the request by then. So two
requests never reach the host closer together than the delay, however long one took to get there.
For a host that answers slowly, the pause between two requests is at most twice the delay.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from crawler.engine.politeness.cooldowns import Cooldown
from crawler.settings.crawl import CrawlSettings, Limit

GRACE_S = 0.05
"""The seconds that a turn is kept for the first in line, which may be busy with something else."""

LONG_S = 86_400.0
"""No pause is longer."""

DOUBT = 1.0
"""The largest share of the delay that is added until it is known when a request arrived."""


class Member(Protocol):
    """One sender to a host: the queue of a crawl for a site."""

    host: str

    def wake(self) -> None:
        """Ask again soon, because its turn may have come."""
        ...


@dataclass(frozen=True, slots=True)
class HostTerms:
    """What one crawl requires of a host."""

    delay_s: float
    host_concurrency: int
    limits: tuple[Limit, ...] = ()
    delay_random: float = 0.0
    """The share by which chance varies the delay."""
    adaptive: float = 0.0
    """How many requests should be in flight at once; this sets the delay. 0 turns it off."""
    max_delay_s: float = math.inf
    """The longest delay that `adaptive` sets."""
    crawl_delay_s: float = 0.0
    """The Crawl-delay of robots.txt, which chance never shortens."""

    @classmethod
    def of(cls, settings: CrawlSettings, crawl_delay_s: float = 0.0) -> HostTerms:
        """The terms of a crawl for a site with that Crawl-delay."""
        return cls(
            delay_s=max(settings.delay_s, crawl_delay_s),
            host_concurrency=settings.host_concurrency,
            limits=tuple(settings.limits),
            delay_random=settings.delay_random,
            adaptive=settings.adaptive,
            max_delay_s=settings.max_delay_s,
            crawl_delay_s=crawl_delay_s,
        )


class Host:
    """One host: its members, and when the next request may be sent to it."""

    __slots__ = (
        "crawl_delay_s",
        "delay_s",
        "doubt",
        "factor",
        "freed_s",
        "from_s",
        "in_flight",
        "is_held",
        "limit",
        "limits",
        "members",
        "others_pause_s",
        "pace_s",
        "pause_s",
        "random",
        "sent_s",
        "spent",
        "turn_s",
        "waiting",
    )

    def __init__(self) -> None:
        self.members: dict[Member, HostTerms] = {}
        """The crawls' queues for the host, with their terms."""
        self.waiting: OrderedDict[Member, None] = OrderedDict()
        """The members that wait for a turn, in the order in which they asked."""
        self.sent_s = -math.inf
        """The monotonic time from which the pause before the next request counts."""
        self.turn_s = -math.inf
        """The monotonic time at which a request last got its turn."""
        self.from_s = -math.inf
        """The monotonic time before which nothing is sent, because another worker has sent."""
        self.others_pause_s = 0.0
        """The longest pause for which other workers ask that wait for the host."""
        self.freed_s = -math.inf
        """The monotonic time at which a request last ended."""
        self.in_flight = 0
        self.is_held = False
        """Whether the last request has a turn and is not on the wire yet, because it connects.
        Until then nothing else is sent: both might arrive at once."""
        self.delay_s = 0.0
        """The longest delay of all members."""
        self.crawl_delay_s = 0.0
        """The longest Crawl-delay of robots.txt."""
        self.random = 0.0
        """The largest share by which chance varies the delay."""
        self.factor = 1.0
        """The factor by which chance varies the present delay."""
        self.pause_s = 0.0
        """What must pass between two requests, rate limits aside."""
        self.doubt = 0.0
        """The share of the pause that is added until the last request is answered."""
        self.pace_s = 0.0
        """The delay that follows the latency of answers (`adaptive`); 0 if it is off."""
        self.limit = 1
        """How many requests may be in flight."""
        self.limits: set[Limit] = set()
        self.spent: dict[Limit, float] = {}
        """For each rate limit, the monotonic time at which its bucket will be full again."""

    @property
    def ready_s(self) -> float:
        """The monotonic time at which the delay is over and each bucket holds a token, if no
        request waits for its answer."""
        ready_s = max(self.sent_s + self.pause_s, self.from_s)
        for limit in self.limits:
            full_s = self.spent.get(limit, -math.inf)
            ready_s = max(ready_s, full_s - (limit.burst - 1) * limit.per_s / limit.events)
        return ready_s

    def agree(self) -> None:
        """Combine the terms of all members. The last member's terms stay when it has left."""
        if not self.members:
            self.limit = 1
            return
        all_terms = self.members.values()
        self.delay_s = max(terms.delay_s for terms in all_terms)
        self.crawl_delay_s = max(terms.crawl_delay_s for terms in all_terms)
        self.random = max(terms.delay_random for terms in all_terms)
        self.limit = min(terms.host_concurrency for terms in all_terms)
        self.limits = {limit for terms in all_terms for limit in terms.limits}
        if not self.random:
            self.factor = 1.0
        if not any(terms.adaptive for terms in all_terms):
            self.pace_s = 0.0
        self.set_pause()

    def set_pause(self) -> None:
        """Set the pause before the next request. It does not include the rate limits."""
        own_s = max(max(self.delay_s, self.pace_s) * self.factor, self.crawl_delay_s)
        self.pause_s = max(own_s, self.others_pause_s)

    def set_others_pause(self, pause_s: float) -> None:
        """Set the pause for which other workers ask, which may end one that holds no longer."""
        self.others_pause_s = pause_s
        self.set_pause()

    def send(self, now_s: float, chance: float) -> None:
        """Record that a request is sent. `chance`, from 0 to 1, varies the delay after it."""
        self.in_flight += 1
        self.turn_s = self.sent_s = now_s
        self.is_held = bool(self.pause_s or self.limits)
        self.doubt = DOUBT
        if self.random:
            self.factor = 1 + self.random * (2 * chance - 1)
            self.set_pause()
        for limit in self.limits:
            full_s = max(now_s, self.spent.get(limit, now_s))
            self.spent[limit] = full_s + limit.per_s / limit.events

    def went_out(self, now_s: float) -> None:
        """Record that the last request goes onto the wire."""
        self.is_held = False
        for limit in self.limits:
            if limit in self.spent:
                self.spent[limit] += now_s - self.sent_s
        self.sent_s = now_s

    def reached(self, began_s: float, waited_s: float) -> None:
        """Record that the last request had arrived when its answer began, after `waited_s`."""
        self.doubt, self.is_held = 0.0, False
        self.sent_s = began_s - max(0.0, waited_s - DOUBT * self.pause_s)
        for limit in self.limits:
            full_s = self.spent.get(limit, self.sent_s)
            self.spent[limit] = max(full_s, self.sent_s + limit.per_s / limit.events)

    def ended(self, now_s: float) -> None:
        """Record that a request has ended. If the last one was cut off before its answer, it may
        have arrived just now."""
        self.in_flight -= 1
        self.freed_s = now_s
        if not self.in_flight and self.doubt:
            self.reached(now_s, 0.0)

    def adapt(self, waited_s: float, is_good: bool, member: Member) -> None:
        """Adapt the delay to the latency of an answer. Errors, often quick, never shorten it."""
        terms = self.members[member]
        if not terms.adaptive:
            return
        delay_s = max(self.delay_s, self.pace_s)
        target_s = waited_s / terms.adaptive
        pace_s = min(max(target_s, (delay_s + target_s) / 2), terms.max_delay_s)
        if is_good or pace_s > delay_s:
            self.pace_s = pace_s
            self.set_pause()

    def wait(self, member: Member, now_s: float, cooldown: Cooldown | None) -> float | None:
        """The monotonic time at which a member should ask again; None if it has its turn now."""
        limit = 1 if cooldown is not None and cooldown.probed else self.limit
        if self.in_flight >= limit or self.is_held:
            return math.inf
        come_s = max(self.ready_s, self.sent_s + self.pause_s * (1 + self.doubt))
        if cooldown is not None:
            come_s = max(come_s, cooldown.until_s)
        if next(iter(self.waiting), member) is not member:
            come_s = max(come_s, self.freed_s) + GRACE_S
        return come_s if come_s > now_s else None

    def told(self, now_s: float, rest: list[Any] | None) -> dict[str, Any]:
        """What the next worker must know that sends to this host, in JSON. All are durations."""
        spent = [
            [limit.events, limit.per_s, limit.burst, full_s - now_s]
            for limit, full_s in self.spent.items()
            if full_s > now_s
        ]
        return {
            "since_s": min(now_s - self.sent_s, LONG_S),
            "pace_s": self.pace_s,
            "spent": spent,
            "rest": rest,
        }

    def take_over(self, told: Mapping[str, Any], told_s: float) -> None:
        """Go on from what another worker told at that monotonic time."""
        self.sent_s = max(self.sent_s, told_s - told["since_s"])
        if any(terms.adaptive for terms in self.members.values()):
            self.pace_s = told["pace_s"]
        for events, per_s, burst, full_s in told["spent"]:
            limit = Limit(events, per_s, burst)
            self.spent[limit] = max(self.spent.get(limit, -math.inf), told_s + full_s)
        self.set_pause()

    def is_idle(self, now_s: float) -> bool:
        """Whether the host can be forgotten."""
        full_s = max(self.spent.values(), default=now_s)
        return not self.members and not self.in_flight and max(self.ready_s, full_s) <= now_s

    def wake_all(self) -> None:
        """Wake all waiting members: the first for its turn, the others in case it does not come."""
        for member in list(self.waiting):
            member.wake()
