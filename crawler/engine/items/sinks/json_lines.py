"""Writes items as JSON lines, to a file or to standard output."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crawler.engine.items.item import to_json, written_fields
from crawler.engine.items.sinks.batched import BatchedSink
from crawler.engine.items.sinks.file_writer import BATCH_BYTES, FileWriter
from crawler.engine.items.sinks.files import GrowingFile, last_line_end
from crawler.engine.items.sinks.sink import Unmarked


class _Lines:
    batch_records = 10_000
    batch_bytes = BATCH_BYTES

    def encode(self, item: Any, url: str) -> tuple[bytes, int]:
        """The line of an item."""
        line = to_line(item)
        return line, len(line)


class JsonLines(_Lines, FileWriter):
    """Appends each item as a line of JSON. Values that JSON cannot represent become texts."""

    def __init__(self, path: str | Path, fresh: bool = False, *, gz: bool = False) -> None:
        super().__init__(GrowingFile(path, last_line_end, fresh, gz=gz))


class StandardOutput(_Lines, Unmarked):
    """Writes each item as a line of JSON to the standard output of the process."""

    def open(self) -> None:
        """Do nothing: standard output is open."""

    def write(self, records: Sequence[bytes]) -> Counter[str]:
        """Write the lines and flush them."""
        sys.stdout.buffer.write(b"".join(records))
        sys.stdout.buffer.flush()
        return Counter()

    def close(self) -> None:
        """Do nothing: others may still write to standard output."""


class JsonLinesSink(BatchedSink):
    """A sink that writes a file of JSON lines with its own thread."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(JsonLines(path))


def to_line(item: Any) -> bytes:
    """An item as a line of JSON. Raises ValueError if it contains itself."""
    return to_json(written_fields(item)).encode("utf-8", "replace") + b"\n"
