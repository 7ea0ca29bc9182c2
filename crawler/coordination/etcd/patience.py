"""How long to wait for etcd on a hub that may be busy: in turns of the hub, not in seconds alone.

An answer takes several turns of the hub to get through gRPC. On a hub that computes all the time a
turn lasts as long as all its greenlets together, and etcd is not to blame for it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import gevent

from crawler.clock import SystemClock
from crawler.coordination.etcd.failures import Stuck

TURNS = 40
"""What the hub is given to get a question out, and its answer in, in half of them. gRPC takes one
event of a channel in a turn or two: more questions than that would hold up what they ask about."""

CALL_TURNS = 10
"""The same for a call, which has a stream of its own for its question and its answer."""

LASTS_S = 5.0
"""How long a late hub counts as one that may be late again."""

MOST_S = 10.0
"""What calls are given for a late hub at most."""


class Lag:
    """How late the hub was of late, as far as somebody noted it."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._late_s = 0.0
        self._noted_s = 0.0

    @property
    def allowance_s(self) -> float:
        """How much longer than usual a call may take."""
        return min(MOST_S, CALL_TURNS * self._late_s) if self._is_recent() else 0.0

    def note(self, late_s: float) -> None:
        """The hub was late by that much; the worst of the last seconds counts."""
        if late_s >= self._late_s or not self._is_recent():
            self._late_s, self._noted_s = late_s, self._clock.monotonic()

    def _is_recent(self) -> bool:
        return self._clock.monotonic() - self._noted_s < LASTS_S


class Patience:
    """A context in which a greenlet waits: Stuck once the time and so many turns have gone by."""

    def __init__(self, limit_s: float, lag: Lag, ask: Callable[[], object]) -> None:
        """Calls `ask` halfway; what it sees of the hub's lag is noted."""
        self._tick_s = limit_s / TURNS
        self._ask = ask
        self._lag = lag
        self._clock = SystemClock()
        self._left = TURNS

    def __enter__(self) -> Self:
        self._waiting = gevent.getcurrent()
        self._ticked_s = self._clock.monotonic()
        # At most once in a turn, however late.
        self._timer = gevent.get_hub().loop.timer(self._tick_s, self._tick_s)
        self._timer.start(self._tick)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.stop()
        self._timer.close()

    def _tick(self) -> None:
        now_s = self._clock.monotonic()
        self._lag.note(max(0.0, now_s - self._ticked_s - self._tick_s))
        self._ticked_s = now_s
        self._left -= 1
        if self._left == TURNS // 2:
            self._ask()
        elif self._left == 0:
            self._waiting.throw(Stuck)
