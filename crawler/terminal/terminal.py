"""A status line at the bottom of a terminal, with log lines above it."""

from __future__ import annotations

import os
from typing import TextIO

_CLEAR = "\r\x1b[K"


class StatusLine:
    """Shows a line in place; logs are written above it. If the stream is no terminal, it shows
    nothing and passes logs on unchanged."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._shown = ""

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._live:
            self._shown = text[: _width(self._stream) - 1]
            self._stream.write(f"{_CLEAR}{self._shown}")
            self._stream.flush()

    def write(self, text: str) -> int:
        """Write log lines above the status line."""
        return self._stream.write(f"{_CLEAR}{text}{self._shown}" if self._shown else text)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._live

    def fileno(self) -> int:
        """The descriptor of the stream."""
        return self._stream.fileno()


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
