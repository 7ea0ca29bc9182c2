"""Decides whether a crawl may send to a site now. It checks cooldown, robots.txt and turn, in
order.

It also records what each answer says about its host. This counts for all crawls of the worker.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from crawler.clock import Clock
from crawler.engine.frontier.job import Job
from crawler.engine.frontier.site_queue import SiteQueue
from crawler.engine.http.headers import Headers, retry_after_s
from crawler.engine.http.messages import FetchAnswer, FetchError
from crawler.engine.politeness.cooldowns import Cooldown
from crawler.engine.politeness.host import HostTerms
from crawler.engine.politeness.hosts import Hosts
from crawler.engine.politeness.robots import CrawlRobots
from crawler.engine.politeness.robots_rules import Rules, agent_of
from crawler.engine.politeness.slots import PATIENCE_S, Slot, Slots
from crawler.settings.crawl import CrawlSettings

THROTTLED = frozenset({429, 503})
LATER_S = 0.5
"""The seconds after which a slow host is tried again, if it got no slot."""
_NO_RULES = Rules()


@dataclass(frozen=True, slots=True)
class Send:
    """Send the first request of the site now. The host counts it as in flight until `release`."""

    stored: FetchAnswer | None = None
    """Deliver this answer of the HTTP cache instead. It needs no turn of the host, and no
    `release`."""


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Ask again at that monotonic time."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Park:
    """Wait until the site is woken, because its turn may have come."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not send the first request of the site. Without an error, robots.txt forbids it."""

    error: FetchError | None


Verdict = Send | WaitUntil | Park | Refuse
_SEND, _PARK = Send(), Park()


class Gatekeeper:
    """Decides for one crawl before each request, and learns from each answer."""

    def __init__(
        self,
        settings: CrawlSettings,
        hosts: Hosts,
        robots: CrawlRobots,
        slots: Slots,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._hosts = hosts
        self._cooldowns = hosts.cooldowns
        self._robots = robots
        self._agent = agent_of(settings)
        self._slots = slots
        self._clock = clock
        self._joined: dict[SiteQueue, float] = {}
        """The sites whose hosts know the host terms of this crawl, and the Crawl-delay of each."""

    def adjust(self) -> None:
        """Tell the hosts the present terms of this crawl, because its settings may have changed."""
        for queue, asked_s in list(self._joined.items()):
            self._hosts.join(queue, HostTerms.of(self._settings, asked_s))
            queue.wake()

    def ask(self, queue: SiteQueue, stored: Callable[[Job], FetchAnswer | None]) -> Verdict:
        """Decide whether the first request of a site may be sent.

        `stored` returns the answer of the HTTP cache to an allowed request, if there is one.
        """
        cooldown = self._cooldowns.get(queue.host)
        if cooldown is not None:
            verdict = self._during(cooldown, queue)
            if verdict is not None:
                return verdict
        rules = self._rules(queue)
        if rules is None:
            return _PARK
        if not rules.allows(queue.first.url, self._agent) and _obeys(queue.first):
            trouble = rules.trouble
            return Refuse(FetchError(trouble, "robots.txt is unavailable") if trouble else None)
        answer = stored(queue.first)
        return self._turn(queue) if answer is None else Send(answer)

    def take_slot(self, queue: SiteQueue) -> Slot:
        """Take a slot for a request of a site. A slow host gets one beside `concurrency`."""
        cooldown = self._cooldowns.get(queue.host)
        lags = cooldown is not None and cooldown.lags
        return self._slots.take(self._clock.monotonic(), queue.host, lags)

    def ready_s(self, queue: SiteQueue) -> float:
        """The monotonic time from which the host may be sent to, if nobody else sends to it."""
        return self._hosts.ready_s(queue.host)

    def on_way(self, queue: SiteQueue) -> Callable[[], None] | None:
        """What to call when the request that has just got its turn goes onto the wire; None if its
        host has no pace."""
        return partial(self._hosts.went_out, queue.host) if self._hosts.holds(queue.host) else None

    def learn(self, queue: SiteQueue, slot: Slot, result: FetchAnswer | FetchError) -> None:
        """Record what the result of a request says about its host."""
        sent_s, now_s = slot.since_s, self._clock.monotonic()
        if isinstance(result, FetchError):
            self._hosts.answered(queue, sent_s, now_s)
            if result.unreachable:
                self._cooldowns.unreachable(queue.host, sent_s, self._settings)
            return
        self._hosts.answered(queue, sent_s, now_s - result.body_s, result.waited_s)
        self._hosts.adapt(queue, result.waited_s, result.status < 400)
        if result.status in THROTTLED:
            headers = Headers.parse(result.header_lines)
            asked_s = retry_after_s(headers, self._clock.time_ns() / 1e9)
            self._cooldowns.throttled(queue.host, sent_s, asked_s, self._settings)
        else:
            self._cooldowns.answered(queue.host, result.waited_s < PATIENCE_S)

    def release(self, queue: SiteQueue) -> None:
        """Record that a request that was sent has ended."""
        self._hosts.release(queue.host)

    def leave(self, queue: SiteQueue) -> None:
        """Withdraw the crawl's terms for the host of a site, which has no more requests for now."""
        if queue in self._joined:
            del self._joined[queue]
            self._hosts.leave(queue)

    def leave_all(self) -> None:
        """Withdraw the crawl's terms for all hosts, because the crawl ends."""
        for queue in list(self._joined):
            self.leave(queue)

    def _during(self, cooldown: Cooldown, queue: SiteQueue) -> Verdict | None:
        """The verdict on a host with incidents; None if it may be asked nevertheless."""
        now_s = self._clock.monotonic()
        reason = cooldown.hopeless(now_s, self._settings)
        if reason:
            left_s = cooldown.until_s - now_s
            return Refuse(FetchError(reason, f"for another {left_s:.0f} s"))
        if cooldown.until_s > now_s:
            return WaitUntil(cooldown.until_s)
        if cooldown.lags and self._slots.is_full and not self._may_be_beside(queue):
            return WaitUntil(now_s + LATER_S)
        return None

    def _may_be_beside(self, queue: SiteQueue) -> bool:
        return self._slots.has_spare and not self._hosts.in_flight(queue.host)

    def _rules(self, queue: SiteQueue) -> Rules | None:
        """The robots rules of a site, whose Crawl-delay now counts; None while they are fetched."""
        rules: Rules | None = _NO_RULES
        if self._settings.robots:
            rules = self._robots.rules(queue.origin)
        if rules is None:
            self._ask_robots(queue)
        elif queue not in self._joined:
            asked_s = rules.delay_s(self._agent)
            self._joined[queue] = asked_s
            self._hosts.join(queue, HostTerms.of(self._settings, asked_s))
        return rules

    def _ask_robots(self, queue: SiteQueue) -> None:
        slot = self._slots.take(self._clock.monotonic(), queue.host, beside=True)

        def ready() -> None:
            self._slots.free(slot)
            rules = self._robots.rules(queue.origin)
            if rules is not None and rules.unreachable:
                self._cooldowns.unreachable(queue.host, slot.since_s, self._settings)
            elif rules is not None and rules.pause_s is not None:
                self._cooldowns.throttled(queue.host, slot.since_s, rules.pause_s, self._settings)
            queue.wake()

        self._robots.ask(queue.origin, ready)

    def _turn(self, queue: SiteQueue) -> Verdict:
        again_s = self._hosts.take(queue)
        if again_s is None:
            return _SEND
        return WaitUntil(again_s) if again_s < math.inf else _PARK


def _obeys(job: Job) -> bool:
    """Whether a request obeys robots.txt; its `meta` may say that it does not."""
    return not job.request.meta.get("dont_obey_robotstxt")
