"""The requests of a crawl that wait for one site."""

from __future__ import annotations

import math
from collections.abc import Callable

from crawler.engine.frontier.job import Job
from crawler.engine.http import urls
from crawler.settings.crawl import CrawlSettings


class SiteQueue:
    """The requests of a crawl that wait for one site; a member of the site's host (hosts.py)."""

    def __init__(
        self, origin: str, settings: CrawlSettings, wake: Callable[[SiteQueue], None]
    ) -> None:
        self.origin = origin
        self.host = urls.host(origin)
        self.delay_s = settings.delay_s
        self.crawl_delay_s = 0.0
        self.delay_random = settings.delay_random
        self.limits = settings.limits
        self.adaptive = settings.adaptive
        self.max_delay_s = settings.max_delay_s
        self.host_concurrency = settings.host_concurrency
        self.joined = False
        """Whether the host knows the terms of this queue."""
        self.busy = 0
        """Its requests that were sent and are not dealt with yet."""
        self.due_s = math.inf
        """When it is to be looked at; infinity while it is parked."""
        self.jobs: list[Job] = []
        """A heap of those in memory."""
        self.more = False
        """Whether there are others on disk."""
        self.floor = -math.inf
        """No request on disk has a higher priority."""
        self._wake = wake

    def wake(self) -> None:
        """Look at this queue as soon as possible."""
        self._wake(self)
