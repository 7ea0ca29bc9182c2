"""From the frontier to the wire: sends what may be sent, as far as slots are free.

A slot is held from sending until the crawl says `settled`, which bounds the bodies in memory. A
site that has to wait holds none; the fetch of a robots.txt does. Whether a site may be asked is for
the gatekeeper to say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gevent.event import Event

from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.sender import Sender
from crawler.engine.download.cache_policy import CachePolicy
from crawler.engine.frontier.frontier import Frontier, Job, SiteQueue
from crawler.engine.http.messages import FetchAnswer, FetchError, Sent
from crawler.engine.politeness.gatekeeper import Gatekeeper, Park, Refuse, Send, WaitUntil
from crawler.engine.politeness.robots import CrawlRobots
from crawler.engine.politeness.slots import Slots
from crawler.settings.crawl import CACHE_OFF

Arrived = tuple[Job, SiteQueue, FetchAnswer | FetchError]


class Dispatcher:
    """Keeps the slots of one crawl filled. `refused` gets what is not sent: with an error when
    its host cannot be asked, without one when robots.txt does not allow it."""

    def __init__(
        self,
        context: CrawlContext,
        frontier: Frontier,
        woken: Event,
        refused: Callable[[Job, FetchError | None], None],
    ) -> None:
        settings, shared = context.settings, context.shared
        self.arrived: deque[Arrived] = deque()
        """Answers for the crawl; `woken` is set with each."""
        self._clock = context.clock
        self._time_slice = context.time_slice
        self._frontier = frontier
        self._woken = woken
        self._refused = refused
        self._memory = shared.held
        self._cooldowns = shared.hosts.cooldowns
        self._slots = Slots(settings.concurrency, settings.slow_concurrency, self._cooldowns.lags)
        self._sender = Sender(
            settings, shared.fetcher, self._clock.monotonic, _cache_policy(context)
        )
        robots = CrawlRobots(shared.robots, settings, self._sender.headers, self._sender.proxy)
        self._gatekeeper = Gatekeeper(settings, shared.hosts, robots, self._slots, self._clock)
        self._in_flight: dict[Job, tuple[SiteQueue, Sent | None]] = {}
        self._aborted = False
        self._broken_off = 0

    @property
    def busy(self) -> int:
        """Slots in use."""
        return self._slots.busy

    @property
    def has_room(self) -> bool:
        """Whether a slot is free, and there is memory for what comes in."""
        if self._aborted or not self._slots.has_room(self._clock.monotonic()):
            return False
        if self._memory.full:
            self._memory.when_free(self._woken.set)
            return False
        return True

    @property
    def is_hungry(self) -> bool:
        """Whether a slot is free and no host due."""
        return self.has_room and self._frontier.next_s() > self._clock.monotonic()

    def next_s(self) -> float:
        """The moment at which something may be sent, if nothing arrives before."""
        return self._frontier.next_s() if self.has_room else self._slots.next_s()

    def cooldowns(self) -> dict[str, float]:
        """The hosts with requests of this crawl that are left alone, and for how many seconds."""
        hosts = {queue.host for queue in self._frontier.sites() if queue.jobs}
        return {
            host: left_s for host, left_s in self._cooldowns.under_way().items() if host in hosts
        }

    @property
    def under_way(self) -> int:
        """Requests that were sent and are not dealt with, those that were broken off included."""
        return len(self._in_flight) + len(self.arrived) + self._broken_off

    def dispatch(self) -> None:
        """Send what is due, as far as slots are free."""
        while self.has_room:
            queue = self._frontier.due()
            if queue is None:
                return
            self._serve(queue)
            self._time_slice.give_way()

    def settled(self, queue: SiteQueue, result: FetchAnswer | FetchError) -> None:
        """An arrived answer was dealt with: its slot is free, and its memory."""
        self._memory.give_back(_size(result))
        self._slots.settle()
        queue.busy -= 1
        self._forget_if_idle(queue)

    def abort(self) -> None:
        """Break off what is in flight and give up every turn."""
        self._aborted = True
        for queue, sent in self._in_flight.values():
            if sent is not None:
                sent.cancel()
            self._gatekeeper.release(queue)
        self._broken_off = self.under_way
        self._in_flight.clear()
        while self.arrived:
            self._memory.give_back(_size(self.arrived.popleft()[-1]))
        self._gatekeeper.leave_all()

    def _serve(self, queue: SiteQueue) -> None:
        """Do with the first request of a site what the gatekeeper says."""
        stored = self._sender.stored(queue.first)
        match self._gatekeeper.ask(queue, needs_turn=stored is None):
            case Send():
                self._start(queue, stored)
            case WaitUntil(at_s):
                self._frontier.put(queue, at_s)
            case Refuse(error):
                self._drop(queue, error)
            case Park():
                pass

    def _start(self, queue: SiteQueue, stored: FetchAnswer | None) -> None:
        """Send the first request of a site, or have its stored answer arrive."""
        job = self._frontier.pop(queue)
        if stored is None:
            self._send(job, queue)
            self._frontier.put(queue, self._gatekeeper.ready_s(queue))
        else:
            self._slots.answered(self._gatekeeper.take_slot(queue))
            queue.busy += 1
            self._arrive(job, queue, stored)
            self._frontier.put(queue, self._clock.monotonic())

    def _drop(self, queue: SiteQueue, error: FetchError | None) -> None:
        self._refused(self._frontier.pop(queue), error)
        self._frontier.put(queue, self._clock.monotonic())
        self._forget_if_idle(queue)

    def _send(self, job: Job, queue: SiteQueue) -> None:
        slot = self._gatekeeper.take_slot(queue)
        queue.busy += 1

        def arrived(result: FetchAnswer | FetchError) -> None:
            self._in_flight.pop(job, None)
            self._slots.answered(slot)
            self._gatekeeper.learn(queue, slot, result)
            self._gatekeeper.release(queue)
            self._arrive(job, queue, result)

        self._in_flight[job] = queue, None  # it may arrive while it is being sent
        try:
            sent = self._sender.send(job, arrived)
        except FetchError as error:
            arrived(error)
        else:
            if job in self._in_flight:
                self._in_flight[job] = queue, sent

    def _arrive(self, job: Job, queue: SiteQueue, result: FetchAnswer | FetchError) -> None:
        self._memory.take(_size(result))
        self.arrived.append((job, queue, result))
        self._woken.set()

    def _forget_if_idle(self, queue: SiteQueue) -> None:
        if self._frontier.forget(queue):
            self._gatekeeper.leave(queue)


def _cache_policy(context: CrawlContext) -> CachePolicy | None:
    """The HTTP cache of a crawl that asks for one."""
    cache, settings, clock = context.shared.cache, context.settings, context.clock
    if settings.cache == CACHE_OFF or cache is None:
        return None
    return CachePolicy(cache, context.task, settings, lambda: clock.time_ns() / 1e9)


def _size(result: FetchAnswer | FetchError) -> int:
    return len(result.body) if isinstance(result, FetchAnswer) else 0
