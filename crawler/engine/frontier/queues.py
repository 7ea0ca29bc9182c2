"""The waiting requests of each site: the most urgent in memory, the others on disk.

When too many requests wait in memory, the longest queues move their tails to disk. From then on, a
site with requests on disk adds to them every request that is not more urgent, and takes some back
when few are left in memory. So a huge site never keeps other sites on disk. When memory is full,
all requests of a new site wait on disk. Such sites come into memory by age when memory gets free.
"""

from __future__ import annotations

import heapq
import json
import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from crawler.engine.frontier.disk_queue import CHUNK, Chunk, DiskQueue, Loaded
from crawler.engine.frontier.job import Job
from crawler.engine.frontier.site_queue import SiteQueue
from crawler.engine.http import urls
from crawler.engine.http.serialization import NotSerializable
from crawler.logs import get_logger

log = get_logger(__name__)

SHORT = 64
"""A queue with at most this many requests in memory keeps them."""
LOW = 32
"""A site with fewer requests in memory takes more from the disk."""
ADOPTED = 32
"""The number of sites that come in from the disk at once."""


class SiteQueues:
    """The queues of one crawl, with about `most` requests in memory.

    It calls `filled` with each queue that was empty and now has a request.
    """

    def __init__(
        self,
        most: int,
        make: Callable[[str], SiteQueue],
        filled: Callable[[SiteQueue], None],
        spider: Any = None,
    ) -> None:
        self.sites: dict[str, SiteQueue] = {}
        """The queues in use, by origin."""
        self._most = most
        self._make = make
        self._filled = filled
        self._spider = spider
        self._held = 0
        self._leaving: defaultdict[str, list[Job]] = defaultdict(list)
        self._leaving_size = 0
        self._leaving_apart = 0
        self._disk_queue = DiskQueue()
        self._hungry: dict[SiteQueue, None] = {}
        self._longest: list[SiteQueue] = []
        self._look_again = 0
        self._told = False

    def __len__(self) -> int:
        return self._held + self._leaving_size + self._disk_queue.size

    @property
    def on_disk(self) -> int:
        """The number of requests on disk."""
        return self._disk_queue.size

    @property
    def is_full(self) -> bool:
        """Whether as many requests are in memory as may be."""
        return self._held >= self._most

    def add(self, job: Job, origin: str) -> None:
        """Queue a job for a site (`urls.origin`)."""
        queue = self.sites.get(origin)
        if queue is not None and queue.more and job.request.priority <= queue.floor:
            queue.on_disk += 1
            self._leave(origin, job)
        elif self._held < self._most or self._make_room():
            self._hold(queue or self.site(origin), job)
        elif queue is None:
            self._leaving_apart += 1
            self._leave(origin, job)
        else:
            self._part(queue, [job])
        if self._leaving_size >= CHUNK:
            self._flush()  # last, because other greenlets may run meanwhile and read the counts

    def pop(self, queue: SiteQueue) -> Job:
        """Take the most urgent job of a site that has a job in memory."""
        self._held -= 1
        if queue.more and len(queue.jobs) <= (LOW if self._held < self._most else 1):
            self._hungry[queue] = None
        return heapq.heappop(queue.jobs)

    def site(self, origin: str) -> SiteQueue:
        """The queue of a site. Makes a new one if none is in use."""
        queue = self.sites.get(origin)
        if queue is None:
            queue = self.sites[origin] = self._make(origin)
        return queue

    def forget(self, queue: SiteQueue) -> bool:
        """Drop the queue of a site that has nothing to do. Returns whether it was dropped."""
        if queue.jobs or queue.busy or queue.more:
            return False
        self.sites.pop(queue.origin, None)
        return True

    def take_out(self, queue: SiteQueue) -> list[Job]:
        """Drop the queue of a site, and take its jobs. None of them may be on disk."""
        jobs, queue.jobs = queue.jobs, []
        self._held -= len(jobs)
        self.sites.pop(queue.origin, None)
        return jobs

    @property
    def is_hungry(self) -> bool:
        """Whether `feed` would bring requests into memory."""
        return bool(self._hungry) or (self._waits_apart and self._held <= self._most // 2)

    def feed(self) -> None:
        """Take requests from the disk: for one queue, or for some new sites."""
        if self._hungry:
            queue = next(iter(self._hungry))
            del self._hungry[queue]
            if queue.more:
                self._take_in(self._disk_queue.take(queue.origin))
        elif self._disk_queue.orphans:
            for loaded in self._disk_queue.adopt(ADOPTED):
                self._take_in(loaded)
        else:
            self._flush()

    def close(self) -> None:
        """Remove the requests on disk."""
        self._disk_queue.close()

    @property
    def _waits_apart(self) -> bool:
        """Whether requests wait whose site has no queue in memory."""
        return bool(self._disk_queue.orphans or self._leaving_apart)

    def _hold(self, queue: SiteQueue, job: Job) -> None:
        heapq.heappush(queue.jobs, job)
        self._held += 1
        if len(queue.jobs) == 1:
            self._filled(queue)

    def _make_room(self) -> bool:
        """Move the tail of the longest queue to disk. Returns False if all queues are short."""
        queue = self._victim()
        if queue is None:
            return False
        count = min(CHUNK, len(queue.jobs) - LOW)
        tail = queue.jobs[-count:]  # the rest is a heap, and more urgent than most of these
        del queue.jobs[-count:]
        self._held -= count
        self._part(queue, tail)
        return True

    def _part(self, queue: SiteQueue, jobs: list[Job]) -> None:
        """Move jobs of a queue in use to disk, if they can be serialized."""
        queue.more = True
        queue.floor = max([queue.floor, *(job.request.priority for job in jobs)])
        for job in jobs:
            if job.unserializable:
                self._hold(queue, job)
            else:
                queue.on_disk += 1
                self._leave(queue.origin, job)

    def _victim(self) -> SiteQueue | None:
        while self._longest:
            queue = self._longest[-1]
            if len(queue.jobs) > SHORT and not queue.jobs[-1].unserializable:
                return queue
            self._longest.pop()
        self._look_again -= 1
        if self._look_again > 0:
            return None
        self._look_again = len(self.sites)
        long = [queue for queue in self.sites.values() if len(queue.jobs) > SHORT]
        self._longest = sorted(long, key=lambda queue: len(queue.jobs))[-ADOPTED:]
        return self._longest[-1] if self._longest else None

    def _leave(self, origin: str, job: Job) -> None:
        self._leaving[origin].append(job)
        self._leaving_size += 1

    def _flush(self) -> None:
        """Write to disk the requests that leave memory."""
        leaving, self._leaving = self._leaving, defaultdict(list)
        self._leaving_size = self._leaving_apart = 0
        stays: list[tuple[str, Job]] = []
        chunks = [self._chunk(origin, jobs, stays) for origin, jobs in leaving.items()]
        for origin, job in stays:
            self._most += 1
            self._hold(self.site(origin), job)
        self._disk_queue.write([chunk for chunk in chunks if chunk.size])

    def _chunk(self, origin: str, jobs: list[Job], stays: list[tuple[str, Job]]) -> Chunk:
        records = []
        for job in jobs:
            try:
                records.append(job.to_record(self._spider))
            except NotSerializable as error:
                self._tell(job, error)
                job.unserializable = True
                stays.append((origin, job))
        queue = self.sites.get(origin)
        return Chunk(
            site=origin,
            orphan=queue is None or not queue.more,
            priority=max(job.request.priority for job in jobs),
            size=len(records),
            data=json.dumps(records).encode(),
        )

    def _take_in(self, loaded: Loaded) -> None:
        queue = self.site(loaded.site)
        queue.more = loaded.more
        queue.on_disk = max(0, queue.on_disk - len(loaded.records)) if loaded.more else 0
        queue.floor = loaded.priority if loaded.more else -math.inf
        for record in loaded.records:
            self._hold(queue, Job.from_record(record))
        if not loaded.more:
            for job in self._leaving.pop(loaded.site, ()):
                self._leaving_size -= 1
                self._hold(queue, job)

    def _tell(self, job: Job, error: NotSerializable) -> None:
        if not self._told:
            self._told = True
            log.warning(
                "more requests than max_pending stay in memory: they cannot be written to disk",
                url=urls.shown(job.url),
                reason=str(error),
            )
