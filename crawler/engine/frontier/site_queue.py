"""The requests of one crawl that wait for one site."""

from __future__ import annotations

import math
from collections.abc import Callable

from crawler.engine.frontier.job import Job
from crawler.engine.http import urls


class SiteQueue:
    """The waiting requests of one crawl for a site (scheme, host, port), the most urgent first."""

    def __init__(self, origin: str, wake: Callable[[SiteQueue], None]) -> None:
        self.origin = origin
        self.host = urls.host(origin)
        self.jobs: list[Job] = []
        """The requests in memory, a heap."""
        self.more = False
        """Whether more requests are on disk."""
        self.on_disk = 0
        """About how many these are: not those that were there before the site had this queue."""
        self.floor = -math.inf
        """The highest priority that a request on disk can have."""
        self.busy = 0
        """The number of requests that were sent and not settled."""
        self.due_s = math.inf
        """The monotonic time at which the site is due; infinity while it is parked."""
        self._wake = wake

    @property
    def first(self) -> Job:
        """The next request. There must be one in memory."""
        return self.jobs[0]

    def wake(self) -> None:
        """Make this site due now."""
        self._wake(self)
