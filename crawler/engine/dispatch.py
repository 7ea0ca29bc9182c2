"""From the frontier to the fetcher: sends what is due, allowed, and has its turn.

A slot of `concurrency` is held from sending until the crawl says `settled`, which bounds the bodies
in memory. A site whose delay runs, or whose robots.txt is not there yet, holds none; the fetch of
a robots.txt does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gevent.event import Event

from crawler.clock import Clock
from crawler.crawl_settings import CrawlSettings
from crawler.engine import meta
from crawler.engine.exchange import Answer, Call, FetchError
from crawler.engine.fetch import Fetcher
from crawler.engine.frontier import Frontier, Job, SiteQueue
from crawler.engine.hosts import Hosts
from crawler.engine.pace import Pace
from crawler.engine.robots import Robots, Rules
from crawler.engine.transfer import Transfer

ACCEPT = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
NO_RULES = Rules()


@dataclass(frozen=True, slots=True)
class Shared:
    """What the crawls of a worker have in common."""

    fetcher: Fetcher
    hosts: Hosts
    robots: Robots
    clock: Clock


class Dispatcher:
    """Keeps the slots of one crawl filled. `refused` gets what robots.txt does not allow."""

    def __init__(
        self,
        settings: CrawlSettings,
        frontier: Frontier,
        shared: Shared,
        woken: Event,
        refused: Callable[[Job, Rules], None],
    ) -> None:
        self.arrived: deque[tuple[Job, SiteQueue, Answer | FetchError]] = deque()
        """Answers for the crawl; `woken` is set with each."""
        self.busy = 0
        """Slots in use."""
        self._settings = settings
        self._frontier = frontier
        self._shared = shared
        self._woken = woken
        self._refused = refused
        self._headers = header_lines(settings.user_agent)
        self._in_flight: dict[Job, tuple[SiteQueue, Transfer]] = {}
        self._aborted = False

    @property
    def has_room(self) -> bool:
        """Whether a slot is free."""
        return self.busy < self._settings.concurrency and not self._aborted

    def dispatch(self, pace: Pace) -> None:
        """Send what is due, as far as slots are free."""
        while self.has_room:
            queue = self._frontier.due()
            if queue is None:
                return
            rules = self._rules(queue)
            if rules is not None:
                self._serve(queue, rules)
            pace.breathe()

    def settled(self, queue: SiteQueue) -> None:
        """An arrived answer was dealt with: its slot is free."""
        self.busy -= 1
        queue.busy -= 1
        self._forget_if_idle(queue)

    def abort(self) -> None:
        """Break off what is in flight and give up every turn."""
        self._aborted = True
        for queue, transfer in self._in_flight.values():
            self._shared.fetcher.cancel(transfer)
            self._shared.hosts.release(queue.host)
        self._in_flight.clear()
        for queue in self._frontier.sites():
            if queue.joined:
                self._shared.hosts.leave(queue)

    def _rules(self, queue: SiteQueue) -> Rules | None:
        """The rules of a site, whose delay then counts; None parks it until they are known."""
        rules: Rules | None = NO_RULES
        if self._settings.robots:
            rules = self._shared.robots.rules(queue.origin)
        if rules is None:
            self._ask_robots(queue)
        elif not queue.joined:
            asked_s = rules.delay_s(self._settings.user_agent)
            queue.delay_s = max(self._settings.delay_s, asked_s)
            queue.joined = True
            self._shared.hosts.join(queue)
        return rules

    def _ask_robots(self, queue: SiteQueue) -> None:
        self.busy += 1

        def ready() -> None:
            self.busy -= 1
            queue.wake()

        self._shared.robots.ask(queue.origin, self._settings, self._headers, ready)

    def _serve(self, queue: SiteQueue, rules: Rules) -> None:
        """Send the first request of a site, drop it, or have the site wait for its turn."""
        job = queue.jobs[0]
        if not rules.allows(job.url, self._settings.user_agent):
            self._drop(queue, rules)
            return
        again_s = self._shared.hosts.take(queue)
        if again_s is None:
            self._send(self._frontier.pop(queue), queue)
            again_s = self._shared.hosts.ready_s(queue.host)
        self._frontier.put(queue, again_s)

    def _drop(self, queue: SiteQueue, rules: Rules) -> None:
        self._refused(self._frontier.pop(queue), rules)
        self._frontier.put(queue, self._shared.clock.monotonic())
        self._forget_if_idle(queue)

    def _send(self, job: Job, queue: SiteQueue) -> None:
        self.busy += 1
        queue.busy += 1

        def arrived(result: Answer | FetchError) -> None:
            self._in_flight.pop(job, None)
            self._shared.hosts.release(queue.host)
            self.arrived.append((job, queue, result))
            self._woken.set()

        try:
            transfer = self._shared.fetcher.submit(self._call(job), arrived)
        except FetchError as error:
            arrived(error)
        else:
            self._in_flight[job] = queue, transfer

    def _call(self, job: Job) -> Call:
        settings = self._settings
        headers = self._headers
        if job.request.headers:
            headers = header_lines(settings.user_agent, job.request.headers)
        return Call(
            url=job.url,
            headers=headers,
            timeout_s=meta.timeout_s(job.request.meta, settings) - job.spent_s,
            connect_timeout_s=settings.connect_timeout_s,
            max_body_bytes=settings.max_body_bytes,
            method=job.method,
            body=job.body,
        )

    def _forget_if_idle(self, queue: SiteQueue) -> None:
        if self._frontier.forget(queue) and queue.joined:
            self._shared.hosts.leave(queue)


def header_lines(
    user_agent: str, headers: Mapping[str, str | None] | None = None
) -> tuple[str, ...]:
    """The header lines of a request: the usual ones, unless its own of that name replace them.

    A header whose value is None is not sent at all.
    """
    own = [f"{name}: {value or ''}".rstrip() for name, value in (headers or {}).items()]
    return (*own, *_missing(own, (f"User-Agent: {user_agent}", ACCEPT)))


def _missing(own: Iterable[str], usual: Iterable[str]) -> list[str]:
    names = {line.partition(":")[0].lower() for line in own}
    return [line for line in usual if line.partition(":")[0].lower() not in names]
