"""Times as people and JSON lines show them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(time_ns: int) -> str:
    """Return a wall time in UTC, to the millisecond, as `2026-11-30T21:38:09.123Z`."""
    text = datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
