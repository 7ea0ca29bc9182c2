"""Bytes with a checksum, because SQLite does not notice when a disk has changed some of them."""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator

from crawler.engine.frontier.store import Waiting

_SUM = struct.Struct("<I")


class BrokenSeal(Exception):
    """Bytes have changed since they were sealed."""


def sealed(data: bytes) -> bytes:
    """The bytes with their checksum."""
    return _SUM.pack(zlib.crc32(data)) + data


def opened(blob: bytes) -> bytes:
    """The bytes that were sealed. Raises BrokenSeal."""
    data = blob[_SUM.size :]
    if blob[: _SUM.size] != _SUM.pack(zlib.crc32(data)):
        raise BrokenSeal("a checksum is wrong")
    return data


def numbers(blob: bytes) -> array[int]:
    """The numbers of an array that was sealed."""
    return array("Q", opened(blob))


def packed(requests: Iterable[Waiting]) -> bytes:
    """Requests as sealed bytes: about 40 each, because they resemble each other."""
    lines = (b"%d\t%d\t%s\t%s" % (r.id, r.priority, r.site.encode(), r.record) for r in requests)
    return sealed(zlib.compress(b"\n".join(lines), 1))


def unpacked(blob: bytes) -> Iterator[Waiting]:
    """The requests that were packed. Raises BrokenSeal."""
    for line in zlib.decompress(opened(blob)).split(b"\n"):
        id, priority, site, record = line.split(b"\t", 3)
        yield Waiting(int(id), site.decode(), int(priority), record)
