"""What a crawl expects of a sink, and what a sink expects of the writer behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

BATCH_RECORDS = 1000
"""So many rows a database gets together at most."""
BATCH_BYTES = 1_000_000
"""So much of them is collected at most before it is written."""


class Unreachable(OSError):
    """The sink does not answer now; the same batch may be written later."""


class Sink(Protocol):
    """What a crawl sees. Each call may raise OSError, which ends the crawl, and may wait."""

    @property
    def lost(self) -> Counter[str]:
        """Items that were taken, and that the place then refused for good, by reason."""
        ...

    def open(self) -> None:
        """Called once, before the first item."""
        ...

    def write(self, item: Any, url: str = "") -> None:
        """Take an item of the page at that URL. Raises ValueError if it cannot be written at all.

        The sink reads the item at once, so the caller may change it afterwards.
        """
        ...

    def flush(self) -> None:
        """Start to write what was taken. The crawl calls this at most a second after an item."""
        ...

    def close(self) -> None:
        """Write the rest and let go of everything. Called once, however the crawl and `open` ended.

        Whoever calls it may be cut off while it waits: nothing of it may be left undone then.
        """
        ...


class SinkMaker(Protocol):
    """What makes a sink when the spider, and so its settings, are known."""

    def __call__(self, spider: Any) -> Sink:
        """The sink for the items of that spider; raises InvalidArgument when there is none."""
        ...


class Writer(Protocol):
    """What a sink writes to. Only `encode` is called by the crawl; all else in a native thread."""

    batch_records: int
    """So many records are written together at most."""
    batch_bytes: int
    """So much is collected at most before it is written."""

    def encode(self, item: Any, url: str) -> tuple[Any, int]:
        """A record, independent of the item, and its size in bytes, more or less.

        Raises ValueError when the item cannot be written.
        """
        ...

    def open(self) -> None:
        """Be ready to write; OSError when that is impossible."""
        ...

    def write(self, records: Sequence[Any]) -> Counter[str]:
        """Write them so that they survive the end of the process; those refused, by reason.

        All or nothing when it raises: Unreachable when trying again may help, else OSError.
        """
        ...

    def close(self) -> None:
        """Let go of everything; called once after `open`, which may have failed at any point."""
        ...
