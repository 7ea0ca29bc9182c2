"""The frontier of a shard: what it finds is offered, and what it draws waits here."""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from crawler.engine.frontier.filters import FiltersOfShard
from crawler.engine.frontier.frontier import Frontier
from crawler.engine.frontier.job import Job
from crawler.engine.frontier.shared_journal import SharedJournal
from crawler.engine.frontier.shared_store import Offer
from crawler.engine.frontier.site_queue import SiteQueue
from crawler.engine.http import urls
from crawler.settings.crawl import CrawlSettings

MOST_GIVEN = 1000
"""The requests that one step gives back. To serialize them takes some 10 ms."""


class SharedFrontier(Frontier):
    """The waiting requests of a crawl that is one shard of its task."""

    def __init__(
        self,
        settings: CrawlSettings,
        now_s: Callable[[], float],
        allowed_domains: Iterable[str],
        woken: Callable[[], None],
        spider: Any,
        journal: SharedJournal,
    ) -> None:
        super().__init__(settings, now_s, allowed_domains, woken, spider, journal)
        self._filters: FiltersOfShard = FiltersOfShard(settings, allowed_domains)
        self._shared_journal = journal
        self._promised: dict[SiteQueue, None] = {}
        """Sites that are to be given back as soon as nothing of them is in flight."""
        self._going: deque[Job] = deque()
        """Requests of sites that are given back, and that no step has offered yet."""
        self._gone: dict[str, bool] = {}
        """Sites that were dropped since the last step, and whether they are given back."""

    def __len__(self) -> int:
        """How many requests wait, also those that the store does not know of yet."""
        return super().__len__() + len(self._going) + self._shared_journal.offered

    @property
    def serving(self) -> int:
        """How many sites it serves."""
        return len(self._queues.sites)

    @property
    def is_giving(self) -> bool:
        """Whether requests can be given back."""
        return bool(self._going) or any(not queue.busy for queue in self._promised)

    def draw(self, offer: Offer) -> tuple[Job, str]:
        """The job of a request that was drawn, and the reason if it is not wanted here."""
        job = Job.from_record(json.loads(offer.record), next(self._order))
        url = urls.parse(job.url)
        if job.request.dont_filter:
            self._filters.drawn(url)
            return job, ""
        mark = urls.mark(url.href, job.method, job.body)
        if mark in self._shared_journal.claims:
            return job, "duplicate"
        if len(self._seen) < self._settings.max_seen:
            self._shared_journal.seen.restore((mark,))
        return job, self._filters.drawn(url)

    def forget(self, queue: SiteQueue) -> bool:
        """Drop the queue of a site that has nothing to do, and let go of the site."""
        if not super().forget(queue):
            return False
        self._gone.setdefault(queue.origin, False)
        return True

    def due(self) -> SiteQueue | None:
        """Take out the site that is due first, of those that are to stay."""
        while (queue := super().due()) in self._promised:
            pass
        return queue

    def promise(self, most: int) -> None:
        """Send to so many sites no more, and give them back soon."""
        more = max(0, most - len(self._promised))
        self._promised.update(dict.fromkeys(self._spare()[:more]))

    def take_out(self) -> list[SiteQueue]:
        """Take out the sites that can be given back. Returns their queues, which are empty then."""
        ready = [queue for queue in self._promised if not queue.busy]
        for queue in ready:
            del self._promised[queue]
            if not self._can_go(queue):
                self.put(queue, self._now_s())
        can_go = [queue for queue in ready if self._can_go(queue)]
        for queue in can_go:
            self._going.extend(self._queues.take_out(queue))
            self._gone[queue.origin] = True
        return can_go

    def give_back(self) -> None:
        """Offer requests of the sites that were taken out, as many as a step may have."""
        for _ in range(min(MOST_GIVEN, len(self._going))):
            job = self._going.popleft()
            if not self._shared_journal.give_back(job):
                self.push(job)
            elif not job.request.dont_filter:
                self._filters.given_back(urls.parse(job.url))

    def take_gone(self, offers: Sequence[Offer]) -> list[str]:
        """The sites that this shard lets go of. Those for which it has more to do stay, and those
        for which it has just found something: `offers` are what it offers now."""
        if not self._gone:
            return []
        gone, self._gone = self._gone, {}
        stays = {offer.site for offer in offers if offer.mark}
        stays.update(urls.origin(job.url) for _, _, job in self._later)
        return [
            site
            for site, is_given in gone.items()
            if (is_given or site not in stays) and site not in self._queues.sites
        ]

    def _spare(self) -> list[SiteQueue]:
        """The sites that can be given back: every second one by size, then the others."""
        sites = self._queues.sites.values()
        can_go = [each for each in sites if each not in self._promised and self._can_go(each)]
        ordered = heapq.nlargest(len(can_go), can_go, key=lambda queue: len(queue.jobs))
        return [*ordered[1::2], *ordered[::2]]

    def _can_go(self, queue: SiteQueue) -> bool:
        """Whether all requests of a site lie in memory, and can be written down."""
        if queue.more or not queue.jobs:
            return False
        return all(map(self._shared_journal.is_written, queue.jobs))
