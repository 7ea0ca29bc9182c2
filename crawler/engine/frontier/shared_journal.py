"""The journal of a shard: what its pages yield is offered to all shards of the task.

Whichever shard draws a request holds it from then on, and notes it as if its own page had yielded
it. A request that cannot be serialized stays with the shard whose page yielded it.

A page may yield very many. Then those whose URLs tell whether they are known are told before the
page has its end: a page that is fetched again offers what is known. Those that are wanted in any
case would be there twice, so beyond some number they stay with this shard, as its own.
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

MOST_OFFERED = 10_000
"""With so many offers, a page does not keep them in memory until its end."""
MOST_WANTED = 2000
"""So many requests that are wanted in any case are offered in a step. Redis takes it whole."""


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
        self._wanted = 0
        """How many of them are wanted in any case."""
        self.tell_ahead: Callable[[], None] = lambda: None
        """Is called when a page has yielded very many requests."""
        self._taken = 0
        self.telling = 0
        """How many offers the store is being told of, with a step."""
        self.telling_ahead = 0
        """And how many ahead of one."""

    @property
    def offered(self) -> int:
        """How many requests are offered that the store has not taken yet."""
        return len(self._offers) + self.telling + self.telling_ahead

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
        if job.request.dont_filter:
            return self._is_wanted_here(job, waiting)
        mark = urls.mark(job.url, job.method, job.body)
        self.seen.keep_back(mark)  # the store learns it from the offer
        self._offer(waiting, mark)
        if len(self._offers) >= MOST_OFFERED:
            self.tell_ahead()
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
        offers, self._offers, self._wanted = self._offers, [], 0
        taken, self._taken = self._taken, 0
        self.telling = len(offers)
        return offers, taken

    def take_ahead(self) -> Sequence[Offer]:
        """The offers that may be told before their page has its end."""
        offers = [each for each in self._offers if each.mark]
        self._offers = [each for each in self._offers if not each.mark]
        self.telling_ahead = len(offers)
        return offers

    def _is_wanted_here(self, job: Job, waiting: Waiting) -> bool:
        """Offer a request that is wanted in any case, unless there are very many. Returns whether
        it stays here."""
        self._wanted += 1
        if self._wanted > MOST_WANTED:
            self._added[job.order] = waiting
            return True
        self._offer(waiting, 0)
        return False

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
