"""Where items go: a file of JSON lines, appended to.

What was flushed survives the end of the process, not a loss of power. A process that is killed may
leave half a line; it is cut off when the file is opened again, so every line is an item.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

FLUSH_BYTES = 262_144
"""So much is collected at most before it is written."""
_BLOCK_BYTES = 65_536


class Sink(Protocol):
    """What a crawl asks of the place for its items. Each call may raise OSError, which ends it."""

    def open(self) -> None:
        """Called once, before the first item."""
        ...

    def write(self, item: Any) -> None:
        """Take an item, a mapping or a dataclass; ValueError when it cannot be written at all."""
        ...

    def flush(self) -> None:
        """Write what was taken so far; the crawl calls this at most a second after an item."""
        ...

    def close(self) -> None:
        """Flush and let go; called once after `open`, however the crawl ended."""
        ...


class JsonLinesSink:
    """Appends each item as a line of JSON; values that JSON does not know are written as text."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: BinaryIO | None = None
        self._lines: list[bytes] = []
        self._bytes = 0

    def open(self) -> None:
        """Create the folders, cut off half a line at the end, and open for appending."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab+", buffering=0)
        _cut_torn_line(self._file)

    def write(self, item: Any) -> None:
        """Take an item; it is on disk after the next flush, or when enough has come together."""
        line = to_line(item)
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the lines taken so far."""
        if not self._lines or self._file is None:
            return
        data = memoryview(b"".join(self._lines))
        self._lines.clear()
        self._bytes = 0
        while data:
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Flush and close; repeating it is harmless."""
        if self._file is None:
            return
        try:
            self.flush()
        finally:
            self._file.close()
            self._file = None


def to_line(item: Any) -> bytes:
    """An item as a line of JSON; raises ValueError for one that contains itself."""
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        item = dataclasses.asdict(item)
    try:
        text = _dumps(item)
    except (TypeError, ValueError):
        text = _dumps(_plain(item))
    return text.encode("utf-8", "replace") + b"\n"


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    """The value as JSON knows it: numbers that are none, and unknown objects, as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _shallow(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_shallow(each) for each in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _shallow(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    try:
        return _plain(value)
    except RecursionError:
        raise ValueError("the item contains itself") from None


def _cut_torn_line(file: BinaryIO) -> None:
    end = file.seek(0, os.SEEK_END)
    keep = end
    while keep > 0:
        start = max(0, keep - _BLOCK_BYTES)
        file.seek(start)
        newline = file.read(keep - start).rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
        keep = start
    if keep < end:
        file.truncate(keep)
