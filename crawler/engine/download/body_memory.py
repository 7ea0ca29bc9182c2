"""Limits the bytes of responses that a worker keeps in memory, for all its crawls together.

The bytes that a crawl has received and not yet processed count. When the limit is reached, no new
request is sent, and all requests in flight pause, except the oldest. When the oldest ends, it frees
memory. So every request completes in the end.
"""

from __future__ import annotations

from collections.abc import Callable

from crawler.settings.worker import WorkerSettings


class BodyMemory:
    """Counts the bytes, and calls back when memory is free again."""

    def __init__(self, most_bytes: int = WorkerSettings.response_bytes) -> None:
        self.held = 0
        """The bytes in memory now. The oldest request can raise them above the limit."""
        self._most = most_bytes
        self._waiting: dict[Callable[[], None], None] = {}

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self.held >= self._most

    def take(self, size: int) -> None:
        """Add so many bytes."""
        self.held += size

    def give_back(self, size: int) -> None:
        """Subtract so many bytes. Calls back if memory is free again."""
        self.held -= size
        if self._waiting and not self.full:
            waiting, self._waiting = self._waiting, {}
            for call in waiting:
                call()

    def when_free(self, call: Callable[[], None]) -> None:
        """Call a function once when memory is free. Registering it twice changes nothing."""
        self._waiting[call] = None
