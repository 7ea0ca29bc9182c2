"""A circuit breaker: if a peer does not answer, calls to it fail at once instead of waiting.

It has no lock and starts no greenlet, so any number of calls may be in flight. It counts what its
callers report. docs/decisions/0007-overload.md explains why it is not a library.
"""

from __future__ import annotations

import enum

from crawler.clock import Backoff, Clock

FAILURES = 3
"""How many calls in a row must fail before it opens, with no answer in between."""

FIRST_PAUSE_S = 0.1
MOST_PAUSE_S = 1.0
"""The pauses before the peer is tried again double up to this. They are short compared with an
election, because a peer that came back must not be missed for long."""


class State(enum.Enum):
    """What a breaker does with the next call."""

    CLOSED = 0
    """It lets the call pass."""
    HALF_OPEN = 1
    """It lets one call pass, to see whether the peer answers again."""
    OPEN = 2
    """It refuses the call."""


class CircuitBreaker:
    """Watches the calls to one peer.

    Before a call, check `refuses_for_s`, then call `begin`. After the call, call `succeed`, or
    `fail`, or `abandon` if the caller gave up for reasons of its own.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pauses = Backoff(FIRST_PAUSE_S, MOST_PAUSE_S)
        self._failures = 0
        self._opens = 0
        self._try_again_s = 0.0
        self._probing = False

    @property
    def state(self) -> State:
        """What it does with the next call."""
        if self._failures < FAILURES:
            return State.CLOSED
        if self._probing or self._clock.monotonic() < self._try_again_s:
            return State.OPEN
        return State.HALF_OPEN

    @property
    def refuses_for_s(self) -> float:
        """For how many seconds calls are still refused; 0 if the next may begin."""
        if self.state is not State.OPEN:
            return 0.0
        return MOST_PAUSE_S if self._probing else self._try_again_s - self._clock.monotonic()

    def begin(self) -> int:
        """Begin a call, which must not be refused. Return its ticket."""
        self._probing = self.state is State.HALF_OPEN
        return self._opens

    def succeed(self) -> None:
        """Note that the peer answered, whatever it said. The breaker closes, even if other calls
        were given up."""
        self._failures = 0
        self._probing = False
        self._pauses.reset()

    def fail(self, ticket: int) -> None:
        """Note that the peer did not answer. A call that began before the breaker last opened says
        nothing new."""
        if ticket != self._opens:
            return
        self._failures += 1
        if self._failures >= FAILURES:
            self._opens += 1
            self._probing = False
            self._try_again_s = self._clock.monotonic() + self._pauses.next_s()

    def abandon(self, ticket: int) -> None:
        """Note that nobody knows whether the peer would have answered. Another call may try."""
        if ticket == self._opens:
            self._probing = False
