"""The right of one run to change a crawl in Redis: taken, kept, and noticed when it is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from gevent.lock import RLock

from crawler.clock import Clock, SystemClock
from crawler.engine.frontier import redis_functions as functions
from crawler.engine.frontier.redis_access import NotYet
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.store import (
    StaleRun,
    StoreDamaged,
    StoreFailed,
    StoreInUse,
    StoreLost,
)
from crawler.logs import get_logger

log = get_logger(__name__)

PREFIX = "crawler:frontier:"
"""How the names of all keys begin."""
HOLD_S = 5.0
"""The seconds for which a run that has ended without saying so counts as going on."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 0.5


def prefix_of(name: str) -> str:
    """How the keys of a crawl begin. All lie in one slot of a cluster."""
    tag = quote(name, safe=" ,=@()/:+")
    return f"{PREFIX}{{{tag}}}:"


def keys_of(name: str, shard: int = 0) -> dict[str, str]:
    """The keys of a crawl by that name, by what they hold, or of one of its shards."""
    prefix = prefix_of(name) + (f"{shard}:" if shard else "")
    return {each: prefix + each for each in functions.KEYS}


class RedisRun:
    """One run at a time, which may change the crawl. Its calls have numbers, so each is carried out
    once, in order, or none is any more."""

    def __init__(
        self,
        server: RedisServer,
        name: str,
        now_s: Callable[[], float] | None = None,
        clock: Clock | None = None,
        takes_over: bool = True,
        shard: int = 0,
    ) -> None:
        """`now_s` replaces the clock of the server. `clock` is for waiting. `takes_over` says
        whether it replaces another run that does not end in time."""
        self.place = f"{server.place} ({name}{f', shard {shard}' if shard else ''})"
        self.calling = RLock()
        """Held by the greenlet that asks."""
        self.epoch: int | None = None
        """None before the run begins, and when it is over."""
        self.fault: StoreFailed | None = None
        """Why the run can change nothing any more."""
        self.number = 0
        """The number of the last call that Redis has taken."""
        self._server = server
        self._keys = keys_of(name, shard)
        self._clock_s = now_s
        self._clock = clock or SystemClock()
        self._takes_over = takes_over
        self._ahead_s = 0.0
        """How far the clock of the server is ahead of the monotonic one."""
        self._token = ""
        """Tells this run from any other."""
        self._is_one_of_many = False
        """Whether somebody counts the runs. Then an earlier one may still be on its way."""

    def begin(self, epoch: int | None, patience_s: float) -> None:
        """Become the run that may write, once the run before has ended or has had its time.

        Raises StaleRun, StoreInUse and StoreFailed.
        """
        before, self._token = self._token, uuid4().hex
        self._is_one_of_many = epoch is not None
        if not self._takes_over:  # one that was killed seems to go on for a while
            patience_s = max(patience_s, 1.2 * HOLD_S)
        until_s, pause_s = self._clock.monotonic() + patience_s, _FIRST_WAIT_S
        while True:
            is_late = self._clock.monotonic() >= until_s
            takes_over = int(is_late and self._takes_over)
            asked = ("" if epoch is None else epoch, self._token, before, in_ms(HOLD_S), takes_over)
            told, *values = self._server.call(functions.OPEN, self._all_keys, *asked)
            if told == b"OPEN":
                self.epoch, self.fault = values[0], None
                self._set_clock(values[1])
                return
            if told == b"STALE":
                last = values[0]
                raise StaleRun(f"{self.place}: epoch {epoch} is over; the last one is {last}", last)
            if is_late:
                raise StoreInUse(f"{self.place} is in use by another run; wait for its end")
            if pause_s == _FIRST_WAIT_S:
                log.info("another run of the crawl goes on; waiting for its end", place=self.place)
            left_s = until_s - self._clock.monotonic()
            self._clock.sleep(max(0.0, min(pause_s, values[0] / 1000, left_s)))
            pause_s = min(2 * pause_s, _LONGEST_WAIT_S)

    def end(self) -> None:
        """Change nothing from now on."""
        self.epoch = None

    @property
    def goes_on(self) -> bool:
        """Whether the run may change the crawl, as far as it knows."""
        return self.epoch is not None and self.fault is None

    def check(self) -> None:
        """Raise StoreFailed if the run can change nothing any more."""
        if self.fault is not None:
            raise self.fault
        if self.epoch is None:
            raise StaleRun(f"{self.place}: this run is over")

    def ask(self, command: str, key: str, *args: Any) -> Any:
        """Read from a key of the crawl."""
        return self._server.ask(command, self._keys[key], *args)

    def size(self, before: int) -> int:
        """About how many bytes the keys take; what it was before if Redis does not tell it now."""
        keys = self._keys.values()
        try:
            told = [self._server.ask("MEMORY USAGE", key, is_patient=False) for key in keys]
        except (StoreFailed, NotYet):
            return before
        return sum(each or 0 for each in told)

    def write(self, words: Sequence[Any], *, is_end: bool = False, is_patient: bool = True) -> None:
        """Have commands carried out, once. `is_end` lets the next run begin."""
        self._step(functions.WRITE, words, is_end=is_end, is_patient=is_patient)

    def beat(self, values: Mapping[str, Any]) -> None:
        """Say that the run goes on, and which requests it has sent. Raises NotYet at once if Redis
        does not answer."""
        args = (self.number, in_ms(HOLD_S), *values.values())
        self._call(functions.BEAT, *args, is_patient=False)

    def clear(self) -> None:
        """Remove the keys, and end the run."""
        self._call(functions.CLEAR, int(self._is_one_of_many))
        self.end()

    def damaged(self, error: Exception) -> StoreFailed:
        """Put aside what cannot be read, unless this run may not change it any more. Returns what
        to raise."""
        aside = f":damaged-{uuid4().hex[:8]}"
        try:
            self._call(functions.PUT_ASIDE, aside)
        except StoreFailed as other:
            return other
        self.fault = StoreDamaged(
            f"{self.place} is damaged ({error}). Its keys were renamed to"
            f" {self._keys['run']}{aside} and so on, and nothing was overwritten. Mend them and"
            " give them their old names to go on, or run the same command again to begin anew"
        )
        return self.fault

    def now_s(self) -> float:
        """The time by the clock of the server."""
        return self._clock_s() if self._clock_s else time.monotonic() + self._ahead_s

    @property
    def _all_keys(self) -> Sequence[str]:
        """What the functions get as keys."""
        return tuple(self._keys.values())

    def _step(
        self,
        function: str,
        words: Sequence[Any],
        *,
        is_end: bool = False,
        is_patient: bool = True,
    ) -> Sequence[Any]:
        """Call a function that is carried out once. Returns its answer."""
        number, hold_ms = self.number + 1, 0 if is_end else in_ms(HOLD_S)
        told = self._call(function, number, hold_ms, *words, is_patient=is_patient)
        self.number = number
        return told

    def _call(self, function: str, *args: Any, is_patient: bool = True) -> Sequence[Any]:
        """Call a function for this run. Returns its answer. Raises StaleRun, StoreLost and
        StoreFailed."""
        self.check()
        asked = (self.epoch, self._token, *args)
        try:
            told, *values = self._server.call(
                function, self._all_keys, *asked, is_patient=is_patient
            )
            if told == b"LOST":
                raise self._lost()
            if told == b"STALE":
                [last] = values
                raise StaleRun(f"{self.place}: a later run, of epoch {last}, goes on instead", last)
        except StoreFailed as error:
            self.fault = error
            raise
        self._set_clock(values[0])
        answer: Sequence[Any] = values[1:]
        return answer

    def _lost(self) -> StoreLost:
        return StoreLost(
            f"{self.place} has forgotten steps that it had taken, as after a loss of power. It is"
            " at an earlier moment of the crawl. Nothing is lost: the crawl can go on from there"
        )

    def _set_clock(self, told: bytes) -> None:
        self._ahead_s = float(told) - time.monotonic()


def in_ms(seconds: float) -> int:
    """A duration as Redis takes it."""
    return int(seconds * 1000)
