"""What the writers of files share: they open a file, append their records, and close it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crawler.engine.items.sinks.files import GrowingFile
from crawler.engine.items.sinks.marks import (
    name_of,
)

BATCH_BYTES = 262_144
"""The most bytes that are collected for a file before they are written."""


class FileWriter:
    """What the writers of files share: they open a file, append their records, and close it."""

    batch_records = 10_000
    batch_bytes = BATCH_BYTES

    def __init__(self, file: GrowingFile) -> None:
        self._file = file

    def divert(self, to: Callable[[GrowingFile], GrowingFile]) -> None:
        """Append to what is made of the file, instead of the file. Call it before `open`."""
        self._file = to(self._file)

    def open(self) -> None:
        """Open the file. A partial record at its end is removed."""
        self._file.open()

    def write(self, records: Sequence[Any]) -> Counter[str]:
        """Append the records: their bytes, unless the format says otherwise."""
        self._file.append(b"".join(records))
        return Counter()

    def begin_at(self, marks: Mapping[str, Any]) -> None:
        """Go on at the mark of this file, if it has one."""
        self._file.begin_at(marks)

    def mark(self) -> Mapping[str, Any]:
        """How far the file goes."""
        return {name_of(self._file.path): self._file.sync()}

    def close(self) -> None:
        """Close the file."""
        self._file.close()
