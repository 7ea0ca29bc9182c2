"""Lines at the bottom of a terminal that are drawn again in place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO

from crawler.terminal.tables import display_width


class Screen:
    """Shows lines in place of those before. Lines that do not fit are counted."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = 0

    def show(self, lines: Sequence[str]) -> None:
        """Replace the lines."""
        size = _size(self._stream)
        fitting = [_cut(line, size.columns - 1) for line in _fitting(lines, size.lines - 1)]
        up = f"\x1b[{self._drawn}F" if self._drawn else ""
        drawn = "".join(f"{line}\x1b[K\n" for line in fitting)
        self._stream.write(f"{up}{drawn}\x1b[J")
        self._stream.flush()
        self._drawn = len(fitting)


def _fitting(lines: Sequence[str], most: int) -> Sequence[str]:
    if len(lines) <= most:
        return lines
    shown = max(most - 1, 1)
    return [*lines[:shown], f"and {len(lines) - shown:,} more lines"][: max(most, 1)]


def _cut(line: str, width: int) -> str:
    """Return as much of a line as a terminal of that width has room for."""
    while display_width(line) > width:
        line = line[:-1]
    return line


def _size(stream: TextIO) -> os.terminal_size:
    try:
        found = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        found = os.terminal_size((0, 0))
    return os.terminal_size((found.columns or 80, found.lines or 24))
