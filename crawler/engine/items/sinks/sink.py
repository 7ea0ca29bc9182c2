"""The interfaces of sinks: for crawls, and for the writers behind a sink."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

BATCH_RECORDS = 1000
"""The most rows of one batch for a database."""
BATCH_BYTES = 1_000_000
"""The most bytes of one batch for a database."""


class Unreachable(OSError):
    """The database does not answer now. The same batch may be written later."""


class Sink(Protocol):
    """A sink as a crawl uses it. Each call may wait, or end the crawl by an OSError."""

    @property
    def lost(self) -> Counter[str]:
        """The items that were taken, but finally refused by the database, by reason."""
        ...

    def open(self) -> None:
        """Open the sink. Called once, before the first item."""
        ...

    def write(self, item: Any, url: str = "") -> None:
        """Take an item from the page with that URL. Raises ValueError if it cannot be written.

        The item is read at once, so it may be changed afterwards.
        """
        ...

    def flush(self) -> None:
        """Start to write the items taken so far. Called at most a second after an item."""
        ...

    def begin_at(self, marks: Mapping[str, Any]) -> None:
        """Go on after these marks, which `mark` gave an earlier run. Called before `open`.

        What a file has beyond its mark is cut off when it is opened, and kept beside it; see
        marks.py for marks that cut nothing off. No file that has a mark begins anew. If others
        have marks, a file with something in it is refused if it shall begin anew.
        """
        ...

    def mark(self) -> Callable[[], Mapping[str, Any]]:
        """Start to write the items taken so far. Return a function that waits until they are on the
        disk, and then returns how far each file goes, in JSON. A database has no mark: each
        transaction is on the disk.
        """
        ...

    def close(self) -> None:
        """Write the rest and release everything. Called once, however the crawl and `open` ended.

        If the caller is killed while it waits, the sink must still do all of this.
        """
        ...


class SinkMaker(Protocol):
    """Makes a sink when the spider and its settings are known."""

    def __call__(self, spider: Any) -> Sink:
        """Make the sink for the items of a spider. Raises InvalidArgument if there is none."""
        ...


class Writer(Protocol):
    """What a sink writes to. The crawl calls `encode`; a native thread calls everything else."""

    batch_records: int
    """The most records of one batch."""
    batch_bytes: int
    """The most bytes of one batch."""

    def encode(self, item: Any, url: str) -> tuple[Any, int]:
        """A record that does not depend on the item, and its approximate size in bytes.

        Raises ValueError if the item cannot be written.
        """
        ...

    def open(self) -> None:
        """Get ready to write. Raises OSError if that fails."""
        ...

    def write(self, records: Sequence[Any]) -> Counter[str]:
        """Write records so that they survive the end of the process. Returns those refused, by
        reason.

        If it raises, nothing is written: Unreachable if another attempt may help, else OSError.
        """
        ...

    def begin_at(self, marks: Mapping[str, Any]) -> None:
        """Cut off what lies beyond one's own mark, when `open` is called."""
        ...

    def mark(self) -> Mapping[str, Any]:
        """Make what is written survive a loss of power. Returns one's mark under one's name, or
        nothing."""
        ...

    def close(self) -> None:
        """Release everything. Called once after `open`, which may have failed at any point."""
        ...


class Unmarked:
    """A writer that cannot be cut off at a mark: rows replace each other, or lines are gone."""

    def begin_at(self, marks: Mapping[str, Any]) -> None:
        """Do nothing."""

    def mark(self) -> Mapping[str, Any]:
        """No mark."""
        return {}
