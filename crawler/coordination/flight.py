"""Something that runs ahead in a greenlet of its own while its owner does something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

import gevent

from crawler.supervision import Supervisor

T = TypeVar("T")


class Flight(Generic[T]):
    """Takes the items of a generator; whoever owns it takes them over when it has landed."""

    def __init__(self, name: str, items: Iterator[T]) -> None:
        self._items: list[T] = []
        self._error: Exception | None = None
        self._greenlet = Supervisor("flight").spawn(name, self._fly, items)
        gevent.sleep(0)  # it is not under way before it had its turn

    def land(self) -> bool:
        """Wait until it has ended; whether it came to its end without an error."""
        self._greenlet.join()
        return self._error is None

    def items(self) -> Iterator[T]:
        """All that it took, and then the error that ended it, if one did."""
        yield from self._items
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """End it where it stands; returns at once."""
        self._greenlet.kill(block=False)

    def _fly(self, items: Iterator[T]) -> None:
        try:
            for item in items:
                self._items.append(item)
        except Exception as error:
            self._error = error
