"""Notes what changes in a frontier, until somebody takes it as a step for a store.

What has its end before it is taken is not written at all. A request is serialized when it is taken:
it waits then, or is in flight, so it is what its callback will get.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from crawler.engine.frontier.job import Job
from crawler.engine.frontier.seen import LoggedSeen, Seen
from crawler.engine.frontier.store import Step, Waiting
from crawler.engine.http import urls
from crawler.engine.http.request import Request
from crawler.engine.http.serialization import NotSerializable
from crawler.logs import get_logger

log = get_logger(__name__)

_encode = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


class NoJournal:
    """The journal of a crawl without a store: it notes nothing."""

    keeps = False
    """Whether anything is noted."""

    def __init__(self) -> None:
        self.seen = Seen()
        """The seen set of the crawl."""

    def added(self, job: Job, site: str) -> None:
        """Note a new request."""

    def came_back(self, job: Job, wait_s: float = 0.0) -> None:
        """Note that a request waits again, after a redirect or for a retry."""

    def ended(self, job: Job) -> None:
        """Note that a request has its end."""


class Journal(NoJournal):
    """The journal of a crawl with a store."""

    keeps = True

    def __init__(self, spider: Any, seen: LoggedSeen, now_s: Callable[[], float]) -> None:
        self.seen: LoggedSeen = seen
        self._spider = spider
        self._now_s = now_s
        self._added: dict[int, tuple[Job, str]] = {}
        self._changed: dict[int, tuple[Job, float]] = {}
        self._ended: list[int] = []
        self._starts = array("Q")
        self._told = False

    @property
    def ends(self) -> int:
        """How many requests have ended since the last step."""
        return len(self._ended)

    def added(self, job: Job, site: str) -> None:
        """Note a new request."""
        self._added[job.order] = job, site

    def came_back(self, job: Job, wait_s: float = 0.0) -> None:
        """Note that a request waits again, after a redirect or for a retry."""
        self._added.pop(job.order, None)
        self._changed[job.order] = job, self._now_s() + wait_s

    def ended(self, job: Job) -> None:
        """Note that a request has its end."""
        self._added.pop(job.order, None)
        self._changed.pop(job.order, None)
        self._ended.append(job.order)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has changed since the last step."""
        return not (self._added or self._changed or self._ended or self._starts)

    def started(self, mark: int) -> None:
        """Note that a start request was read, by its `start_mark`."""
        self._starts.append(mark)

    def take(self) -> Step:
        """All that was noted since the last call."""
        now_s = self._now_s()
        added = [self._waiting(job, site) for job, site in self._added.values()]
        changed = [
            self._waiting(job, urls.origin(job.url), max(0.0, at_s - now_s))
            for job, at_s in self._changed.values()
        ]
        step = Step(
            marks=self.seen.take_news(),
            added=[each for each in added if each is not None],
            changed=[each for each in changed if each is not None],
            ended=self._ended,
            starts=self._starts,
        )
        self._added, self._changed, self._ended = {}, {}, []
        self._starts = array("Q")
        return step

    def _waiting(self, job: Job, site: str, wait_s: float = 0.0) -> Waiting | None:
        try:
            record = _encode(job.to_record(self._spider)).encode()
        except NotSerializable as error:
            self._tell(job, error)
            return None
        return Waiting(job.order, site, job.request.priority, record, wait_s)

    def _tell(self, job: Job, error: NotSerializable) -> None:
        tell = log.debug if self._told else log.warning
        self._told = True
        tell(
            "a request cannot be written down, so a crawl that goes on later does not have it",
            url=urls.shown(job.url),
            reason=str(error),
        )


def start_mark(output: Any) -> int:
    """What tells a start request from others, in a later process too. 0 for what is no request."""
    if not isinstance(output, Request):
        return 0
    text = f"{output.method} {output.url} ".encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(text + (output.body or b""), digest_size=8).digest(), "little")
