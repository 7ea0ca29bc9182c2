"""Appends whole records to a file, even if the process is killed."""

from __future__ import annotations

import contextlib
import gzip
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from crawler.engine.items.sinks.packed import member_end, packed
from crawler.logs import get_logger

log = get_logger(__name__)

BATCH_BYTES = 262_144
"""The most bytes that are collected for a file before they are written."""
_BLOCK_BYTES = 65_536


class GrowingFile:
    """Appends to a file. `whole` finds the end of the last whole record in it.

    A file may have a `head` before the first record, and a `tail` after the last one. The tail is
    written again with each append, so the file is complete after each of them. In a `gz` file each
    part is a gzip member of its own.

    Appended data survives the end of the process, but not a power loss. A killed process may leave
    a partial record at the end. It is removed when the file is opened again.
    """

    def __init__(
        self,
        path: str | Path,
        whole: Callable[[BinaryIO], int],
        fresh: bool = False,
        *,
        head: bytes = b"",
        tail: bytes = b"",
        gz: bool = False,
    ) -> None:
        """With `fresh`, opening the file removes its content."""
        self.path = Path(path)
        self._fresh = fresh
        self._gz = gz
        self._whole = (lambda file: member_end(file, head, tail)) if gz else whole
        self._head = packed(head) if gz else head  # no bytes at all are no gzip file
        self._tail = self._packed(tail)
        self._file: BinaryIO | None = None
        self._end = 0
        self._cut: int | None = None

    def begin_at(self, end: int | None) -> None:
        """Go on at the end that `sync` returned: opening the file removes what lies beyond. With
        None everything stays."""
        self._cut, self._fresh = end, False

    def open(self) -> None:
        """Create the folders and open the file. Remove a partial record at its end.

        Raises OSError if something else than these records is in the file.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._opened()
        if self._fresh:
            self._file.truncate(0)
        if self._cut is not None:
            self._shorten(self._cut)
        try:
            self._end = self._whole(self._file)
        except ValueError as error:
            raise OSError(f"{self.path}: {error}; -O starts it anew") from None
        if not self._end and self._head:
            self._file.truncate(0)
            self._put(self._head)
            self._end = len(self._head)
        self._finish()

    @property
    def is_empty(self) -> bool:
        """Whether the file has no record."""
        return self._end <= len(self._head)

    def append(self, data: bytes) -> None:
        """Append data. If this raises, nothing is appended."""
        data = self._packed(data)
        try:
            self._put(data + self._tail)
        except OSError:
            with contextlib.suppress(OSError):
                self._finish()
            raise
        self._end += len(data)

    def sync(self) -> int:
        """Make the file survive a loss of power. Returns the position after its last record."""
        assert self._file is not None
        os.fdatasync(self._file.fileno())
        return self._end

    def close(self) -> None:
        """Close the file. Calling it again changes nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def reading(self) -> TextIO:
        """The file, opened as text. The caller closes it."""
        if self._gz:
            return gzip.open(self.path, "rt", encoding="utf-8", newline="")
        return self.path.open(encoding="utf-8", newline="")

    def _shorten(self, end: int) -> None:
        """Remove what lies beyond a record's end."""
        assert self._file is not None
        size = self._file.seek(0, os.SEEK_END)
        if size < end:
            log.warning(
                "a file of items is shorter than the crawl left it; what is missing is not fetched"
                " again",
                file=str(self.path),
                missing_bytes=end - size,
            )
        elif size > end:
            self._end = end
            self._finish()

    def _opened(self) -> BinaryIO:
        """The file, created if it is not there. Without a tail, others may append to it too."""
        if not self._tail:
            return self.path.open("ab+", buffering=0)
        return open(self.path, "r+b", buffering=0, opener=_creating)

    def _finish(self) -> None:
        """Leave nothing after the last whole record but the tail."""
        assert self._file is not None
        if self._end < self._file.seek(0, os.SEEK_END):
            self._file.truncate(self._end)
        self._put(self._tail)

    def _put(self, data: bytes) -> None:
        """Write after the last whole record."""
        assert self._file is not None
        self._file.seek(self._end)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _packed(self, data: bytes) -> bytes:
        return packed(data) if self._gz and data else data


class FileWriter:
    """What the writers of files share: they open a file, append their records, and close it."""

    batch_records = 10_000
    batch_bytes = BATCH_BYTES

    def __init__(self, file: GrowingFile) -> None:
        self._file = file

    def open(self) -> None:
        """Open the file. A partial record at its end is removed."""
        self._file.open()

    def write(self, records: Sequence[Any]) -> Counter[str]:
        """Append the records: their bytes, unless the format says otherwise."""
        self._file.append(b"".join(records))
        return Counter()

    def begin_at(self, marks: Mapping[str, Any]) -> None:
        """Go on at the mark of this file, if it has one."""
        name = _name(self._file.path)
        if name in marks:
            self._file.begin_at(marks[name])

    def mark(self) -> Mapping[str, Any]:
        """How far the file goes."""
        return {_name(self._file.path): self._file.sync()}

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _name(path: Path) -> str:
    """The name of a file, from wherever the crawl is started."""
    return str(path.absolute())


def last_line_end(file: BinaryIO) -> int:
    """The position after the last line break; 0 if there is none."""
    return last_end(file, b"\n")


def last_end(file: BinaryIO, mark: bytes) -> int:
    """The position after the last occurrence of a mark; 0 if there is none."""
    keep = file.seek(0, os.SEEK_END)
    overlap = len(mark) - 1
    while keep > 0:
        start = max(0, keep - _BLOCK_BYTES)
        file.seek(start)
        found = file.read(keep - start + overlap).rfind(mark)
        if found >= 0:
            return start + found + len(mark)
        keep = start
    return 0


def trimmed_end(file: BinaryIO, end: int) -> int:
    """The position before the white space that stands before a position."""
    start = max(0, end - _BLOCK_BYTES)
    file.seek(start)
    return start + len(file.read(end - start).rstrip())


def _creating(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o666)
