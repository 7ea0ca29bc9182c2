"""Sets tasks aside whose placement fails, so that one task cannot end the passes of every leader.

The placement of a task may fail because of a bug, or because of a value that nobody thought of.
That task alone waits, until it changes. The pass and the term go on.
"""

from __future__ import annotations

from crawler.errors import shown
from crawler.logs import get_logger
from crawler.model.records import Resource, State

log = get_logger(__name__)

MOST_ERROR = 300
"""The longest description of an error in a reason, in characters."""

MOST_KINDS = 100
"""How many kinds of errors are logged with a traceback."""


class SetAside:
    """The tasks that are not placed, because that failed."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Resource, str]] = {}
        """Task → its content when it was set aside, and why."""
        self._told: set[str] = set()

    def __len__(self) -> int:
        return len(self._held)

    def put(self, resource: Resource, error: Exception) -> str:
        """Set a task aside until it changes. Return the reason, for people."""
        what = _told(error)
        self.tell(resource.name, error)
        reason = (
            f"set aside: placing it failed ({what}), and the leader's log says where; "
            "update it, or delete it and add it again; it is tried again when it changes"
        )
        self._held[resource.name] = (_content(resource), reason)
        return reason

    def verdict(self, resource: Resource) -> str:
        """Return why a task is set aside, or an empty text if it is not, or has changed since."""
        held = self._held.get(resource.name)
        if held is None:
            return ""
        if held[0] == _content(resource):
            return held[1]
        self.forget(resource.name)
        return ""

    def forget(self, name: str) -> None:
        """Forget a task that was deleted, or needs no worker any more."""
        self._held.pop(name, None)

    def tell(self, name: str, error: Exception) -> None:
        """Log a failure: with a traceback if it is the first of its kind."""
        kind = _told(error)
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
        error=_told(error),
        exc_info=error,
    )


def _content(resource: Resource) -> Resource:
    """Return a resource without what the leader itself changes in a task that waits."""
    return resource.replace(
        owner=None, state=State.PENDING, reason="", awaits_spider=False, term=0, mod_revision=0
    )


def _told(error: Exception) -> str:
    """Return an error with its class, because the text of a KeyError is only a key."""
    try:
        return f"{type(error).__name__}: {error}"[:MOST_ERROR]
    except Exception:  # its own text fails
        return type(error).__name__
