"""Writes items as one JSON array, which is closed after each batch."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from crawler.engine.items.sinks.file_writer import FileWriter
from crawler.engine.items.sinks.files import GrowingFile, last_line_end, trimmed_end
from crawler.engine.items.sinks.json_lines import to_line

HEAD, TAIL = b"[\n", b"\n]\n"


class JsonArray(FileWriter):
    """Appends each item as an element of an array, on a line of its own."""

    def __init__(self, path: str | Path, fresh: bool = False, *, gz: bool = False) -> None:
        super().__init__(GrowingFile(path, last_element_end, fresh, head=HEAD, tail=TAIL, gz=gz))

    def encode(self, item: Any, url: str) -> tuple[bytes, int]:
        """The element for an item."""
        element = to_line(item).rstrip()
        return element, len(element)

    def write(self, records: Sequence[bytes]) -> Counter[str]:
        """Append the elements, and close the array."""
        comma = b"" if self._file.is_empty else b",\n"
        self._file.append(comma + b",\n".join(records))
        return Counter()


def last_element_end(file: BinaryIO) -> int:
    """The position after the last whole element of an array. 0 in an empty file.

    Raises ValueError if the file holds something else.
    """
    size = trimmed_end(file, file.seek(0, os.SEEK_END))
    if not size:
        return 0
    if _byte(file, 0) != b"[":
        raise ValueError("it is no JSON array")
    if _byte(file, size - 1) == b"]":
        return _after_element(file, size - 1)
    return _after_element(file, last_line_end(file))  # it was cut off


def _after_element(file: BinaryIO, end: int) -> int:
    """The position after the element that ends there, without the comma that may follow it."""
    end = trimmed_end(file, end)
    if end > 1 and _byte(file, end - 1) == b",":
        end = trimmed_end(file, end - 1)
    if end <= 1:
        return 0  # nothing but a bracket: the head is written again
    if _byte(file, end - 1) != b"}":
        raise ValueError("it is no JSON array of items")
    return end


def _byte(file: BinaryIO, position: int) -> bytes:
    file.seek(position)
    return file.read(1)
