"""Bytes with a checksum, because SQLite does not notice when a disk has changed some of them.

The checksum also depends on where the bytes belong: the name of the value, and the key of its row.
So a value that turns up in another row is not taken for that row's own.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence

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


def packed(requests: Sequence[Waiting], *place: object) -> bytes:
    """Requests as sealed bytes: about 40 each, because they resemble each other."""
    ids, sites, priorities, records, _ = zip(*requests, strict=True)
    numbers = (" ".join(map(str, each)) for each in (ids, priorities))
    head = "\n".join((*numbers, "\t".join(sites))).encode()
    return sealed(zlib.compress(b"\n".join((head, *records)), 1), *place)


def unpacked(blob: object, *place: object) -> Iterator[Waiting]:
    """The requests that were packed. Raises BrokenSeal."""
    ids, priorities, sites, *records = zlib.decompress(opened(blob, *place)).split(b"\n")
    numbers = (map(int, each.split()) for each in (ids, priorities))
    names = sites.decode().split("\t")
    for id, priority, site, record in zip(*numbers, names, records, strict=True):
        yield Waiting(id, site, priority, record)


def _sum(data: bytes, place: tuple[object, ...]) -> bytes:
    return _SUM.pack(zlib.crc32(data, zlib.crc32(repr(place).encode())))
