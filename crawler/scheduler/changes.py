"""What a pass has to look at: gathered while nobody passes, taken by the next pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Changes:
    """What happened since the last pass."""

    suspects: dict[str, None] = field(default_factory=dict)
    """Tasks that may need an owner, as something about them changed: in the order in which that was
    told. In the order of a set a hundred thousand are as far apart in memory as can be."""
    freed: set[str] = field(default_factory=set)
    """Workers that may take more than before: new, changed, or with less to do."""
    grown: set[str] = field(default_factory=set)
    """Workers that got tasks, which helps tasks that want to be near to others."""
    left: bool = False
    """Whether a worker is gone."""


class PendingChanges:
    """Gathers changes while somebody places tasks: a master that does not lead takes none."""

    def __init__(self) -> None:
        self._gathered: Changes | None = None

    def begin(self, tasks: Iterable[str], workers: Iterable[str]) -> None:
        """Somebody places tasks from now on, and has to look at everything."""
        self._gathered = Changes(dict.fromkeys(tasks), set(workers))

    def end(self) -> None:
        """Nobody places tasks any more."""
        self._gathered = None

    def take(self) -> Changes:
        """What happened since this was called last."""
        gathered = self._gathered or Changes()
        if self._gathered is not None:
            self._gathered = Changes()
        return gathered

    def suspect(self, names: Iterable[str]) -> None:
        """Something about these tasks changed."""
        if self._gathered is not None:
            self._gathered.suspects.update(dict.fromkeys(names))

    def weighed(self, node_id: str, sign: int) -> None:
        """A worker got a task (1), or has one less (-1)."""
        if self._gathered is not None:
            (self._gathered.grown if sign > 0 else self._gathered.freed).add(node_id)

    def freed(self, node_id: str) -> None:
        """A worker may take more than before."""
        if self._gathered is not None:
            self._gathered.freed.add(node_id)

    def left(self) -> None:
        """A worker is gone."""
        if self._gathered is not None:
            self._gathered.left = True
