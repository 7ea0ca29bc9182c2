"""A file that only grows by whole records, whatever becomes of the process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

BATCH_BYTES = 262_144
"""So much is collected for a file at most before it is written."""
_BLOCK_BYTES = 65_536


class GrowingFile:
    """Opened for appending; `whole` finds the end of the last whole record in what is there.

    What was appended survives the end of the process, not a loss of power. A process that is
    killed may leave a part of a record at the end; it is cut off when the file is opened again.
    """

    def __init__(
        self, path: str | Path, whole: Callable[[BinaryIO], int], fresh: bool = False
    ) -> None:
        """`fresh`: what is in the file is dropped when it is opened."""
        self.path = Path(path)
        self._fresh = fresh
        self._whole = whole
        self._file: BinaryIO | None = None
        self._end = 0

    def open(self) -> None:
        """Create the folders, cut off what is no whole record, and open for appending."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab+", buffering=0)
        if self._fresh:
            self._file.truncate(0)
        self._end = self._whole(self._file)
        if self._end < self._file.seek(0, os.SEEK_END):
            self._file.truncate(self._end)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it yet."""
        return self._end == 0

    def append(self, data: bytes) -> None:
        """Write all of it, or nothing when that raises."""
        assert self._file is not None
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(self._end)
            raise
        self._end += len(data)

    def close(self) -> None:
        """Close; repeating it is harmless."""
        if self._file is not None:
            self._file.close()
            self._file = None


def last_line_end(file: BinaryIO) -> int:
    """Where the last line ends that has its line break; 0 when none has."""
    keep = file.seek(0, os.SEEK_END)
    while keep > 0:
        start = max(0, keep - _BLOCK_BYTES)
        file.seek(start)
        newline = file.read(keep - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        keep = start
    return 0
