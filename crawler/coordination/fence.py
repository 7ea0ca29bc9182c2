"""The fence: each write of a leader compares the create revision of its election key.

A leader that was replaced while it was paused can therefore change nothing.
"""

from __future__ import annotations

from crawler.coordination.store import Compare, KeyValue, created_at
from crawler.errors import LeadershipLost
from crawler.model.records import Leadership


def fence(leadership: Leadership) -> Compare:
    """Return the condition under which the store carries out a write of that leader."""
    return created_at(leadership.key, leadership.revision)


def check_fence(leadership: Leadership, found: KeyValue | None) -> None:
    """Raise LeadershipLost if `found`, the value of the election key, is why a write was
    refused."""
    if found is None or found.create_revision != leadership.revision:
        raise LeadershipLost("a write was refused: this master does not lead any more")
