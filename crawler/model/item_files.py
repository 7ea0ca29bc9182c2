"""The files of items of a task, as the workers of a cluster have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_BYTES = 524_288
"""How many bytes of a file are read at once."""


@dataclass(frozen=True, slots=True)
class ItemFolder:
    """The files that one worker has."""

    node: str
    """The id of the worker."""
    place: str
    """The same for workers that share a folder."""
    sizes: Mapping[str, int]
    """The bytes of each file, by its path in the folder of the task."""
    moved: str = ""
    """The folder in the place that all workers share; empty if it is one of the worker itself."""

    @property
    def name(self) -> str:
        """What people see of it, and what tells it from others."""
        return f"items.url, {self.moved}" if self.moved else self.node


@dataclass(frozen=True, slots=True)
class ItemFolders:
    """The files that all workers have."""

    folders: Sequence[ItemFolder]
    notes: Sequence[str] = ()
    """Which worker does not answer, and why."""
