"""The crawl processes of a worker, for people and for the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ProcessLoad:
    """What one crawl process does at one moment."""

    number: int
    """Tells it from all others that this worker has had."""
    pid: int
    """Its number for the system."""
    takes_tasks: bool
    """Whether it takes further tasks: not while it begins, nor while it is emptied."""
    tasks: int
    memory_bytes: int
    late_s: float
    """For how many seconds its hub has not turned: for so long something computes."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "late_s": round(self.late_s, 3)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProcessLoad:
        """Read the result of `to_json`. Numbers may have become floats."""
        return cls(
            number=int(data["number"]),
            pid=int(data["pid"]),
            takes_tasks=bool(data["takes_tasks"]),
            tasks=int(data["tasks"]),
            memory_bytes=int(data["memory_bytes"]),
            late_s=float(data["late_s"]),
        )
