"""Politeness, shared by all crawls of a worker: who may send to which host, and when.

A host is a name or an address; its ports count as one. Of the crawls that use a host the longest
delay, the lowest concurrency and every rate limit hold for all. They take turns in the order in
which they asked, so none starves; one that does not come for its turn in time is overtaken. Each
call is O(1) in the number of hosts.

The delay counts from when the host has begun to answer, since it had the request by then at the
latest: so two requests are never nearer at the host than here, however long one was on its way.
For a host that takes its time, the delay is doubled at the most.
"""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from crawler.clock import Clock
from crawler.engine.politeness.cooldowns import Cooldown, Cooldowns
from crawler.settings.crawl import CrawlSettings, Limit

GRACE_S = 0.05
"""How long a turn is kept for the one that is first in line, who may be busy otherwise."""

DOUBT = 1.0
"""That share of the delay is added at most for not knowing when a request was at its host."""


class Member(Protocol):
    """Somebody who sends to one host: the queue of a crawl for a site."""

    host: str

    def wake(self) -> None:
        """Its turn may have come: it should ask again."""
        ...


@dataclass(frozen=True, slots=True)
class HostTerms:
    """How one crawl wants a host to be treated."""

    delay_s: float
    host_concurrency: int
    limits: tuple[Limit, ...] = ()
    delay_random: float = 0.0
    """By what share the delay varies."""
    adaptive: float = 0.0
    """How many requests are to be in flight at once, which sets the delay; 0 is off."""
    max_delay_s: float = math.inf
    """The longest delay that comes of that."""
    crawl_delay_s: float = 0.0
    """What robots.txt asks for, which no chance shortens."""

    @classmethod
    def of(cls, settings: CrawlSettings, crawl_delay_s: float = 0.0) -> HostTerms:
        """Those of a crawl, at a site whose robots.txt asks for that delay."""
        return cls(
            delay_s=max(settings.delay_s, crawl_delay_s),
            host_concurrency=settings.host_concurrency,
            limits=tuple(settings.limits),
            delay_random=settings.delay_random,
            adaptive=settings.adaptive,
            max_delay_s=settings.max_delay_s,
            crawl_delay_s=crawl_delay_s,
        )


class _Host:
    __slots__ = (
        "crawl_delay_s",
        "delay_s",
        "doubt",
        "factor",
        "freed_s",
        "in_flight",
        "limit",
        "limits",
        "members",
        "pace_s",
        "pause_s",
        "random",
        "sent_s",
        "spent",
        "waiting",
    )

    def __init__(self) -> None:
        self.members: dict[Member, HostTerms] = {}
        self.waiting: OrderedDict[Member, None] = OrderedDict()
        self.sent_s = -math.inf
        self.freed_s = -math.inf
        self.in_flight = 0
        self.delay_s = 0.0
        self.crawl_delay_s = 0.0
        self.random = 0.0
        self.factor = 1.0
        self.pause_s = 0.0
        self.doubt = 0.0
        self.pace_s = 0.0
        self.limit = 1
        self.limits: set[Limit] = set()
        self.spent: dict[Limit, float] = {}
        """For each bucket the moment at which it will be full again."""

    @property
    def ready_s(self) -> float:
        """When the delay is over and each bucket holds a token, if all goes well."""
        ready_s = self.sent_s + self.pause_s
        for limit in self.limits:
            full_s = self.spent.get(limit, -math.inf)
            ready_s = max(ready_s, full_s - (limit.burst - 1) * limit.per_s / limit.events)
        return ready_s

    def agree(self) -> None:
        """Work out the terms that hold for all members; the last ones outlive their member."""
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
        """Work out what is to pass before the next request, limits aside."""
        self.pause_s = max(max(self.delay_s, self.pace_s) * self.factor, self.crawl_delay_s)

    def send(self, now_s: float, chance: float) -> None:
        """A request goes out; `chance` in 0 to 1 decides how long the delay after it is."""
        self.in_flight += 1
        self.sent_s = now_s
        self.doubt = DOUBT
        if self.random:
            self.factor = 1 + self.random * (2 * chance - 1)
            self.set_pause()
        for limit in self.limits:
            full_s = max(now_s, self.spent.get(limit, now_s))
            self.spent[limit] = full_s + limit.per_s / limit.events

    def reached(self, began_s: float, waited_s: float) -> None:
        """The last request was there when its answer began, so long after it went out."""
        self.doubt = 0.0
        self.sent_s = began_s - max(0.0, waited_s - DOUBT * self.pause_s)
        for limit in self.limits:
            full_s = self.spent.get(limit, self.sent_s)
            self.spent[limit] = max(full_s, self.sent_s + limit.per_s / limit.events)

    def adapt(self, waited_s: float, is_good: bool, member: Member) -> None:
        """Let the delay follow the time that answers take; errors, often quick, do not shorten."""
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
        """When that member should ask again; None when it is its turn."""
        limit = 1 if cooldown is not None and cooldown.probed else self.limit
        if self.in_flight >= limit:
            return math.inf
        come_s = max(self.ready_s, self.sent_s + self.pause_s * (1 + self.doubt))
        if cooldown is not None:
            come_s = max(come_s, cooldown.until_s)
        if next(iter(self.waiting), member) is not member:
            come_s = max(come_s, self.freed_s) + GRACE_S
        return come_s if come_s > now_s else None

    def is_idle(self, now_s: float) -> bool:
        """Whether it may be forgotten."""
        full_s = max(self.spent.values(), default=now_s)
        return not self.members and not self.in_flight and max(self.ready_s, full_s) <= now_s

    def wake_all(self) -> None:
        """Wake whoever waits: the first for its turn, the others for the case it does not come."""
        for member in list(self.waiting):
            member.wake()


class Hosts:
    """The hosts in use, and those whose delay has not passed yet."""

    def __init__(self, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        self.cooldowns = Cooldowns(clock, chance)
        """Those that are left alone for a while."""
        self._clock = clock
        self._chance = chance
        self._hosts: dict[str, _Host] = {}
        self._purge_at = 1024

    def __len__(self) -> int:
        return len(self._hosts)

    def join(self, member: Member, terms: HostTerms) -> None:
        """Let a member's terms count, from now on or anew."""
        if len(self._hosts) >= self._purge_at:
            self._purge()
        host = self._hosts.setdefault(member.host, _Host())
        host.members[member] = terms
        host.agree()

    def leave(self, member: Member) -> None:
        """Forget a member; what it has in flight is still to be released."""
        host = self._hosts.get(member.host)
        if host is None:
            return
        host.members.pop(member, None)
        host.waiting.pop(member, None)
        host.agree()
        host.wake_all()

    def take(self, member: Member) -> float | None:
        """Ask for a turn of a member that has joined.

        None means that it may send one request now and calls `release` when that has ended. Else
        the monotonic moment to ask again; infinity means that `member.wake` will be called.
        """
        host = self._hosts[member.host]
        now_s = self._clock.monotonic()
        again_s = host.wait(member, now_s, self.cooldowns.get(member.host))
        if again_s is not None:
            host.waiting.setdefault(member)
            return again_s
        host.waiting.pop(member, None)
        host.send(now_s, self._chance() if host.random else 0.5)
        for next_member in host.waiting:
            next_member.wake()
            break
        return None

    def ready_s(self, name: str) -> float:
        """The moment from which on the host may be sent to again, if nobody else does."""
        return self._hosts[name].ready_s

    def in_flight(self, name: str) -> int:
        """How many requests to that host are on their way."""
        host = self._hosts.get(name)
        return host.in_flight if host else 0

    def answered(
        self, member: Member, sent_s: float, began_s: float, waited_s: float = 0.0
    ) -> None:
        """The answer to what was sent then began at `began_s`, after so long a wait; or it failed
        then."""
        host = self._hosts[member.host]
        if sent_s >= host.sent_s:
            host.reached(began_s, waited_s)

    def adapt(self, member: Member, waited_s: float, is_good: bool) -> None:
        """An answer took so long to begin: let the delay follow, if the member asks for it."""
        self._hosts[member.host].adapt(waited_s, is_good, member)

    def release(self, name: str) -> None:
        """A request to that host has ended."""
        host = self._hosts[name]
        host.in_flight -= 1
        if not host.in_flight:
            host.doubt = 0.0
        host.freed_s = self._clock.monotonic()
        host.wake_all()

    def _purge(self) -> None:
        now_s = self._clock.monotonic()
        for name, host in list(self._hosts.items()):
            if host.is_idle(now_s):
                del self._hosts[name]
        self._purge_at = max(1024, 2 * len(self._hosts))
