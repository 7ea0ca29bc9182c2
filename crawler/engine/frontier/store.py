"""The contract of a store, which keeps what a crawl still has to do, so that it can go on later.

A run opens the store, leases what waits there, and from then on tells it in steps what has changed.
A store takes a whole step or nothing of it. So what it holds is always what the crawl was at one
moment: the requests that wait, the URLs that are known, the counts, and how long the files of items
were. A run that begins later goes on from that moment. What was done after it is done again.

A run has an epoch. A store that has seen a later epoch refuses the steps of an earlier run.

Each call may wait, and other greenlets run meanwhile. Each call may raise StoreFailed.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from crawler.engine.frontier.seen import LoggedSeen
from crawler.errors import CrawlerError

T = TypeVar("T")

LOOK_S = 0.1
"""The seconds between two looks whether the run before has let go of a store."""


class StoreFailed(CrawlerError):
    """The store cannot keep the crawl's state. This ends the crawl; it can go on later."""


class StoreInUse(StoreFailed):
    """Another run uses the store, and it cannot be taken away from it."""


class StoreDamaged(StoreFailed):
    """The store cannot be read. What is there was kept aside."""


class StoreLost(StoreFailed):
    """The store has forgotten the last steps that it had taken, and is at an earlier one. The crawl
    can go on from there, in a run that begins anew with what the store has."""


class StaleRun(StoreFailed):
    """A later run uses the store, or has used it. This run may change nothing any more."""

    def __init__(self, message: str, last: int = 0) -> None:
        """`last` is the epoch of the later run, if it is known."""
        super().__init__(message)
        self.last = last


class Waiting(NamedTuple):
    """A request that has no end yet."""

    id: int
    """From 0 on. Of one crawl, no two requests have the same."""
    site: str
    priority: int
    record: bytes
    """What `Job.to_record` made, as JSON."""
    wait_s: float = 0.0
    """The seconds before which it must not be sent."""


class Rest(NamedTuple):
    """The time for which a host is left alone."""

    left_s: float
    pause_s: float
    """How long the last cooldown without a Retry-After was. The next one is twice as long."""
    is_down: bool


@dataclass(slots=True)
class Step:
    """What has changed since the step before. The run holds what it adds, as if leased."""

    marks: array[int] = field(default_factory=lambda: array("Q"))
    """Fingerprints of URLs that are known from now on."""
    added: Sequence[Waiting] = ()
    """New requests, by ascending ids."""
    changed: Sequence[Waiting] = ()
    """Requests that came back, after a redirect or for a retry. They replace what was there."""
    ended: Sequence[int] = ()
    """The ids of requests that have their end. An unknown id changes nothing."""
    given_back: Sequence[int] = ()
    """The ids of requests that the run held, and that any lease may have again."""
    starts: array[int] = field(default_factory=lambda: array("Q"))
    """Fingerprints of the start requests that were read."""
    in_flight: Sequence[int] = ()
    """Fingerprints of the requests that were sent and have neither ended nor come back."""
    sent: int = 0
    """How often `sending` was called before this step was made."""
    rests: Mapping[str, Rest] | None = None
    """All hosts that rest now, by name. None if that did not change."""
    state: Mapping[str, str] = field(default_factory=dict)
    """Other texts by name: counts, cookies, …  Each replaces the one before."""


@dataclass(slots=True)
class Found:
    """What a run finds when it opens a store."""

    epoch: int
    """The epoch of the run that begins."""
    is_new: bool = True
    """Whether nothing was there."""
    is_clean: bool = True
    """Whether the last run that wrote anything could tell the store all it had done."""
    waiting: int = 0
    """The number of requests without an end."""
    next_id: int = 0
    """The first id that is free."""
    seen: LoggedSeen = field(default_factory=LoggedSeen)
    """The URLs that are known. The run adds to it."""
    starts: array[int] = field(default_factory=lambda: array("Q"))
    asked: Sequence[int] = ()
    """Fingerprints of the requests that the last run sent, and whose ends are not known. After a
    loss of power some may be missing."""
    sent: int = 0
    """How often `sending` was called in all runs."""
    idle_s: float = math.inf
    """The seconds since the last run sent something; infinity if it is not known."""
    rests: Mapping[str, Rest] = field(default_factory=dict)
    """The hosts that still rest."""
    state: Mapping[str, str] = field(default_factory=dict)


class Store(Protocol):
    """Where the state of one crawl is kept."""

    place: str
    """Where that is, for people."""

    def open(self, epoch: int | None = None, patience_s: float = 0.0) -> Found:
        """Begin a run. Nobody holds any request then.

        Without an epoch, it is one more than the last. If another run uses the store, this waits
        for its end, at most `patience_s` seconds. After that, a store that can refuse the steps of
        the other run takes over from it. One that cannot raises StoreInUse.

        Raises StaleRun for an epoch that is not later than the last, and StoreDamaged.
        """
        ...

    def lease(self, most: int) -> Sequence[Waiting]:
        """Take up to so many requests that nobody holds. Empty if there are none."""
        ...

    def tally(self, kind: Callable[[bytes], T]) -> Counter[T]:
        """Count the requests without an end by a kind that their records tell. Holds none of them.

        A native thread may call `kind`.
        """
        ...

    def sending(self, mark: int) -> None:
        """Note that a request is sent, by its fingerprint. This never waits."""
        ...

    def size(self) -> int:
        """About how many bytes the store takes, also some seconds ago; 0 if that is not known. This
        never waits."""
        ...

    def write(self, step: Step) -> None:
        """Take a step. When this returns, it survives the end of the process. Raises StaleRun."""
        ...

    def close(self, is_clean: bool = False) -> None:
        """End the run. `is_clean` says that the last step holds all that the run has done."""
        ...

    def clear(self) -> None:
        """Forget everything, and end the run."""
        ...


def left_s(until_s: float, asked_s: float, now_s: float) -> float:
    """What is left of a pause. A wall clock that was set back makes it no longer."""
    return min(until_s - now_s, asked_s)
