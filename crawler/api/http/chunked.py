"""Reads a chunked body (RFC 9112, 7.1), and nothing that only looks like one.

gevent's reader takes a bare line feed within an extension or a trailer. A proxy in front may end
the line there, and then the two do not agree where the next request begins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

MOST_LINE = 1024
"""The longest line that gives a size, with its extensions, in bytes."""

MOST_TRAILERS = 8192
"""The most bytes of trailers, which nobody reads."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\r\n\0]*)?\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n")


class BadChunk(OSError):
    """A body is not chunked as it should be. Nothing after it can be trusted."""


class ChunkedBody:
    """The body of a request, as WSGI's input."""

    def __init__(self, stream: BinaryIO, begin: Callable[[], None]) -> None:
        """`begin` is called before the first read: the client may wait for "100 Continue"."""
        self._stream = stream
        self._begin = begin
        self._left = 0
        self._begun = False
        self._broken = ""
        self.ended = False
        """Whether all of it was read."""

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes; all without a size. Raises BadChunk."""
        if self._broken:
            raise BadChunk(self._broken)
        wanted = size if size is not None and size >= 0 else None
        pieces: list[bytes] = []
        while wanted != 0 and not self.ended and self._next_chunk():
            piece = self._stream.read(self._left if wanted is None else min(self._left, wanted))
            if not piece:
                raise self._bad("the body ends within a chunk")
            pieces.append(piece)
            self._left -= len(piece)
            wanted = None if wanted is None else wanted - len(piece)
            if not self._left and self._stream.read(2) != b"\r\n":
                raise self._bad("a chunk is longer than its size says")
        return b"".join(pieces)

    def readline(self, size: int | None = -1) -> bytes:
        """Return a line, or up to `size` bytes of it."""
        line = bytearray()
        while (size is None or size < 0 or len(line) < size) and not line.endswith(b"\n"):
            byte = self.read(1)
            if not byte:
                break
            line += byte
        return bytes(line)

    def readlines(self, hint: int = -1) -> list[bytes]:
        """Return all lines."""
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _discard(self) -> None:
        """Read and drop the rest, as gevent's handler wants it after an answer. Whoever waits for
        "100 Continue" has the answer, and must not be told so after it."""
        self._begun = True
        while self.read(65_536):
            pass

    def _next_chunk(self) -> bool:
        """Begin the next chunk, if the last one was read. Return whether there is one."""
        if not self._begun:
            self._begun = True
            self._begin()
        if self._left:
            return True
        line = self._stream.readline(MOST_LINE)
        found = _SIZE.fullmatch(line)
        if found is None:
            raise self._bad(f"{line[:40]!r} is no size of a chunk")
        self._left = int(found[1], 16)
        if not self._left:
            self._end()
        return not self.ended

    def _bad(self, why: str) -> BadChunk:
        """Return the error. It is raised again for each further read."""
        self._broken = why
        return BadChunk(why)

    def _end(self) -> None:
        """Read the trailers."""
        size = 0
        while (line := self._stream.readline(MOST_LINE)) != b"\r\n":
            size += len(line)
            if size > MOST_TRAILERS or not _TRAILER.fullmatch(line):
                raise self._bad(f"{line[:40]!r} is no trailer, or one too many")
        self.ended = True
