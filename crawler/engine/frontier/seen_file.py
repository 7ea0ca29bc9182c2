"""The seen set as a file. Its arrays are read as they were written: ten million URLs take about a
second, where adding each of them takes fifteen."""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from crawler.engine.frontier.seen import SEGMENT_BITS, LoggedSeen, Seen
from crawler.folders import sync_folders

_MAGIC = b"crawler seen 2\n\0"
_SEGMENTS = 1 << SEGMENT_BITS
_LENGTHS = struct.Struct(f"<{_SEGMENTS}I")
_SUM = struct.Struct("<I")
_NONE = array("Q")
_AT_ONCE = 256
"""So many arrays are read or written at once: 4 MB at ten million URLs. Whenever a thread waits for
the disk or computes a checksum, a busy hub takes the interpreter, and keeps it for a while. With
single arrays, the file takes so long that millions of URLs come after it."""


def write(seen: Seen, path: Path) -> None:
    """Write a set to a file, which appears when it is complete and on the disk.

    A native thread may call this while the set grows. What is added meanwhile may be missing.
    """
    segments = list(seen.segments)
    part = path.with_suffix(".part")
    with open(part, "wb", opener=_owners) as file:
        head = _MAGIC + _LENGTHS.pack(*(len(cells) if cells else 0 for cells in segments))
        file.write(head)
        total = zlib.crc32(head)
        free: list[int] = []
        for first in range(0, _SEGMENTS, _AT_ONCE):
            copies = [cells[:] if cells else _NONE for cells in segments[first : first + _AT_ONCE]]
            free += [cells.count(0) for cells in copies]
            data = b"".join(copies)
            total = zlib.crc32(data, total)
            file.write(data)
        tail = _LENGTHS.pack(*free)
        file.write(tail + _SUM.pack(zlib.crc32(tail, total)))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync_folders([path.parent])


def read(path: Path) -> LoggedSeen:
    """The set in a file. Raises ValueError if the file is not whole, and OSError."""
    with path.open("rb") as file:
        head = _whole(file, len(_MAGIC) + _LENGTHS.size)
        if not head.startswith(_MAGIC):
            raise ValueError("it is no seen set")
        total = zlib.crc32(head)
        segments: list[array[int] | None] = []
        lengths = _LENGTHS.unpack(head[len(_MAGIC) :])
        for first in range(0, _SEGMENTS, _AT_ONCE):
            part = lengths[first : first + _AT_ONCE]
            data = _whole(file, 8 * sum(part))
            total = zlib.crc32(data, total)
            segments += _divided(data, part)
        tail = _whole(file, _LENGTHS.size)
        if file.read() != _SUM.pack(zlib.crc32(tail, total)):
            raise ValueError("its checksum is wrong")
    return LoggedSeen.of(segments, _LENGTHS.unpack(tail))


def _divided(data: bytes, lengths: Sequence[int]) -> Iterator[array[int] | None]:
    """The arrays of these lengths that follow each other."""
    cells, start = array("Q", data), 0
    for length in lengths:
        yield cells[start : start + length] if length else None
        start += length


def _owners(path: str, flags: int) -> int:
    """Open a file that only its owner may read: its neighbours hold cookies."""
    return os.open(path, flags, 0o600)


def _whole(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise ValueError("it is cut off")
    return data
