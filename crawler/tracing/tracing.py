"""What a node tells of requests, placements and runs, for traces."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from crawler.model.records import Report, Resource

Told = Mapping[str, str | int | float]
"""Attributes of a span."""


class Kind(enum.Enum):
    """What a span stands for."""

    SERVER = "server"
    """A call that this node answers."""
    CLIENT = "client"
    """A call that this node makes."""
    INTERNAL = "internal"
    """Anything else."""


class Tracing(Protocol):
    """Makes the spans of a node. No method waits, but `close`."""

    @property
    def is_on(self) -> bool:
        """Whether there are any spans."""
        ...

    def start(self) -> None:
        """Begin to send spans."""
        ...

    def close(self, patience_s: float) -> None:
        """Send what waits, for at most `patience_s` seconds, and end."""
        ...

    def span(
        self, name: str, kind: Kind, parent: str = "", told: Told | None = None
    ) -> AbstractContextManager[str]:
        """Return a context that is a span, with the `traceparent` of it. `parent` is the one of the
        span before; without it, a trace begins. What is raised within is noted."""
        ...

    def placed(
        self, was: Resource | None, now: Resource, strategy: str, began_ns: int, ended_ns: int
    ) -> None:
        """Note that a task got a worker, which was decided and stored in that time."""
        ...

    def ran(self, resource: Resource, report: Report, began_ns: int, ended_ns: int) -> None:
        """Note that a run has ended here, by itself or not. `report` is its last state."""
        ...


class NoTracing:
    """Makes no spans."""

    is_on = False

    def start(self) -> None:
        """Nothing is sent."""

    def close(self, patience_s: float) -> None:
        """Nothing waits."""

    def span(
        self, name: str, kind: Kind, parent: str = "", told: Told | None = None
    ) -> AbstractContextManager[str]:
        """Return a context that is no span."""
        return _NONE

    def placed(
        self, was: Resource | None, now: Resource, strategy: str, began_ns: int, ended_ns: int
    ) -> None:
        """Forget it."""

    def ran(self, resource: Resource, report: Report, began_ns: int, ended_ns: int) -> None:
        """Forget it."""


_NONE = nullcontext("")
