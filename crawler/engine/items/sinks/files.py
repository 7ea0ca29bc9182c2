"""Appends whole records to a file, even if the process is killed."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from crawler.engine.items.sinks.faults import naming
from crawler.engine.items.sinks.marks import (
    SHARED,
    Mark,
    kept_beside,
    name_of,
    parsed,
    refuse_to_empty,
    tell_cut,
    tell_short,
)
from crawler.engine.items.sinks.packed import member_end, packed
from crawler.folders import make_folder, sync_folders
from crawler.logs import get_logger

log = get_logger(__name__)

_BLOCK_BYTES = 65_536


class GrowingFile:
    """Appends to a file. `whole` finds the end of the last whole record in it.

    A file may have a `head` before the first record, and a `tail` after the last one. The tail is
    written again with each append, so the file is complete after each of them. In a `gz` file each
    part is a gzip member of its own.

    Appended data survives the end of the process, but not a power loss. A killed process may leave
    a partial record at the end. It is moved to a file beside it when the file is opened again.

    Others may append to a file without a tail. What they wrote is never cut off.
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
        self._mark: Mark = None
        self._marks: Mapping[str, Any] = {}
        self._is_shared = self._is_told = False
        self._unsynced: list[Path] = []
        """The folders whose files may be gone after a loss of power."""

    def begin_at(self, marks: Mapping[str, Any]) -> None:
        """Go on at one's own mark, which `sync` returned: opening the file cuts off what lies
        beyond, unless the mark says that all stays. A file without a mark stays, too, even if
        `fresh`."""
        self._marks = marks
        if (name := name_of(self.path)) in marks:
            self._mark, self._fresh = marks[name], False

    def open(self) -> None:
        """Create the folders and open the file. Remove a partial record at its end.

        Raises OSError if something else than these records is in the file.
        """
        with naming(self.path):
            self._open()

    def _open(self) -> None:
        self._unsynced = make_folder(self.path.parent)
        self._file = self._opened()
        if self._fresh:
            if self._marks and self._size():
                refuse_to_empty(self.path, self._marks)
            self._file.truncate(0)
        self._go_on()
        try:
            self._end = self._whole(self._file)
        except ValueError as error:
            raise OSError(f"{self.path}: {error}; {self._advice()}") from None
        self._keep_rest()
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
        self._look_for_others(self._size())
        try:
            with naming(self.path):
                self._put(data + self._tail)
        except OSError:
            with contextlib.suppress(OSError):
                self._finish()
            raise
        self._end += len(data)
        self._look_for_others(self._position())

    def sync(self) -> int | str:
        """Make the file survive a loss of power. Returns the position after its last record, or
        SHARED."""
        assert self._file is not None
        with naming(self.path):
            os.fdatasync(self._file.fileno())
        sync_folders(self._unsynced)
        self._unsynced = []
        self._look_for_others(self._size())
        if self._is_shared:
            self._tell_shared()
        return SHARED if self._is_shared else self._end

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

    def _advice(self) -> str:
        if not self._marks:
            return "-O starts it anew"
        return (
            "move it away, and the crawl goes on with a new file; or begin the crawl anew with"
            " --anew and -O"
        )

    def _go_on(self) -> None:
        """Cut off what lies beyond the mark, if the mark says so."""
        end, all_stays = parsed(self._mark)
        if end == SHARED and not all_stays:
            self._is_shared = True
            self._tell_shared()
        if end is None or end == SHARED:
            return
        size = self._size()
        if size < end:
            tell_short(self.path, missing_bytes=end - size)
        elif size > end and not all_stays:
            self._end = end
            self._keep_rest()
            self._finish()

    def _keep_rest(self) -> None:
        """Copy what lies beyond the last whole record to a file beside this one."""
        assert self._file is not None
        size = self._size() - self._end
        self._file.seek(self._end)
        if size <= 0 or (size <= _BLOCK_BYTES and self._is_frame(self._file.read(size))):
            return
        kept = kept_beside(self.path)
        self._file.seek(self._end)
        with kept.open("xb") as copy:
            shutil.copyfileobj(self._file, copy)
            copy.flush()
            os.fsync(copy.fileno())
        sync_folders([kept.parent])
        tell_cut(self.path, size, kept)

    def _is_frame(self, data: bytes) -> bool:
        """Whether data is nothing but a head and a tail, or their beginning."""
        frames = (self._tail, self._head + self._tail)
        return any(_dense(frame).startswith(_dense(data)) for frame in frames)

    def _tell_shared(self) -> None:
        if self._is_told:
            return
        self._is_told = True
        log.warning(
            "another program writes to a file of items too; when the crawl is cut off, nothing is"
            " removed from the file, so some items come twice",
            file=str(self.path),
        )

    def _look_for_others(self, end: int) -> None:
        """Go on at the true end of the file, where others may have appended."""
        if not self._tail and end != self._end:
            self._end, self._is_shared = end, True

    def _size(self) -> int:
        assert self._file is not None
        return self._file.seek(0, os.SEEK_END)

    def _position(self) -> int:
        assert self._file is not None
        return self._file.tell()

    def _opened(self) -> BinaryIO:
        """The file, created if it is not there. Without a tail, others may append to it too."""
        if not self._tail:
            return self.path.open("ab+", buffering=0)
        return open(self.path, "r+b", buffering=0, opener=_creating)

    def _finish(self) -> None:
        """Leave nothing after the last whole record but the tail."""
        assert self._file is not None
        if self._end < self._size():
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


def _dense(data: bytes) -> bytes:
    """Data without white space."""
    return b"".join(data.split())


def _creating(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o666)
