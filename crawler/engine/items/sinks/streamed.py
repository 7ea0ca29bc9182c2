"""Writes to a stream what others append to a file."""

from __future__ import annotations

from typing import BinaryIO

from crawler.engine.items.sinks.files import GrowingFile


class StreamedFile(GrowingFile):
    """A file that is only passed on, such as standard output. Its tail comes once, at the end."""

    def __init__(self, file: GrowingFile, stream: BinaryIO) -> None:
        """With the head, the tail and the packing of `file`, which is not opened."""
        self._head, self._tail, self._gz = file._head, file._tail, file._gz
        self._end = 0
        self._stream: BinaryIO | None = stream

    def open(self) -> None:
        """Write the head."""
        self._put(self._head)

    def append(self, data: bytes) -> None:
        """Write data, and flush it."""
        self._put(self._packed(data))

    def close(self) -> None:
        """Write the tail, unless the stream has failed. It stays open: others may write to it."""
        if self._stream is not None:
            self._put(self._tail)
            self._stream = None

    def _put(self, data: bytes) -> None:
        assert self._stream is not None
        stream, self._stream = self._stream, None
        stream.write(data)
        stream.flush()
        self._stream = stream
        self._end += len(data)
