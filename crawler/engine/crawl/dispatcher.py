"""From the frontier to the fetcher: sends what is due, allowed, and has its turn.

A slot is held from sending until the crawl says `settled`, which bounds the bodies in memory. A
site whose delay runs, whose host rests, or whose robots.txt is not there yet holds none; the fetch
of a robots.txt does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.event import Event

from crawler.engine.crawl.sender import Sender
from crawler.engine.crawl.shared import Shared
from crawler.engine.crawl.time_slice import TimeSlice
from crawler.engine.crawl.verdicts import retry_after_s
from crawler.engine.download.cache_policy import CachePolicy
from crawler.engine.frontier.frontier import Frontier, Job, SiteQueue
from crawler.engine.http.headers import Headers
from crawler.engine.http.messages import FetchAnswer, FetchError
from crawler.engine.politeness.cooldowns import Cooldown
from crawler.engine.politeness.robots import Rules, way_of
from crawler.engine.politeness.slots import PATIENCE_S, Slot, Slots
from crawler.settings.crawl import CACHE_OFF, CrawlSettings

NO_RULES = Rules()
THROTTLED = frozenset({429, 503})
LATER_S = 0.5
"""A host that lags is looked at again after that time when there is no slot for it."""


class Dispatcher:
    """Keeps the slots of one crawl filled. `refused` gets what is not sent: with an error when
    its host cannot be asked, without one when robots.txt does not allow it."""

    def __init__(
        self,
        task: str,
        settings: CrawlSettings,
        frontier: Frontier,
        shared: Shared,
        woken: Event,
        refused: Callable[[Job, FetchError | None], None],
    ) -> None:
        self.arrived: deque[tuple[Job, SiteQueue, FetchAnswer | FetchError]] = deque()
        """Answers for the crawl; `woken` is set with each."""
        self._slots = Slots(
            settings.concurrency, settings.slow_concurrency, shared.hosts.rests.lags
        )
        self._settings = settings
        self._frontier = frontier
        self._shared = shared
        self._woken = woken
        self._refused = refused
        cache_policy = None
        if settings.cache != CACHE_OFF and shared.cache is not None:
            cache_policy = CachePolicy(
                shared.cache, task, settings, lambda: shared.clock.time_ns() / 1e9
            )
        self._sender = Sender(settings, shared.fetcher, shared.clock.monotonic, cache_policy)
        self._way = way_of(settings, self._sender.headers)
        self._in_flight: dict[Job, tuple[SiteQueue, Any]] = {}
        self._aborted = False
        self._broken_off = 0

    @property
    def busy(self) -> int:
        """Slots in use."""
        return self._slots.busy

    @property
    def has_room(self) -> bool:
        """Whether a slot is free, and there is memory for what comes in."""
        if self._aborted or not self._slots.has_room(self._shared.clock.monotonic()):
            return False
        if self._shared.held.full:
            self._shared.held.when_free(self._woken.set)
            return False
        return True

    @property
    def is_hungry(self) -> bool:
        """Whether a slot is free and no host due."""
        return self.has_room and self._frontier.next_s() > self._shared.clock.monotonic()

    def next_s(self) -> float:
        """The moment at which something may be sent, if nothing arrives before."""
        return self._frontier.next_s() if self.has_room else self._slots.next_s()

    def resting(self) -> dict[str, float]:
        """The hosts with requests of this crawl that rest, and for how many seconds more."""
        resting = self._shared.hosts.rests.resting()
        hosts = {queue.host for queue in self._frontier.sites() if queue.jobs}
        return {host: left_s for host, left_s in resting.items() if host in hosts}

    @property
    def under_way(self) -> int:
        """Requests that were sent and are not dealt with, those that were broken off included."""
        return len(self._in_flight) + len(self.arrived) + self._broken_off

    def dispatch(self, pace: TimeSlice) -> None:
        """Send what is due, as far as slots are free."""
        while self.has_room:
            queue = self._frontier.due()
            if queue is None:
                return
            rest = self._shared.hosts.rests.get(queue.host)
            if rest is None or self._may_be_asked(queue, rest):
                rules = self._rules(queue)
                if rules is not None:
                    self._serve(queue, rules)
            pace.give_way()

    def settled(self, queue: SiteQueue, result: FetchAnswer | FetchError) -> None:
        """An arrived answer was dealt with: its slot is free, and its memory."""
        self._shared.held.give_back(_size(result))
        self._slots.settle()
        queue.busy -= 1
        self._forget_if_idle(queue)

    def abort(self) -> None:
        """Break off what is in flight and give up every turn."""
        self._aborted = True
        for queue, transfer in self._in_flight.values():
            if transfer is not None:
                self._sender.cancel(transfer)
            self._shared.hosts.release(queue.host)
        self._broken_off = self.under_way
        self._in_flight.clear()
        while self.arrived:
            self._shared.held.give_back(_size(self.arrived.popleft()[-1]))
        for queue in self._frontier.sites():
            if queue.joined:
                self._shared.hosts.leave(queue)

    def _may_be_asked(self, queue: SiteQueue, rest: Cooldown) -> bool:
        """Whether a host that gave cause has its turn; else its requests end, or wait."""
        now_s = self._shared.clock.monotonic()
        reason = rest.hopeless(now_s, self._settings)
        if reason:
            left_s = rest.until_s - now_s
            self._drop(queue, FetchError(reason, f"for another {left_s:.0f} s"))
        elif rest.until_s > now_s:
            self._frontier.put(queue, rest.until_s)
        elif rest.lags and self._slots.is_full and not self._may_be_beside(queue):
            self._frontier.put(queue, now_s + LATER_S)
        else:
            return True
        return False

    def _may_be_beside(self, queue: SiteQueue) -> bool:
        return self._slots.has_spare and not self._shared.hosts.in_flight(queue.host)

    def _rules(self, queue: SiteQueue) -> Rules | None:
        """The rules of a site, whose delay then counts; None parks it until they are known."""
        rules: Rules | None = NO_RULES
        if self._settings.robots:
            rules = self._shared.robots.rules(queue.origin, self._way)
        if rules is None:
            self._ask_robots(queue)
        elif not queue.joined:
            asked_s = rules.delay_s(self._settings.user_agent)
            queue.delay_s = max(self._settings.delay_s, asked_s)
            queue.crawl_delay_s = asked_s
            queue.joined = True
            self._shared.hosts.join(queue)
        return rules

    def _ask_robots(self, queue: SiteQueue) -> None:
        slot = self._slots.take(self._shared.clock.monotonic(), queue.host, beside=True)

        def ready() -> None:
            self._slots.free(slot)
            rules = self._shared.robots.rules(queue.origin, self._way)
            if rules is not None and rules.unreachable:
                self._shared.hosts.rests.unreachable(queue.host, slot.since_s, self._settings)
            queue.wake()

        sender = self._sender
        self._shared.robots.ask(
            queue.origin, self._settings, sender.headers, ready, sender.proxy(), self._way
        )

    def _take_slot(self, queue: SiteQueue) -> Slot:
        rest = self._shared.hosts.rests.get(queue.host)
        lags = rest is not None and rest.lags
        return self._slots.take(self._shared.clock.monotonic(), queue.host, lags)

    def _serve(self, queue: SiteQueue, rules: Rules) -> None:
        """Send the first request of a site, drop it, or have the site wait for its turn."""
        job = queue.jobs[0]
        if not rules.allows(job.url, self._settings.user_agent):
            error = FetchError(rules.trouble, "asked for robots.txt") if rules.trouble else None
            self._drop(queue, error)
            return
        if self._sender.cache_policy is not None and self._cache_policy(queue, job):
            return
        again_s = self._shared.hosts.take(queue)
        if again_s is None:
            self._send(self._frontier.pop(queue), queue)
            again_s = self._shared.hosts.ready_s(queue.host)
        self._frontier.put(queue, again_s)

    def _cache_policy(self, queue: SiteQueue, job: Job) -> bool:
        """Answer from the HTTP cache, if that can be: the site is not asked, and not waited for."""
        answer = self._sender.recalled(job)
        if answer is None:
            return False
        self._slots.answered(self._take_slot(queue))
        queue.busy += 1
        self._shared.held.take(_size(answer))
        self.arrived.append((self._frontier.pop(queue), queue, answer))
        self._woken.set()
        self._frontier.put(queue, self._shared.clock.monotonic())
        return True

    def _drop(self, queue: SiteQueue, error: FetchError | None) -> None:
        self._refused(self._frontier.pop(queue), error)
        self._frontier.put(queue, self._shared.clock.monotonic())
        self._forget_if_idle(queue)

    def _send(self, job: Job, queue: SiteQueue) -> None:
        slot = self._take_slot(queue)
        queue.busy += 1

        def arrived(result: FetchAnswer | FetchError) -> None:
            self._in_flight.pop(job, None)
            self._slots.answered(slot)
            self._learn(queue, slot, result)
            self._shared.hosts.release(queue.host)
            self._shared.held.take(_size(result))
            self.arrived.append((job, queue, result))
            self._woken.set()

        self._in_flight[job] = queue, None  # it may arrive while it is being sent
        try:
            transfer = self._sender.send(job, arrived)
        except FetchError as error:
            arrived(error)
        else:
            if job in self._in_flight:
                self._in_flight[job] = queue, transfer

    def _learn(self, queue: SiteQueue, slot: Slot, result: FetchAnswer | FetchError) -> None:
        """What an answer says of its host."""
        hosts, sent_s = self._shared.hosts, slot.since_s
        now_s = self._shared.clock.monotonic()
        if isinstance(result, FetchError):
            hosts.answered(queue, sent_s, now_s)
            if result.unreachable:
                hosts.rests.unreachable(queue.host, sent_s, self._settings)
            return
        hosts.answered(queue, sent_s, now_s - result.body_s, result.waited_s)
        if queue.adaptive:
            hosts.adapt(queue, result.waited_s, result.status < 400)
        if result.status in THROTTLED:
            headers = Headers.parse(result.header_lines)
            asked_s = retry_after_s(headers, self._shared.clock.time_ns() / 1e9)
            hosts.rests.throttled(queue.host, sent_s, asked_s, self._settings)
        else:
            hosts.rests.answered(queue.host, result.waited_s < PATIENCE_S)

    def _forget_if_idle(self, queue: SiteQueue) -> None:
        if self._frontier.forget(queue) and queue.joined:
            self._shared.hosts.leave(queue)


def _size(result: FetchAnswer | FetchError) -> int:
    return len(result.body) if isinstance(result, FetchAnswer) else 0
