"""The bulkhead: it limits the calls in flight to one peer, and sends none while the peer is
silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gevent.lock import BoundedSemaphore

from crawler.api.rpc.circuit_breaker import CircuitBreaker, State
from crawler.clock import Clock
from crawler.errors import Overloaded, Unavailable

MAX_IN_FLIGHT = 64
"""How many calls to one peer may be in flight. More would hardly make it faster."""

SILENT_S = 0.5
"""A call that was given up sooner than this says nothing about the peer: its client was in a
hurry."""

WAIT_SHARE = 0.5
"""The part of a call's time that it may wait for its turn. The rest is for the call, and for the
answer to its client that there was no room."""

FULL = "full"
OPEN = "open"


class Permit:
    """One call in flight. It reports to the circuit breaker how it ended."""

    def __init__(self, breaker: CircuitBreaker, clock: Clock, left_s: float) -> None:
        self.left_s = left_s
        """The seconds that are left of the call's time when it gets its turn."""
        self._breaker = breaker
        self._clock = clock
        self._began_s = clock.monotonic()
        self._ticket = breaker.begin()
        self._told = False

    def answered(self) -> None:
        """Note that the peer answered, even if it refused."""
        self._told = True
        self._breaker.succeed()

    def broken(self) -> None:
        """Note that the peer could not be reached, or disconnected."""
        self._told = True
        self._breaker.fail(self._ticket)

    def silent(self) -> None:
        """Note that no answer arrived in time."""
        if self._clock.monotonic() - self._began_s >= SILENT_S:
            self.broken()

    def end(self) -> None:
        """Note that the call has ended, in whatever way."""
        if not self._told:
            self._breaker.abandon(self._ticket)


class Bulkhead:
    """Lets calls to one peer pass, or refuses them."""

    def __init__(
        self,
        address: str,
        clock: Clock,
        on_refused: Callable[[str], None] = lambda _: None,
        before: str = "",
    ) -> None:
        """`on_refused` is called with `FULL` or `OPEN` for each call that is refused. A refusal of
        a silent peer begins with `before`."""
        self._before = before
        self.breaker = CircuitBreaker(clock)
        self._address = address
        self._clock = clock
        self._on_refused = on_refused
        self._places = BoundedSemaphore(MAX_IN_FLIGHT)

    @property
    def in_flight(self) -> int:
        """How many calls are in flight."""
        return MAX_IN_FLIGHT - int(self._places.counter)

    @contextmanager
    def passage(self, timeout_s: float) -> Iterator[Permit]:
        """A context for one call with `timeout_s` seconds. Raises Unavailable, Overloaded; then
        nothing was sent."""
        self._check()
        began_s = self._clock.monotonic()
        if not self._places.acquire(timeout=timeout_s * WAIT_SHARE):
            self._on_refused(FULL)
            raise Overloaded(
                f"{MAX_IN_FLIGHT} calls to {self._address} are in flight, the most that one "
                "node makes; try again in a second"
            )
        try:
            self._check()
            passage = Permit(
                self.breaker, self._clock, timeout_s - (self._clock.monotonic() - began_s)
            )
            try:
                yield passage
            finally:
                passage.end()
        finally:
            self._places.release()

    def _check(self) -> None:
        if self.breaker.state is not State.OPEN:
            return
        self._on_refused(OPEN)
        raise Unavailable(
            f"{self._before}{self._address} does not answer, so this node asks it nothing for a "
            "moment; try again in a second, another master may lead by then",
            self.breaker.refuses_for_s,
        )
