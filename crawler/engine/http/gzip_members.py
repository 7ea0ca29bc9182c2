"""Unpacks gzip piece by piece (RFC 1952). A file may have several members, one behind the other."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

MAGIC = b"\x1f\x8b"
MOST_MEMBERS = 10_000
"""More members than an honest file has. Each costs about as much as a piece, however small."""
CUT_OFF = "the packed file ends too early"
NO_GZIP = "the packed file goes on with what is no gzip"
_READ_BYTES = 65_536
_PADDING = re.compile(rb"\0*+")


class Gzip:
    """A packed file. Iterate over it once.

    Yields what is in it, in pieces that are not empty. Raises zlib.error for broken bytes, and
    ValueError for more than `MOST_MEMBERS` members.
    """

    def __init__(self, body: bytes, piece_bytes: int) -> None:
        self.trouble = ""
        """Why reading ended before the end of the file: `CUT_OFF` or `NO_GZIP`. Empty if it did
        not."""
        self._body = body
        self._view = memoryview(body)
        self._at = 0
        self._piece_bytes = piece_bytes

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(MOST_MEMBERS):
            yield from self._member()
            self._at = self._after_padding()
            if self.trouble or self._at == len(self._body):
                return
            if not self._body.startswith(MAGIC, self._at):
                self.trouble = NO_GZIP
                return
        raise ValueError(f"more than {MOST_MEMBERS} members of gzip; allowed: up to that many")

    def _member(self) -> Iterator[bytes]:
        expander = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        while not expander.eof:
            packed = self._view[self._at : self._at + _READ_BYTES]  # no copy of all the rest
            piece = expander.decompress(packed, self._piece_bytes)
            left = expander.unused_data if expander.eof else expander.unconsumed_tail
            self._at += len(packed) - len(left)
            if piece:
                yield piece
            elif not packed and not expander.eof:
                self.trouble = CUT_OFF
                return

    def _after_padding(self) -> int:
        found = _PADDING.match(self._body, self._at)
        return found.end() if found else self._at
