"""What a master does with the history of its cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from crawler.errors import NotFound
from crawler.history.events import Seen
from crawler.model.history import Event, Run, RunQuery
from crawler.model.records import Resource
from crawler.model.run_statistics import RunStatistics
from crawler.supervision import Supervisor

Present = Callable[[], tuple[Sequence[Resource], int]]
"""Returns all resources, and the revision of etcd at which they are so."""


NOT_KEPT = "this cluster keeps no history: history.url is empty"


class History(Protocol):
    """Takes what the leader commits, and tells it again."""

    def start(self, supervisor: Supervisor) -> None:
        """Begin to write what is noted."""
        ...

    def close(self) -> None:
        """Write what waits, if the database takes it soon, and end."""
        ...

    def lead(self, present: Present) -> None:
        """Write from now on also what `present` says and nobody has written."""
        ...

    def follow(self) -> None:
        """End what `lead` began. What was noted is still written."""
        ...

    def doubt(self) -> None:
        """Changes may have been made that were not noted."""
        ...

    def note(self, changes: Sequence[Seen]) -> None:
        """Take committed changes, without waiting."""
        ...

    def note_statistics(self, told: Sequence[RunStatistics]) -> None:
        """Take the statistics of runs that are over, without waiting."""
        ...

    def of_task(self, name: str, limit: int, timeout_s: float) -> Sequence[Event]:
        """Return the last events of a task, the oldest first. Raises NotFound, Unavailable."""
        ...

    def runs(self, query: RunQuery, timeout_s: float) -> Sequence[Run]:
        """Return the latest runs that match, the latest first. Raises Unavailable."""
        ...


class NoHistory:
    """A history that keeps nothing: `history.url` is empty."""

    def start(self, supervisor: Supervisor) -> None:
        """Nothing is written."""

    def close(self) -> None:
        """Nothing waits."""

    def lead(self, present: Present) -> None:
        """Nothing is written."""

    def follow(self) -> None:
        """Nothing was begun."""

    def doubt(self) -> None:
        """Nothing is written."""

    def note(self, changes: Sequence[Seen]) -> None:
        """Forget them."""

    def note_statistics(self, told: Sequence[RunStatistics]) -> None:
        """Forget them."""

    def of_task(self, name: str, limit: int, timeout_s: float) -> Sequence[Event]:
        """Raises NotFound."""
        raise NotFound(NOT_KEPT)

    def runs(self, query: RunQuery, timeout_s: float) -> Sequence[Run]:
        """Raises NotFound."""
        raise NotFound(NOT_KEPT)
