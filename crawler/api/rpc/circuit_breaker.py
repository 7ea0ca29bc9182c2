"""A circuit breaker: when a peer does not answer, calls to it fail at once instead of waiting.

It holds no lock and starts nothing, so that any number of calls may be under way; it counts what
callers tell it. Why it is our own: docs/decisions/0007-overload.md.
"""

from __future__ import annotations

import enum

from crawler.clock import Backoff, Clock

FAILURES = 3
"""Calls that must fail in a row, with none answered in between."""

FIRST_PAUSE_S = 0.1
MOST_PAUSE_S = 1.0
"""Pauses before the peer is tried again: doubling, and short beside the time that a new leader
takes, as a peer that came back must not be missed for long."""


class State(enum.Enum):
    """What a breaker does with the next call."""

    CLOSED = 0
    """Lets it pass."""
    HALF_OPEN = 1
    """Lets one pass, to see whether the peer answers again."""
    OPEN = 2
    """Refuses it."""


class CircuitBreaker:
    """Watches the calls to one peer.

    Ask `refuses_for_s`, then `begin` before a call; after it tell `succeed`, or `fail`, or, when it
    was given up for reasons of the caller's own, `abandon`.
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
        """How long calls are refused yet, in seconds; 0 when the next may begin."""
        if self.state is not State.OPEN:
            return 0.0
        return MOST_PAUSE_S if self._probing else self._try_again_s - self._clock.monotonic()

    def begin(self) -> int:
        """A call begins; must be one that is not refused. Returns its ticket."""
        self._probing = self.state is State.HALF_OPEN
        return self._opens

    def succeed(self) -> None:
        """The peer answered, whatever it said: all is well, even if others were given up."""
        self._failures = 0
        self._probing = False
        self._pauses.reset()

    def fail(self, ticket: int) -> None:
        """The peer did not answer. What began before it last opened tells nothing new."""
        if ticket != self._opens:
            return
        self._failures += 1
        if self._failures >= FAILURES:
            self._opens += 1
            self._probing = False
            self._try_again_s = self._clock.monotonic() + self._pauses.next_s()

    def abandon(self, ticket: int) -> None:
        """Nobody knows whether the peer would have answered: another may try."""
        if ticket == self._opens:
            self._probing = False
