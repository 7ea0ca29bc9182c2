"""How long to wait for etcd on a hub that may be busy, counted in turns of the hub and in seconds.

An answer needs several turns of the hub to pass through gRPC. On a hub that computes all the time,
one turn takes as long as all its greenlets together. That is not the fault of etcd.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import gevent

from crawler.clock import SystemClock
from crawler.coordination.etcd.failures import Stuck

TURNS = 40
"""How many turns the hub gets: half of them to send a question, half to receive the answer. gRPC
handles one event of a channel in a turn or two. More questions would delay the very answers that
they ask for."""

CALL_TURNS = 10
"""How many turns a call gets. It has its own stream for its question and its answer."""

LASTS_S = 5.0
"""For how many seconds a late hub counts as one that may be late again."""

MOST_S = 10.0
"""How many seconds more a call gets at most on a late hub."""


class Lag:
    """How late the hub was recently, as far as somebody measured it."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._late_s = 0.0
        self._noted_s = 0.0

    @property
    def allowance_s(self) -> float:
        """How many seconds longer than usual a call may take."""
        return min(MOST_S, CALL_TURNS * self._late_s) if self._is_recent() else 0.0

    def note(self, late_s: float) -> None:
        """Note that the hub was late by that many seconds. The largest value of the last seconds
        counts."""
        if late_s >= self._late_s or not self._is_recent():
            self._late_s, self._noted_s = late_s, self._clock.monotonic()

    def _is_recent(self) -> bool:
        return self._clock.monotonic() - self._noted_s < LASTS_S


class Patience:
    """A context in which a greenlet waits. It raises Stuck after `limit_s` seconds and enough turns
    of the hub."""

    def __init__(self, limit_s: float, lag: Lag, ask: Callable[[], object]) -> None:
        """Calls `ask` after half of the turns. Notes the lateness of the hub in `lag`."""
        self._tick_s = limit_s / TURNS
        self._ask = ask
        self._lag = lag
        self._clock = SystemClock()
        self._left = TURNS

    def __enter__(self) -> Self:
        self._waiting = gevent.getcurrent()
        self._ticked_s = self._clock.monotonic()
        # The timer fires at most once in a turn, however late.
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
