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


class Gatherer:
    """Gathers news while somebody wants them: a master that does not lead would never take them."""

    def __init__(self) -> None:
        self._news: Changes | None = None

    def begin(self, tasks: Iterable[str], workers: Iterable[str]) -> None:
        """Somebody places tasks from now on: everything is news to it."""
        self._news = Changes(dict.fromkeys(tasks), set(workers))

    def end(self) -> None:
        """Nobody places tasks any more."""
        self._news = None

    def take(self) -> Changes:
        """What happened since this was called last."""
        news = self._news or Changes()
        if self._news is not None:
            self._news = Changes()
        return news

    def suspect(self, names: Iterable[str]) -> None:
        """Something about these tasks changed."""
        if self._news is not None:
            self._news.suspects.update(dict.fromkeys(names))

    def weighed(self, node_id: str, sign: int) -> None:
        """A worker got a task (1), or has one less (-1)."""
        if self._news is not None:
            (self._news.grown if sign > 0 else self._news.freed).add(node_id)

    def freed(self, node_id: str) -> None:
        """A worker may take more than before."""
        if self._news is not None:
            self._news.freed.add(node_id)

    def left(self) -> None:
        """A worker is gone."""
        if self._news is not None:
            self._news.left = True
