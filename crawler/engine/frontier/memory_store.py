"""A store in memory. It shows what the contract means, and survives nothing but another `open`."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from crawler.clock import Clock, SystemClock
from crawler.engine.frontier.seen import LoggedSeen
from crawler.engine.frontier.store import LOOK_S, Found, Rest, StaleRun, Step, Waiting

T = TypeVar("T")

NO_RUN = -1
"""Stands for the epoch of a run that is over."""


class MemoryStore:
    """Keeps the state of one crawl in memory."""

    place = "memory"

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._epoch = 0
        self._run = NO_RUN
        """The epoch of the run that uses the store."""
        self._used, self._is_clean = False, True
        self._waiting: dict[int, tuple[float, Waiting]] = {}
        self._held: set[int] = set()
        self._next_id = 0
        self._marks, self._starts = array("Q"), array("Q")
        self._in_flight: Sequence[int] = ()
        self._sent: list[int] = []
        self._sent_before = 0
        self._sent_s = -math.inf
        self._rests: dict[str, tuple[float, Rest]] = {}
        self._state: dict[str, str] = {}

    def open(self, epoch: int | None = None, patience_s: float = 0.0) -> Found:
        """Begin a run. Raises StaleRun."""
        until_s = self._clock.monotonic() + patience_s
        while self._run != NO_RUN and (left_s := until_s - self._clock.monotonic()) > 0:
            self._clock.sleep(min(LOOK_S, left_s))
        if epoch is not None and epoch <= self._epoch:
            raise StaleRun(f"epoch {epoch} is over: the last one is {self._epoch}", self._epoch)
        is_new, is_clean = not self._used, self._is_clean
        self._epoch = self._run = self._epoch + 1 if epoch is None else epoch
        self._used, self._held = True, set()
        now_s = self._clock.monotonic()
        return Found(
            epoch=self._epoch,
            is_new=is_new,
            is_clean=is_clean,
            waiting=len(self._waiting),
            next_id=self._next_id,
            seen=self._seen_again(),
            starts=self._starts[:],
            asked=[*self._in_flight, *self._sent[self._sent_before :]],
            sent=len(self._sent),
            idle_s=now_s - self._sent_s,
            rests={
                host: rest._replace(left_s=until_s - now_s)
                for host, (until_s, rest) in self._rests.items()
                if until_s > now_s
            },
            state=dict(self._state),
        )

    def lease(self, most: int) -> Sequence[Waiting]:
        """Take requests that nobody holds, by their ids."""
        now_s = self._clock.monotonic()
        free = sorted(self._waiting.keys() - self._held)[:most]
        self._held.update(free)
        found = (self._waiting[id] for id in free)
        return [
            each._replace(wait_s=max(0.0, until_s - now_s) if each.wait_s else 0.0)
            for until_s, each in found
        ]

    def tally(self, kind: Callable[[bytes], T]) -> Counter[T]:
        """Count the requests without an end by what their records tell."""
        return Counter(kind(each.record) for _, each in self._waiting.values())

    def sending(self, mark: int) -> None:
        """Note that a request is sent."""
        self._sent.append(mark)
        self._sent_s = self._clock.monotonic()

    def size(self) -> int:
        """Nothing: it ends with the process."""
        return 0

    def write(self, step: Step) -> None:
        """Take a step. Raises StaleRun."""
        self._check()
        self._is_clean = False
        now_s = self._clock.monotonic()
        for each in (*step.added, *step.changed):
            self._waiting[each.id] = now_s + each.wait_s, each
            self._held.add(each.id)
            self._next_id = max(self._next_id, each.id + 1)
        for id in step.ended:
            self._waiting.pop(id, None)
            self._held.discard(id)
        self._held.difference_update(step.given_back)
        self._in_flight, self._sent_before = step.in_flight, step.sent
        self._marks += step.marks
        self._starts += step.starts
        if step.rests is not None:
            self._rests = {host: (now_s + rest.left_s, rest) for host, rest in step.rests.items()}
        self._state.update(step.state)

    def close(self, is_clean: bool = False) -> None:
        """End the run."""
        self._run, self._is_clean = NO_RUN, self._is_clean or is_clean

    def clear(self) -> None:
        """Forget everything, and end the run."""
        epoch = self._epoch
        self.__init__(self._clock)  # type: ignore[misc]
        self._epoch = epoch

    def _check(self) -> None:
        if self._run != self._epoch:
            raise StaleRun("this run is over")

    def _seen_again(self) -> LoggedSeen:
        seen = LoggedSeen()
        seen.restore(self._marks)
        return seen
