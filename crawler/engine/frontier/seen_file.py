"""The seen set as a file. Its arrays are read as they were written: ten million URLs take about a
second, where adding each of them takes fifteen."""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from pathlib import Path
from typing import BinaryIO

from crawler.engine.frontier.seen import SEGMENT_BITS, LoggedSeen, Seen
from crawler.folders import sync_folders

_MAGIC = b"crawler seen 2\n\0"
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
    with open(part, "wb", buffering=_BLOCK_BYTES, opener=_owners) as file:
        head = _MAGIC + _LENGTHS.pack(*(len(cells) if cells else 0 for cells in segments))
        file.write(head)
        total = zlib.crc32(head)
        free = [0] * _SEGMENTS
        for number, cells in enumerate(segments):
            data = cells.tobytes() if cells else b""
            total = zlib.crc32(data, total)
            file.write(data)
            free[number] = array("Q", data).count(0)
        tail = _LENGTHS.pack(*free)
        file.write(tail + _SUM.pack(zlib.crc32(tail, total)))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync_folders([path.parent])


def read(path: Path) -> LoggedSeen:
    """The set in a file. Raises ValueError if the file is not whole, and OSError."""
    with path.open("rb", buffering=_BLOCK_BYTES) as file:
        head = _whole(file, len(_MAGIC) + _LENGTHS.size)
        if not head.startswith(_MAGIC):
            raise ValueError("it is no seen set")
        total = zlib.crc32(head)
        segments: list[array[int] | None] = []
        for length in _LENGTHS.unpack(head[len(_MAGIC) :]):
            data = _whole(file, 8 * length)
            total = zlib.crc32(data, total)
            segments.append(array("Q", data) if length else None)
        tail = _whole(file, _LENGTHS.size)
        if file.read() != _SUM.pack(zlib.crc32(tail, total)):
            raise ValueError("its checksum is wrong")
    return LoggedSeen.of(segments, _LENGTHS.unpack(tail))


def _owners(path: str, flags: int) -> int:
    """Open a file that only its owner may read: its neighbours hold cookies."""
    return os.open(path, flags, 0o600)


def _whole(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise ValueError("it is cut off")
    return data
