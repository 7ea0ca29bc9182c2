"""Takes requests from the frontier and sends them while slots are free.

A request keeps its slot from sending until the crawl calls `settled`. This bounds the bodies in
memory. A site that waits uses no slot; the fetch of its robots.txt uses one. The gatekeeper decides
whether a request may be sent to a site now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from gevent.event import Event

from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.sender import Sender
from crawler.engine.download.cache_policy import CachePolicy
from crawler.engine.frontier.frontier import Frontier, Job, SiteQueue
from crawler.engine.frontier.no_journal import NoJournal
from crawler.engine.http import urls
from crawler.engine.http.messages import FAULT, FetchAnswer, FetchError, Sent
from crawler.engine.politeness.gatekeeper import Gatekeeper, Park, Refuse, Send, WaitUntil
from crawler.engine.politeness.robots import CrawlRobots
from crawler.engine.politeness.slots import Slots
from crawler.engine.stats.pending_hosts import PendingHosts, pending_hosts
from crawler.logs import get_logger
from crawler.settings.crawl import CACHE_OFF

log = get_logger(__name__)

Arrived = tuple[Job, SiteQueue, FetchAnswer | FetchError]


class Dispatcher:
    """Keeps the slots of one crawl filled.

    It passes each request that it will not send to `refused`: with an error if the host cannot be
    asked, without one if robots.txt does not allow the request.
    """

    def __init__(
        self,
        context: CrawlContext,
        frontier: Frontier,
        woken: Event,
        refused: Callable[[Job, FetchError | None], None],
        journal: NoJournal | None = None,
    ) -> None:
        settings, shared = context.settings, context.shared
        self._settings = settings
        self.arrived: deque[Arrived] = deque()
        """Answers that the crawl has not processed yet. Each sets `woken`."""
        self._clock = context.clock
        self._counters = context.counters
        self._time_slice = context.time_slice
        self._frontier = frontier
        self._woken = woken
        self._refused = refused
        self._journal = journal or NoJournal()
        self._memory = shared.held
        self._hosts = shared.hosts
        self._cooldowns = shared.hosts.cooldowns
        self._slots = Slots(settings.concurrency, settings.slow_concurrency, self._cooldowns.lags)
        self.sender = Sender(
            settings, shared.fetcher, self._clock.monotonic, _cache_policy(context)
        )
        robots = CrawlRobots(shared.robots, settings, self.sender.identity, self.sender.proxy)
        self._gatekeeper = Gatekeeper(settings, shared.hosts, robots, self._slots, self._clock)
        self._in_flight: dict[Job, tuple[SiteQueue, Sent | None]] = {}
        self._aborted = False
        self._broken_off = 0

    def adjust(self) -> None:
        """Read the settings again, because they may have changed."""
        self._slots.resize(self._settings.concurrency, self._settings.slow_concurrency)
        self.sender.adjust()
        self._gatekeeper.adjust()

    @property
    def busy(self) -> int:
        """The number of slots in use."""
        return self._slots.busy

    @property
    def has_room(self) -> bool:
        """Whether a slot is free, and memory is free for the answer."""
        if self._aborted or not self._slots.has_room(self._clock.monotonic()):
            return False
        if self._memory.full:
            self._memory.when_free(self._woken.set)
            return False
        return True

    @property
    def is_hungry(self) -> bool:
        """Whether a slot is free and no host is due."""
        return self.has_room and self._frontier.next_s() > self._clock.monotonic()

    @property
    def wants(self) -> int:
        """How many more sites could be sent to now."""
        return self._slots.room if self.is_hungry and not self._frontier.is_full else 0

    def next_s(self) -> float:
        """The monotonic time at which the next request may be sent, if no answer arrives before."""
        return self._frontier.next_s() if self.has_room else self._slots.next_s()

    def cooldowns(self) -> dict[str, float]:
        """The hosts of waiting requests that have a cooldown, with the seconds that are left."""
        hosts = {queue.host for queue in self._frontier.sites() if queue.jobs}
        return {
            host: left_s for host, left_s in self._cooldowns.under_way().items() if host in hosts
        }

    def hosts(self) -> PendingHosts:
        """The hosts with the most requests without an end."""
        rests, pause_s = self._cooldowns.under_way(), self._hosts.pause_in_force_s
        return pending_hosts(self._frontier.sites(), rests, pause_s, self._hosts.lease)

    @property
    def in_flight(self) -> int:
        """The number of requests that were sent and not answered."""
        return len(self._in_flight)

    @property
    def under_way(self) -> int:
        """The number of requests that were sent and not settled, cancelled ones included."""
        return len(self._in_flight) + len(self.arrived) + self._broken_off

    def dispatch(self) -> None:
        """Send the requests that are due while slots are free."""
        while self.has_room:
            queue = self._frontier.due()
            if queue is None:
                return
            self._serve(queue)
            self._time_slice.give_way()

    def settled(self, queue: SiteQueue, result: FetchAnswer | FetchError) -> None:
        """Free the slot and the memory of an answer that the crawl has processed."""
        self._memory.give_back(_size(result))
        self._slots.settle()
        queue.busy -= 1
        self._forget_if_idle(queue)

    def leave(self, queues: Iterable[SiteQueue]) -> None:
        """Withdraw from the hosts of sites that the frontier has given away."""
        for queue in queues:
            self._gatekeeper.leave(queue)

    def abort(self) -> None:
        """Cancel the requests in flight and give up every turn."""
        self._aborted = True
        for queue, sent in self._in_flight.values():
            self._gatekeeper.release(queue)
            if sent is not None:
                sent.cancel()
        self._broken_off = self.under_way
        self._in_flight.clear()
        while self.arrived:
            self._memory.give_back(_size(self.arrived.popleft()[-1]))
        self._gatekeeper.leave_all()

    def _serve(self, queue: SiteQueue) -> None:
        """Ask the gatekeeper about the first request of a site, and do what it decides."""
        match self._gatekeeper.ask(queue, self.sender.stored):
            case Send(stored):
                self._start(queue, stored)
            case WaitUntil(at_s):
                self._frontier.put(queue, at_s)
            case Refuse(error):
                self._drop(queue, error)
            case Park():
                pass

    def _start(self, queue: SiteQueue, stored: FetchAnswer | None) -> None:
        """Send the first request of a site, or deliver its stored answer."""
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
            if self._in_flight.pop(job, None) is None:
                return
            try:
                self._slots.answered(slot)
                self._gatekeeper.learn(queue, slot, result)
            except Exception:
                log.error("fetcher fault", url=urls.shown(job.url), exc_info=True)
                result = FetchError(FAULT, "what follows from the answer could not be learned")
            self._gatekeeper.release(queue)
            self._arrive(job, queue, result)

        self._in_flight[job] = queue, None  # the answer may arrive before `send` returns
        if self._journal.sent(job):
            self._counters.repeated += 1
        try:
            sent = self.sender.send(job, arrived, self._gatekeeper.on_way(queue))
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
    """The HTTP cache of a crawl, if its settings ask for one."""
    cache, settings, clock = context.shared.cache, context.settings, context.clock
    if settings.cache == CACHE_OFF or cache is None:
        return None
    return CachePolicy(cache, context.task, settings, lambda: clock.time_ns() / 1e9)


def _size(result: FetchAnswer | FetchError) -> int:
    return len(result.body) if isinstance(result, FetchAnswer) else 0
