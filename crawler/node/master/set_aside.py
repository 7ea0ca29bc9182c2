"""Sets tasks aside whose placement fails, so that one task cannot end the passes of every leader.

The placement of a task may fail because of a bug, or because of a value that nobody thought of.
Tasks of one shape are judged together, so they may wait together. All other tasks are placed, and
the term goes on. A task that was set aside is tried again when it or the policy changes, and after
pauses that double, because the cause may lie elsewhere: in a plugin, or in a worker that has gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from crawler.errors import shown
from crawler.logs import get_logger
from crawler.model.records import Resource, State
from crawler.node.master.retries import pause_s

log = get_logger(__name__)

MOST_ERROR = 300
"""The longest description of an error in a reason, in characters."""

MOST_KINDS = 100
"""How many kinds of errors are logged with a traceback."""


class Held(NamedTuple):
    """A task that is set aside."""

    content: Resource
    """The task as it was then."""
    reason: str
    due_s: float
    """The monotonic time of its next try."""


class SetAside:
    """The tasks that are not placed, because that failed."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._failures: dict[str, tuple[int, str]] = {}
        """Task → how often its placement failed in a row, and the latest error."""
        self._told: set[str] = set()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def get(self, name: str) -> Held | None:
        """Return why and until when a task is set aside; None for other tasks."""
        return self._held.get(name)

    def put(self, resource: Resource, error: Exception, now_s: float) -> Held:
        """Set a task aside until it changes, or its next try is due."""
        name, what = resource.name, told(error)
        failures, before = self._failures.get(name, (0, ""))
        if what != before:
            self.tell(name, error)
        self._failures[name] = failures + 1, what
        reason = (
            f"set aside: placing it failed ({what}), and the leader's log says where; "
            "it is tried again from time to time, and at once when you update it"
        )
        held = Held(_content(resource), reason, now_s + pause_s(failures + 1))
        self._held[name] = held
        return held

    def holds(self, resource: Resource, now_s: float) -> bool:
        """Whether a task is set aside, has not changed since, and its next try is not due."""
        held = self._held.get(resource.name)
        if held is None:
            return False
        if held.content != _content(resource):
            self.forget(resource.name)
        elif held.due_s <= now_s:
            del self._held[resource.name]
        else:
            return True
        return False

    def release(self) -> Collection[str]:
        """Let all tasks be tried again at once. Return their names."""
        names = list(self._held)
        self._held.clear()
        self._failures.clear()
        return names

    def forget(self, name: str) -> None:
        """Forget a task that was placed or deleted, or needs no worker any more."""
        self._held.pop(name, None)
        self._failures.pop(name, None)

    def tell(self, name: str, error: Exception) -> None:
        """Log a failure: with a traceback if it is the first of its kind."""
        kind = told(error)
        known = kind in self._told or len(self._told) >= MOST_KINDS
        note = log.warning if known else log.error
        self._told.add(kind) if not known else None
        note(
            "placing a task failed; it is set aside, and the pass goes on",
            task=shown(name),
            error=kind,
            **({} if known else {"exc_info": error}),
        )


def tell_left_out(what: str, name: str, error: Exception) -> None:
    """Log that a task or a worker is left out of all passes, because its value raised."""
    log.error(
        f"{what} cannot be taken into account, and is left out; mend its value in etcd",
        name=shown(name),
        error=told(error),
        exc_info=error,
    )


def _content(resource: Resource) -> Resource:
    """Return a resource without what the leader itself changes in a task that waits."""
    return resource.replace(
        owner=None, state=State.PENDING, reason="", awaits_spider=False, term=0, mod_revision=0
    )


def told(error: Exception) -> str:
    """Return an error with its class, because the text of a KeyError is only a key."""
    try:
        return f"{type(error).__name__}: {error}"[:MOST_ERROR]
    except Exception:  # its own text fails
        return type(error).__name__
