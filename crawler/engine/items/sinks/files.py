"""Appends whole records to a file, even if the process is killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

BATCH_BYTES = 262_144
"""The most bytes that are collected for a file before they are written."""
_BLOCK_BYTES = 65_536


class GrowingFile:
    """Appends to a file. `whole` finds the end of the last whole record in it.

    Appended data survives the end of the process, but not a power loss. A killed process may leave
    a partial record at the end. It is removed when the file is opened again.
    """

    def __init__(
        self, path: str | Path, whole: Callable[[BinaryIO], int], fresh: bool = False
    ) -> None:
        """With `fresh`, opening the file removes its content."""
        self.path = Path(path)
        self._fresh = fresh
        self._whole = whole
        self._file: BinaryIO | None = None
        self._end = 0

    def open(self) -> None:
        """Create the folders and open the file. Remove a partial record at its end."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab+", buffering=0)
        if self._fresh:
            self._file.truncate(0)
        self._end = self._whole(self._file)
        if self._end < self._file.seek(0, os.SEEK_END):
            self._file.truncate(self._end)

    @property
    def is_empty(self) -> bool:
        """Whether the file is empty."""
        return self._end == 0

    def append(self, data: bytes) -> None:
        """Append data. If this raises, nothing is appended."""
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
        """Close the file. Calling it again changes nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None


def last_line_end(file: BinaryIO) -> int:
    """The position after the last line break; 0 if there is none."""
    keep = file.seek(0, os.SEEK_END)
    while keep > 0:
        start = max(0, keep - _BLOCK_BYTES)
        file.seek(start)
        newline = file.read(keep - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        keep = start
    return 0
