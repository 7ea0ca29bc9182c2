"""Files in gzip, made of members: each can be unpacked by itself (RFC 1952, section 2.2)."""

from __future__ import annotations

import gzip
import zlib
from typing import BinaryIO

_BLOCK_BYTES = 16_384
_GZIP = 31
"""What zlib calls its largest window, with the head of gzip."""


def packed(data: bytes) -> bytes:
    """Data as one member. Equal data gives equal members."""
    return gzip.compress(data, mtime=0)


def member_end(file: BinaryIO, head: bytes, tail: bytes) -> int:
    """The position after the last whole member, or before it if it holds `tail`. 0 without any.

    Raises ValueError if the file is no gzip file, or does not begin with a member that holds
    `head`.
    """
    file.seek(0)
    first = file.read(2)
    if not b"\x1f\x8b".startswith(first):
        raise ValueError("it is no gzip file")
    end, most = 0, max(len(head), len(tail)) + 1
    for start, after, begins in _members(file, most):
        if start == 0 and head and begins != head:
            raise ValueError("it was not written by this program")
        if tail and begins == tail:
            return start
        end = after
    return end


def _members(file: BinaryIO, most: int) -> list[tuple[int, int, bytes]]:
    """The begin, the end and the first `most` bytes of the content of each whole member."""
    found: list[tuple[int, int, bytes]] = []
    file.seek(0)
    member, start, read, begins, rest = zlib.decompressobj(_GZIP), 0, 0, b"", b""
    while True:
        if not rest:
            rest = file.read(_BLOCK_BYTES)
            read += len(rest)
        if not rest:
            return found
        try:
            begins = (begins + member.decompress(rest))[:most]
        except zlib.error:
            return found
        rest = member.unused_data
        if member.eof:
            found.append((start, read - len(rest), begins))
            member, start, begins = zlib.decompressobj(_GZIP), read - len(rest), b""
