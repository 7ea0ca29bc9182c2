"""Bytes with a checksum, because SQLite does not notice when a disk has changed some of them.

The checksum also depends on where the bytes belong: the name of the value, and the key of its row.
So a value that turns up in another row is not taken for that row's own.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator

from crawler.engine.frontier.store import Waiting

_SUM = struct.Struct("<I")


class BrokenSeal(Exception):
    """Bytes have changed since they were sealed, or are not where they belong."""


def sealed(data: bytes, *place: object) -> bytes:
    """The bytes with their checksum. `place` says where they belong."""
    return _sum(data, place) + data


def opened(blob: object, *place: object) -> bytes:
    """The bytes that were sealed for that place. Raises BrokenSeal."""
    data = blob[_SUM.size :] if isinstance(blob, bytes) else b""
    if not isinstance(blob, bytes) or blob[: _SUM.size] != _sum(data, place):
        raise BrokenSeal("a checksum is wrong")
    return data


def numbers(blob: object, *place: object) -> array[int]:
    """The numbers of an array that was sealed."""
    return array("Q", opened(blob, *place))


def packed(requests: Iterable[Waiting], *place: object) -> bytes:
    """Requests as sealed bytes: about 40 each, because they resemble each other."""
    lines = [b"%d\t%d\t%s\t%s" % (r.id, r.priority, r.site.encode(), r.record) for r in requests]
    return sealed(zlib.compress(b"\n".join(lines), 1), *place)


def unpacked(blob: object, *place: object) -> Iterator[Waiting]:
    """The requests that were packed. Raises BrokenSeal."""
    for line in zlib.decompress(opened(blob, *place)).split(b"\n"):
        id, priority, site, record = line.split(b"\t", 3)
        yield Waiting(int(id), site.decode(), int(priority), record)


def _sum(data: bytes, place: tuple[object, ...]) -> bytes:
    return _SUM.pack(zlib.crc32(data, zlib.crc32(repr(place).encode())))
