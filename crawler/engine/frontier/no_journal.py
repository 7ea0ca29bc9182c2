"""What a frontier tells its journal; without a store it notes nothing."""

from __future__ import annotations

from crawler.engine.frontier.job import Job
from crawler.engine.frontier.seen import Seen


class NoJournal:
    """The journal of a crawl without a store: it notes nothing."""

    page: Job | None = None
    """The request whose page is processed; None while start requests are read."""
    first_id = 0
    """The first order number that no earlier run has used."""

    def __init__(self) -> None:
        self.seen = Seen()
        """The seen set of the crawl."""

    def added(self, job: Job, site: str) -> bool:
        """Note a new request, which `page` yielded. Returns whether it is for this crawl to queue.
        If not, others may draw it."""
        return True

    def sent(self, job: Job) -> bool:
        """Note that a request is sent. Returns whether an earlier run, which was cut off, had sent
        it too."""
        return False

    def came_back(self, job: Job, wait_s: float = 0.0) -> None:
        """Note that a request waits again, after a redirect or for a retry."""

    def moved(self, job: Job, site: str) -> bool:
        """Note that a request waits for the target of its redirect. Returns what `added` does."""
        self.came_back(job)
        return True

    def claimed(self, job: Job, mark: int) -> None:
        """Note that the page of a request is known by another URL too."""

    def ended(self, job: Job) -> None:
        """Note that a request has its end."""
