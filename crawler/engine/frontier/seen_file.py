"""The seen set as a file. Its arrays are read as they were written: ten million URLs take about a
second, where adding each of them takes fifteen."""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from crawler.engine.frontier.seen import SEGMENT_BITS, LoggedSeen, Seen

_MAGIC = b"crawler seen 1\n\0"
_SEGMENTS = 1 << SEGMENT_BITS
_LENGTHS = struct.Struct(f"<{_SEGMENTS}I")
_SUM = struct.Struct("<I")
_BLOCK_BYTES = 1 << 20


def write(seen: Seen, path: Path) -> None:
    """Write a set to a file, which appears when it is complete and on the disk.

    A native thread may call this while the set grows. What is added meanwhile may be missing.
    """
    segments = list(seen.segments)
    part = path.with_suffix(".part")
    with part.open("wb", buffering=_BLOCK_BYTES) as file:
        head = _MAGIC + _LENGTHS.pack(*(len(cells) if cells else 0 for cells in segments))
        file.write(head)
        total = zlib.crc32(head)
        for cells in filter(None, segments):
            data = cells.tobytes()
            total = zlib.crc32(data, total)
            file.write(data)
        file.write(_SUM.pack(total))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    _sync_folder(path.parent)


def read(path: Path) -> LoggedSeen:
    """The set in a file. Raises ValueError if the file is not whole, and OSError."""
    with path.open("rb", buffering=_BLOCK_BYTES) as file:
        return LoggedSeen.of(_segments(file))


def _segments(file: BinaryIO) -> Iterator[array[int] | None]:
    head = file.read(len(_MAGIC) + _LENGTHS.size)
    if len(head) < len(_MAGIC) + _LENGTHS.size or not head.startswith(_MAGIC):
        raise ValueError("it is no seen set")
    total = zlib.crc32(head)
    for length in _LENGTHS.unpack(head[len(_MAGIC) :]):
        data = file.read(8 * length)
        if len(data) < 8 * length:
            raise ValueError("it is cut off")
        total = zlib.crc32(data, total)
        yield array("Q", data) if length else None
    if file.read() != _SUM.pack(total):
        raise ValueError("its checksum is wrong")


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file survive a loss of power."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
