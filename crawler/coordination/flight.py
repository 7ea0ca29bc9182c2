"""Runs a generator ahead in its own greenlet, while its owner does something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

import gevent

from crawler.errors import OutcomeUnknown
from crawler.supervision import Supervisor

T = TypeVar("T")


class Flight(Generic[T]):
    """Collects the items of a generator. The owner takes them after `land`."""

    def __init__(self, name: str, items: Iterator[T]) -> None:
        self.taken: list[T] = []
        """The items so far."""
        self.error: Exception | None = OutcomeUnknown("it was cut off")
        """What ended the generator early; None after it yielded all items."""
        self._greenlet = Supervisor("flight").spawn(name, self._fly, items)

    def take_off(self) -> None:
        """Start the generator: give it its first turn."""
        gevent.sleep(0)

    def land(self) -> None:
        """Wait until the generator has ended."""
        self._greenlet.join()

    def abandon(self) -> None:
        """Stop the generator where it is, without waiting."""
        self._greenlet.kill(block=False)

    def _fly(self, items: Iterator[T]) -> None:
        try:
            for item in items:
                self.taken.append(item)
            self.error = None
        except Exception as error:
            self.error = error
