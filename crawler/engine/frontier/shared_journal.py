"""The journal of a shard: what its pages yield is offered to all shards of the task.

Whichever shard draws a request holds it from then on, and notes it as if its own page had yielded
it. A request that cannot be serialized stays with the shard whose page yielded it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crawler.engine.frontier.job import Job
from crawler.engine.frontier.journal import Journal
from crawler.engine.frontier.seen import Seen
from crawler.engine.frontier.shared_store import Offer
from crawler.engine.frontier.store import Found, Waiting
from crawler.engine.http import urls


class SharedJournal(Journal):
    """The journal of a crawl that is one shard of its task."""

    def __init__(
        self,
        spider: Any,
        found: Found,
        now_s: Callable[[], float],
        sending: Callable[[int], None] = lambda mark: None,
    ) -> None:
        super().__init__(spider, found, now_s, sending)
        self.claims = Seen()
        """The fingerprints of URLs by which pages are known that were fetched by other ones."""
        self._offers: list[Offer] = []
        self._taken = 0
        self.telling = 0
        """How many offers the store is being told of."""

    @property
    def offered(self) -> int:
        """How many requests are offered that the store has not taken yet."""
        return len(self._offers) + self.telling

    @property
    def untold(self) -> int:
        """How many of them it is not being told of."""
        return len(self._offers)

    def added(self, job: Job, site: str) -> bool:
        """Offer a new request. Returns whether it stays here, because it cannot be serialized."""
        try:
            waiting = self._waiting(job, site)
        except Exception as error:  # NotSerializable, or whatever the spider made of its request
            self._keep_back(job, error)
            return True
        mark = 0 if job.request.dont_filter else urls.mark(job.url, job.method, job.body)
        if mark:
            self.seen.keep_back(mark)  # the store learns it from the offer
        self._offer(waiting, mark)
        return False

    def moved(self, job: Job, site: str) -> bool:
        """Offer a request that was redirected. Returns whether it stays here."""
        mark = urls.mark(job.url, job.method, job.body)
        if not self._is_to_offer(job, site, mark):
            self.came_back(job)
            return True
        try:
            waiting = self._waiting(job, site)
        except Exception:  # its `meta` was changed
            self.came_back(job)
            return True
        is_asked = not _is_wanted(job) and self.seen.keep_back(mark)
        self.ended(job)
        self._offer(waiting, mark if is_asked else 0)
        return False

    def claimed(self, job: Job, mark: int) -> None:
        """Note that the page of a request is known by another URL too."""
        super().claimed(job, mark)
        self.claims.add(mark)

    def drawn(self, job: Job | None, offer: Offer) -> None:
        """Note the next request that was drawn; no job if it is not wanted."""
        self._taken += 1
        if job is not None:
            self._added[job.order] = Waiting(
                job.order, offer.site, offer.priority, offer.record, offer.wait_s
            )

    def give_back(self, job: Job) -> bool:
        """Offer a request that this shard holds. Returns False if it has to stay."""
        if job.order in self._unwritten:
            return False
        try:
            waiting = self._waiting(job, urls.origin(job.url))
        except Exception:  # its `meta` was changed
            return False
        self.ended(job)
        self._offer(waiting, 0)
        return True

    def is_written(self, job: Job) -> bool:
        """Whether a request can be given back."""
        return job.order not in self._unwritten

    def take_offers(self) -> tuple[Sequence[Offer], int]:
        """The requests that are offered, and how many of those that were drawn are in the step."""
        offers, self._offers = self._offers, []
        taken, self._taken = self._taken, 0
        self.telling = len(offers)
        return offers, taken

    def _is_to_offer(self, job: Job, site: str, mark: int) -> bool:
        """Whether a redirect may lead away from this shard: to another site, or to a URL that some
        shard may know."""
        if job.order in self._unwritten:
            return False
        return site != urls.origin(job.hops[-1]) or (
            not _is_wanted(job) and self.seen.is_latest(mark)
        )

    def _offer(self, waiting: Waiting, mark: int) -> None:
        self._offers.append(Offer(mark, waiting.site, waiting.priority, waiting.record))


def _is_wanted(job: Job) -> bool:
    """Whether the target of a redirect is wanted even if it is known: the answer to a form is."""
    return job.request.dont_filter or job.method != job.request.method
