"""How many bytes of responses a worker holds at once, all its crawls together.

What counts is what has been received of a body and not been dealt with yet. When there is no room,
nothing new is sent, and what is in flight waits where it is, all but the oldest: that one makes
room when it has ended, so everything goes on in the end.
"""

from __future__ import annotations

from collections.abc import Callable

from crawler.settings.sections import WorkerSettings


class BodyMemory:
    """Counts them, and tells when there is room again."""

    def __init__(self, most_bytes: int = WorkerSettings.response_bytes) -> None:
        self.held = 0
        """Bytes held now; above the bound by what the oldest goes on to receive."""
        self._most = most_bytes
        self._waiting: dict[Callable[[], None], None] = {}

    @property
    def full(self) -> bool:
        """Whether there is no room."""
        return self.held >= self._most

    def take(self, size: int) -> None:
        """So many bytes more."""
        self.held += size

    def give_back(self, size: int) -> None:
        """So many fewer."""
        self.held -= size
        if self._waiting and not self.full:
            waiting, self._waiting = self._waiting, {}
            for call in waiting:
                call()

    def when_free(self, call: Callable[[], None]) -> None:
        """Have it called once, when there is room again; to ask twice is to ask once."""
        self._waiting[call] = None
