"""The log of a task: its pieces, one for each run that a worker began, and where one reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MOST_BYTES = 262_144
"""How many bytes of a piece are read at once, and the longest line of a log."""


@dataclass(frozen=True, slots=True, order=True)
class PieceKey:
    """Which piece of a task's log: that of one assignment of the task, or of a shard of it."""

    epoch: int
    shard: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece, as a worker has it."""

    key: PieceKey
    id: str
    """The id of the task. A later task of the same name has another one."""
    run: int
    """Which run of the task it was part of; 1 is the first."""
    begin: int = 0
    """The byte with which it begins. What was before is dropped: a log is bounded."""
    end: int = 0
    """The byte behind its last one."""
    is_open: bool = False
    """Whether its run goes on."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Whole lines of a piece."""

    data: bytes
    begin: int
    """The byte with which they begin. It is higher than the one asked for if what was between is
    dropped."""
    is_open: bool
    """Whether the run went on when they were read."""

    @property
    def end(self) -> int:
        """The byte behind them."""
        return self.begin + len(self.data)


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which part of a task's log somebody wants."""

    name: str
    run: int = 0
    """Which run of the task; 0 is the last one."""
    positions: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """By shard: the epoch and the byte with which to begin. What was before is left out."""
    follow: bool = False
    """Whether to wait for what comes, until the run ends."""


@dataclass(frozen=True, slots=True)
class LogPart:
    """Lines of one piece, or a note about what is not there."""

    key: PieceKey = field(default_factory=lambda: PieceKey(0))
    run: int = 0
    node: str = ""
    """The id of the worker that has the piece."""
    begin: int = 0
    """The byte with which the lines begin."""
    data: bytes = b""
    """Whole lines, each a JSON object."""
    note: str = ""
    """What people should know: which piece is missing, and why. Then there are no lines."""
