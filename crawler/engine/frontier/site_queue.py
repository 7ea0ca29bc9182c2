"""The requests of a crawl that wait for one site."""

from __future__ import annotations

import math
from collections.abc import Callable

from crawler.engine.frontier.job import Job
from crawler.engine.http import urls


class SiteQueue:
    """The requests of a crawl that wait for one site (scheme, host, port), the best first."""

    def __init__(self, origin: str, wake: Callable[[SiteQueue], None]) -> None:
        self.origin = origin
        self.host = urls.host(origin)
        self.jobs: list[Job] = []
        """A heap of those in memory."""
        self.more = False
        """Whether there are others on disk."""
        self.floor = -math.inf
        """No request on disk has a higher priority."""
        self.busy = 0
        """Its requests that were sent and are not dealt with yet."""
        self.due_s = math.inf
        """When it is to be looked at; infinity while it is parked."""
        self._wake = wake

    @property
    def first(self) -> Job:
        """The request whose turn comes next; there must be one in memory."""
        return self.jobs[0]

    def wake(self) -> None:
        """Look at this queue as soon as possible."""
        self._wake(self)
