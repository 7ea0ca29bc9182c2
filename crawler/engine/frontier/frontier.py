"""The requests that one crawl still has to fetch, without duplicates and within its depth.

Requests wait in one queue for each site (scheme, host, port), the highest priority first. A heap
orders the sites that may be due by the time of their next fetch. Finding the next request takes
O(log n) of the numbers of sites and of waiting requests.
"""

from __future__ import annotations

import heapq
import itertools
import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from crawler.engine.frontier.filters import Filters
from crawler.engine.frontier.job import Job, SetCookie
from crawler.engine.frontier.no_journal import NoJournal
from crawler.engine.frontier.queues import SiteQueues
from crawler.engine.frontier.site_queue import SiteQueue
from crawler.engine.http import urls
from crawler.engine.http.referrer import Referrer
from crawler.engine.http.request import Request
from crawler.settings.crawl import CrawlSettings

__all__ = ["Frontier", "Job", "SiteQueue"]

SHORTCUT_BITS = 17
"""The hashes of up to 2^17 links as they are written are kept, 1 MB, to drop repeated ones at once.
A new crawl begins with 8 KB."""
FIRST_SHORTCUT_BITS = 10
SPARSE = 8
"""Places for each URL while the table may still grow; with so many, two URLs seldom share one."""


class Frontier:
    """The waiting requests of one crawl. It calls `woken` when a parked site may be due."""

    def __init__(
        self,
        settings: CrawlSettings,
        now_s: Callable[[], float],
        allowed_domains: Iterable[str] = (),
        woken: Callable[[], None] = lambda: None,
        spider: Any = None,
        journal: NoJournal | None = None,
    ) -> None:
        """`journal` notes what changes."""
        self._settings = settings
        self._now_s = now_s
        self._filters = Filters(settings, allowed_domains)
        self._woken = woken
        self._journal = journal or NoJournal()
        self._order = itertools.count(self._journal.first_id)
        self._turn = itertools.count()
        self._seen = self._journal.seen
        self._shortcut = array("q", bytes(8 << FIRST_SHORTCUT_BITS))
        self._shortcut_mask = len(self._shortcut) - 1
        self._queues = SiteQueues(settings.max_pending, self._queue, self._filled, spider)
        self._due: list[tuple[float, int, SiteQueue]] = []
        self._later: list[tuple[float, int, Job]] = []

    def adjust(self) -> None:
        """Read the limits again, because they may have changed."""
        self._filters.adjust(self._settings)

    def __len__(self) -> int:
        """How many requests wait, including those that wait for a retry."""
        return len(self._queues) + len(self._later)

    @property
    def is_full(self) -> bool:
        """Whether as many requests wait in memory as may."""
        return self._queues.is_full

    def admit(self, request: Request, depth: int, referrer: Referrer | None = None) -> str:
        """Take a request, or return a short reason why not: duplicate, depth, offsite, …

        `referrer` is the page that yielded it.
        """
        if depth > self._settings.max_depth > 0:
            return "depth"
        known = 0
        if request.method == "GET" and not request.body and not request.dont_filter:
            known = hash(request.url)
            if self._shortcut[known & self._shortcut_mask] == known:
                return "duplicate"
        refusal, url = self._accept(request, request.url, request.method, request.body)
        if known and refusal in ("", "duplicate"):
            if SPARSE * len(self._seen) > len(self._shortcut) < 1 << SHORTCUT_BITS:
                self._widen_shortcut()
            self._shortcut[known & self._shortcut_mask] = known
        if url is not None:
            job = Job(request, _same(url.href, request.url), depth, next(self._order), referrer)
            site = urls.site(url)
            if self._journal.added(job, site):  # first: `add` may let other greenlets run
                self._queues.add(job, site)
        return refusal

    def admit_hop(
        self,
        job: Job,
        url: str,
        method: str,
        body: bytes | None,
        received: tuple[SetCookie, ...] = (),
        changed: bool = False,
        referrer: Referrer | None = None,
    ) -> str:
        """Queue a job for its redirect's target, or return the reason why not, as `admit` does.

        A job is no duplicate of itself: its target may be another spelling of what it asked for.
        `received` are the cookies of the redirect, and `changed` says whether something is new
        (`Job.news`). `referrer` is the page that the next request tells about.
        """
        refusal, target = self._accept(job.request, url, method, body)
        if refusal == "duplicate":
            trimmed = self._filters.trimmed(urls.parse(url))
            is_own = _is_own(job, trimmed.href, method, body)
            if is_own and job.may_return_to(trimmed.href, changed):
                refusal, target = "", trimmed
        if target is not None:
            job.referrer = referrer
            job.hops += (job.url,)
            job.received += received
            job.news = len(job.hops) if changed else job.news
            job.url, job.method, job.body = target.href, method, body
            site = urls.site(target)
            if self._journal.moved(job, site):
                self._queues.add(job, site)
        return refusal

    def claim(self, url: str, job: Job) -> bool:
        """Add a URL to the seen set. Returns whether it is new, or belongs to the job itself."""
        mark = urls.fingerprint(url)
        if self._seen.add(mark):
            self._journal.claimed(job, mark)
            return True
        return _is_own(job, url, "GET", None)

    def push(self, job: Job) -> None:
        """Queue a job that was admitted before."""
        self._queues.add(job, urls.origin(job.url))

    def retry(self, job: Job, at_s: float) -> None:
        """Queue a job again at that monotonic time. No other job waits for it."""
        job.attempts += 1
        job.spent_s = 0.0
        self._journal.came_back(job, at_s - self._now_s())
        heapq.heappush(self._later, (at_s, job.order, job))

    def take_back(self, job: Job, at_s: float = -math.inf) -> None:
        """Queue a job of an earlier run, at that monotonic time."""
        if at_s > self._now_s():
            heapq.heappush(self._later, (at_s, job.order, job))
        else:
            self.push(job)

    def due(self) -> SiteQueue | None:
        """Take out the site that is due first and has requests. The caller puts or parks it."""
        now_s = self._now_s()
        while self._later and self._later[0][0] <= now_s:
            self.push(heapq.heappop(self._later)[2])
        if self._queues.is_hungry:
            self._queues.feed()
        while self._due and self._due[0][0] <= now_s:
            due_s, _, queue = heapq.heappop(self._due)
            if due_s == queue.due_s and queue.jobs:
                queue.due_s = math.inf
                return queue
        return None

    def next_s(self) -> float:
        """The monotonic time at which the next site may be due; infinity if none is foreseen."""
        if self._queues.is_hungry:
            return -math.inf
        while self._due and self._due[0][0] != self._due[0][2].due_s:
            heapq.heappop(self._due)
        heads = [heap[0][0] for heap in (self._due, self._later) if heap]
        return min(heads, default=math.inf)

    def put(self, queue: SiteQueue, at_s: float) -> None:
        """Make a site due at that monotonic time. Infinity parks it until it is woken."""
        queue.due_s = at_s
        if at_s < math.inf and queue.jobs:
            heapq.heappush(self._due, (at_s, next(self._turn), queue))

    def pop(self, queue: SiteQueue) -> Job:
        """Take the next job of a site."""
        return self._queues.pop(queue)

    def forget(self, queue: SiteQueue) -> bool:
        """Drop the queue of a site that has nothing to do. Returns whether it was dropped."""
        return self._queues.forget(queue)

    def sites(self) -> list[SiteQueue]:
        """The queues of the sites in use."""
        return list(self._queues.sites.values())

    def memory(self) -> dict[str, int]:
        """What the frontier keeps: the seen URLs and their bytes, and the requests that wait in
        memory and on disk."""
        return {
            "known": len(self._seen),
            "known_bytes": self._seen.bytes + 8 * len(self._shortcut),
            "waiting": len(self) - self._queues.on_disk,
            "on_disk": self._queues.on_disk,
        }

    def kept(self) -> list[dict[int, int]]:
        """What the limits for each host and path have counted, for a later process."""
        return self._filters.kept()

    def go_on(self, kept: Sequence[Mapping[str, int]]) -> None:
        """Go on from what `kept` returned."""
        self._filters.go_on(kept)

    def close(self) -> None:
        """Remove the requests on disk."""
        self._queues.close()

    def _accept(
        self, request: Request, url: str, method: str, body: bytes | None
    ) -> tuple[str, urls.Parsed | None]:
        """The URL to send, or the reason not to fetch it."""
        try:
            parsed = self._filters.trimmed(urls.parse(url))
        except ValueError:
            return "url", None
        if parsed.protocol not in urls.WEB:
            return "scheme", None
        refusal = self._filters.refusal(parsed)
        if refusal == "offsite" and _goes_everywhere(request):
            refusal = ""
        if not refusal and request.dont_filter:
            self._filters.exhausted(parsed)  # it counts towards the limits, and none stops it
        elif not refusal:
            refusal = self._unknown(parsed, urls.mark(parsed.href, method, body))
            if refusal == "duplicate" and method != request.method:
                refusal = ""  # the answer to a form is wanted, even if its page was seen before
        return refusal, None if refusal else parsed

    def _widen_shortcut(self) -> None:
        known, self._shortcut = self._shortcut, array("q", bytes(16 * len(self._shortcut)))
        self._shortcut_mask = mask = len(self._shortcut) - 1
        for mark in known:
            self._shortcut[mark & mask] = mark

    def _unknown(self, parsed: urls.Parsed, mark: int) -> str:
        """Add a URL to the seen set. Returns the reason not to fetch it, or an empty text."""
        if len(self._seen) < self._settings.max_seen:
            known = not self._seen.add(mark)
            return "duplicate" if known else self._filters.exhausted(parsed)
        return "duplicate" if mark in self._seen else "seen limit"

    def _queue(self, origin: str) -> SiteQueue:
        return SiteQueue(origin, self._wake)

    def _filled(self, queue: SiteQueue) -> None:
        self.put(queue, self._now_s())

    def _wake(self, queue: SiteQueue) -> None:
        if queue.due_s > self._now_s():
            self.put(queue, self._now_s())
        self._woken()


def _goes_everywhere(request: Request) -> bool:
    """Whether `allowed_domains` does not apply to a request."""
    return request.dont_filter or bool(request.meta.get("allow_offsite"))


def _is_own(job: Job, url: str, method: str, body: bytes | None) -> bool:
    """Whether a job has asked for a URL itself, in this spelling or another."""
    mark = urls.fingerprint(url, method, body)
    return any(urls.mark(each, method, body) == mark for each in job.asked)


def _same(text: str, other: str) -> str:
    """`other` if both texts are equal, so that memory holds only one of them."""
    return other if text == other else text
