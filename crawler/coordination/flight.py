"""Something that runs ahead in a greenlet of its own while its owner does something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

import gevent

from crawler.errors import OutcomeUnknown
from crawler.supervision import Supervisor

T = TypeVar("T")


class Flight(Generic[T]):
    """Takes the items of a generator; whoever owns it takes them over when it has landed."""

    def __init__(self, name: str, items: Iterator[T]) -> None:
        self.taken: list[T] = []
        """The items so far."""
        self.error: Exception | None = OutcomeUnknown("it was cut off")
        """What ended it before there were no more items; None once it has taken all."""
        self._greenlet = Supervisor("flight").spawn(name, self._fly, items)

    def take_off(self) -> None:
        """Let it have its first turn, before which it is not under way."""
        gevent.sleep(0)

    def land(self) -> None:
        """Wait until it has ended."""
        self._greenlet.join()

    def abandon(self) -> None:
        """End it where it stands; returns at once."""
        self._greenlet.kill(block=False)

    def _fly(self, items: Iterator[T]) -> None:
        try:
            for item in items:
                self.taken.append(item)
            self.error = None
        except Exception as error:
            self.error = error
