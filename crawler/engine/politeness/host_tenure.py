"""How long a worker has a host, and whom it tells, where several workers share hosts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from crawler.engine.politeness.host_register import (
    Grant,
    Return,
    Want,
)

TURN_REQUESTS = 6
"""A host that others want goes back after so many requests, but not before `TURN_LEAST_S`."""
TURN_LEAST_S = 2.0
TURN_MOST_S = 10.0
"""A host that others want goes back after that time in any case."""


class Keeper(Protocol):
    """What paces the hosts."""

    def granted(self, grant: Grant) -> None:
        """The worker owns a host from now on."""
        ...

    def returned(self, host: str) -> Return | None:
        """What the next owner must know; None while a request to the host is under way."""
        ...

    def sought(self, want: Want) -> None:
        """Others want a host of this worker, and ask for that pause; `NOBODY_S` if none do."""
        ...

    def is_used(self, host: str) -> bool:
        """Whether there is something to send to a host now."""
        ...

    def pause_s(self, host: str) -> float:
        """What must pass between two requests to a host."""
        ...

    def wake(self, host: str) -> None:
        """Whoever waits for the host may ask again."""
        ...


@dataclass(slots=True)
class Tenure:
    """A host that this worker owns."""

    since_s: float
    pause_s: float
    """As the register knows it."""
    told_s: float
    """When the register was told last that this worker has the host."""
    sent: int = 0
    is_ending: bool = False
    """Whether nothing more is sent, and it goes back when nothing is under way."""

    def had_its_turn(self, now_s: float) -> bool:
        """Whether it is the others' turn, if they want the host."""
        held_s = now_s - self.since_s
        return held_s >= TURN_MOST_S or (self.sent >= TURN_REQUESTS and held_s >= TURN_LEAST_S)
