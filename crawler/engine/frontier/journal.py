"""Notes what changes in a frontier, until somebody takes it as a step for a store.

What has its end before it is taken is not written at all.

A request that cannot be serialized (its callback is no method, or JSON does not know its `meta`)
stays in memory alone. Then the page that yielded it has no end in the store before that request has
one. A later run fetches that page again, and the page yields the request again.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec

from crawler.engine.frontier.job import Job
from crawler.engine.frontier.no_journal import NoJournal
from crawler.engine.frontier.seen import LoggedSeen
from crawler.engine.frontier.store import Found, Step, Waiting
from crawler.engine.http import urls
from crawler.engine.http.request import Request
from crawler.logs import get_logger

log = get_logger(__name__)

NO_REQUEST, UNWRITTEN, LATE = 0, 1, 2
"""What stands for a start request that is an item, for one that could not be serialized, and before
the mark of one that has its end though it could not be serialized."""

_quick = msgspec.json.Encoder().encode
"""Encodes a record in a tenth of the time that `json` takes. It refuses a text with half a
surrogate pair, a text of a subclass, and a number beyond 64 bits."""
_encode = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


@dataclass(slots=True)
class _Unwritten:
    """A request that is not in the store."""

    parent: Job | None
    """The request whose page yielded it."""
    start: int | None
    """The `start_mark` of a start request."""


@dataclass(slots=True)
class _Parent:
    """A request whose page has yielded requests that are not in the store."""

    children: set[int] = field(default_factory=set)
    has_ended: bool = False


class Journal(NoJournal):
    """The journal of a crawl with a store."""

    def __init__(
        self,
        spider: Any,
        found: Found,
        now_s: Callable[[], float],
        sending: Callable[[int], None] = lambda mark: None,
    ) -> None:
        """`found` is what the store has. `sending` is called with the fingerprint of each request
        that is sent."""
        self.seen: LoggedSeen = found.seen
        self.first_id = found.next_id
        self._asked = set(found.asked)
        self._sending = sending
        self._sent = found.sent
        self._in_flight: dict[int, int] = {}
        self._spider = spider
        self._now_s = now_s
        self._added: dict[int, Waiting] = {}
        self._changed: dict[int, tuple[Waiting, float]] = {}
        self._ended: list[int] = []
        self._starts = array("Q")
        self._unwritten: dict[int, _Unwritten] = {}
        self._held: dict[int, list[int]] = {}
        """The fingerprints that the store must not know before the request has its end."""
        self._claimed = (-1, 0)
        """The request whose page was last found to be known by another URL, and its fingerprint."""
        self._parents: dict[int, _Parent] = {}
        self._told = False

    @property
    def settled(self) -> int:
        """How many requests have ended or come back since the last step."""
        return len(self._ended) + len(self._changed)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has changed since the last step."""
        return not (self._added or self._changed or self._ended or self._starts)

    def added(self, job: Job, site: str) -> bool:
        """Note a new request, which `page` yielded."""
        try:
            self._added[job.order] = self._waiting(job, site)
        except Exception as error:  # NotSerializable, or whatever the spider made of its request
            self._keep_back(job, error)
        return True

    def sent(self, job: Job) -> bool:
        """Note that a request is sent. Returns whether an earlier run had sent it too."""
        mark = urls.mark(job.url, job.method, job.body)
        self._in_flight[job.order] = mark
        self._sent += 1
        self._sending(mark)
        if mark not in self._asked:
            return False
        self._asked.discard(mark)
        return True

    def came_back(self, job: Job, wait_s: float = 0.0) -> None:
        """Note that a request waits again, after a redirect or for a retry."""
        self._in_flight.pop(job.order, None)
        if job.order in self._unwritten:
            self._keep_mark_back(job)
            return
        try:
            waiting = self._waiting(job, urls.origin(job.url))
        except Exception:  # its `meta` was changed; what it was before stays
            self._keep_mark_back(job)
            return
        self._added.pop(job.order, None)
        self._changed[job.order] = waiting, self._now_s() + wait_s

    def claimed(self, job: Job, mark: int) -> None:
        """Note that the page of a request is known by another URL too."""
        self._claimed = job.order, mark

    def ended(self, job: Job) -> None:
        """Note that a request has its end."""
        self._in_flight.pop(job.order, None)
        parent = self._parents.get(job.order)
        if parent is not None:
            parent.has_ended = True
        else:
            self._end(job.order)

    def started(self, mark: int) -> None:
        """Note that a start request was read, by its `start_mark`."""
        self.page = None
        self._starts.append(mark)

    def take(self) -> Step:
        """All that was noted since the last call."""
        now_s = self._now_s()
        step = Step(
            marks=self.seen.take_news(),
            added=list(self._added.values()),
            changed=[
                waiting._replace(wait_s=max(0.0, at_s - now_s))
                for waiting, at_s in self._changed.values()
            ],
            ended=self._ended,
            starts=self._starts,
            in_flight=[*self._in_flight.values(), *self._asked],
            sent=self._sent,
        )
        self._added, self._changed, self._ended = {}, {}, []
        self._starts = array("Q")
        return step

    def _waiting(self, job: Job, site: str) -> Waiting:
        record = _encoded(job.to_record(self._spider))
        return Waiting(job.order, site, job.request.priority, record)

    def _end(self, id: int) -> None:
        if id in self._held:
            self.seen.log(self._held.pop(id))
        kept_back = self._unwritten.pop(id, None)
        if kept_back is None:
            self._added.pop(id, None)
            self._changed.pop(id, None)
            self._ended.append(id)
            return
        if kept_back.start is not None:
            self._starts.extend((LATE, kept_back.start))
        if kept_back.parent is not None:
            self._free(kept_back.parent.order, id)

    def _free(self, id: int, child: int) -> None:
        """Note that a request has one child less that is not in the store."""
        parent = self._parents[id]
        parent.children.discard(child)
        if not parent.children:
            del self._parents[id]
            if parent.has_ended:
                self._end(id)

    def _keep_back(self, job: Job, error: Exception) -> None:
        """Note a request that is not in the store, and let its page have no end before it."""
        unwritten = self._unwritten[job.order] = _Unwritten(self.page, None)
        self._keep_mark_back(job)
        if self.page is not None:
            self._parents.setdefault(self.page.order, _Parent()).children.add(job.order)
            self._keep_claim_back(self.page)
        elif self._starts:
            unwritten.start, self._starts[-1] = self._starts[-1], UNWRITTEN
        self._tell(job, error)

    def _keep_mark_back(self, job: Job) -> None:
        mark = urls.mark(job.url, job.method, job.body)
        if self.seen.keep_back(mark):
            self._held.setdefault(job.order, []).append(mark)

    def _keep_claim_back(self, page: Job) -> None:
        """Let the store not know the other URL of a page that may be fetched again: it would be
        taken for a duplicate."""
        order, mark = self._claimed
        if order == page.order and self.seen.withdraw(mark):
            self._held.setdefault(order, []).append(mark)

    def _tell(self, job: Job, error: Exception) -> None:
        tell = log.debug if self._told else log.warning
        self._told = True
        tell(
            "a request cannot be written down; if the crawl is cut off before it is done, the page"
            " that yielded it is fetched again, and its items may come twice",
            url=urls.shown(job.url),
            reason=str(error),
        )


def _encoded(record: list[Any]) -> bytes:
    """A record as JSON. Raises what `json` raises if it cannot be."""
    try:
        return _quick(record)
    except (TypeError, ValueError, OverflowError):
        return _encode(record).encode()


def start_mark(output: Any) -> int:
    """What tells a start request from others, in a later process too."""
    if not isinstance(output, Request):
        return NO_REQUEST
    text = f"{output.method} {output.url} ".encode("utf-8", "surrogateescape")
    body = output.body if isinstance(output.body, bytes) else repr(output.body).encode()
    digest = blake2b(text + body, digest_size=8).digest()
    return max(int.from_bytes(digest, "little"), LATE + 1)


class Starts:
    """The start requests that earlier runs have read. They are not read again.

    The spider makes them anew, and each that is known is left out: by its place, or wherever it
    comes if the spider makes others than before.
    """

    def __init__(self, known: Sequence[int]) -> None:
        self._known, late = _split(known)
        self._late = _counted(late)
        """Those that could not be written down at their place, and have their end."""
        self._place = 0
        self._left: dict[int, int] | None = None

    @property
    def differ(self) -> bool:
        """Whether the spider makes others than before, or in another order."""
        return self._left is not None

    def is_known(self, mark: int) -> bool:
        """Whether a start request was read by an earlier run, by its `start_mark`."""
        if self._left is None and self._place < len(self._known):
            if self._known[self._place] in (mark, UNWRITTEN):
                self._place += 1
                return self._known[self._place - 1] == mark or _taken(self._late, mark)
            self._left = _counted(self._known[self._place :])
        return _taken(self._left or {}, mark) or _taken(self._late, mark)


def _split(known: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """The marks at their places, and those that came later."""
    placed, late, rest = array("Q"), array("Q"), iter(known)
    if LATE not in known:
        return known, late
    for mark in rest:
        if mark == LATE:
            late.append(next(rest))
        else:
            placed.append(mark)
    return placed, late


def _taken(counts: dict[int, int], mark: int) -> bool:
    """Take one of that mark, if there is one."""
    if not counts.get(mark):
        return False
    counts[mark] -= 1
    return True


def _counted(marks: Sequence[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for mark in marks:
        counts[mark] = counts.get(mark, 0) + 1
    return counts
