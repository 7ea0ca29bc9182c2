"""Writes items as rows of a CSV file with one header."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from crawler.engine.items.item import declared_names
from crawler.engine.items.sinks.file_writer import FileWriter
from crawler.engine.items.sinks.files import GrowingFile
from crawler.engine.items.sinks.kinds import record_of
from crawler.logs import get_logger

log = get_logger(__name__)

_BLOCK_BYTES = 1_048_576


class CsvRows(FileWriter):
    """Appends each item as a row.

    The columns are those of the existing file. In a new file they are the fields that the class of
    the first item declares, or else all fields of the first batch. Later fields are dropped, with a
    warning that names them.
    """

    batch_records = 2000

    def __init__(self, path: str | Path, fresh: bool = False, *, gz: bool = False) -> None:
        super().__init__(GrowingFile(path, last_row_end, fresh, gz=gz))
        self._declared: list[str] | None = None
        """The fields that the class of the first item declares; None before that item."""
        self._columns: list[str] = []
        self._known: set[str] = set()

    def encode(self, item: Any, url: str) -> tuple[dict[str, Any], int]:
        """The values of an item."""
        record = record_of(item)  # what cannot be written decides nothing
        if self._declared is None:
            self._declared = list(declared_names(item))
        return record

    def open(self) -> None:
        """Open the file and read its header. A partial row at the end is removed."""
        self._file.open()
        if not self._file.is_empty:
            with self._file.reading() as file:
                self._fix(next(csv.reader(file)))

    def write(self, records: Sequence[Any]) -> Counter[str]:
        """Append the rows. An empty file gets the header first."""
        text = io.StringIO()
        rows = csv.writer(text)
        if self._file.is_empty:
            self._fix(self._declared or dict.fromkeys(name for each in records for name in each))
            rows.writerow(self._columns)
        for record in records:
            if not self._known.issuperset(record):
                self._warn(record)
            rows.writerow([_cell(record.get(name)) for name in self._columns])
        self._file.append(text.getvalue().encode())
        return Counter()

    def _fix(self, columns: Any) -> None:
        self._columns = list(columns)
        self._known = set(self._columns)

    def _warn(self, record: dict[str, Any]) -> None:
        dropped = [name for name in record if name not in self._known]
        self._known.update(dropped)
        log.warning(
            "fields are dropped: the header of a CSV file fixes its columns; declare the fields "
            "with a dataclass, or write JSON lines",
            file=str(self._file.path),
            dropped=dropped,
            columns=self._columns,
        )


def last_row_end(file: BinaryIO) -> int:
    """The position after the last whole row: after a line break that is not within quotes."""
    file.seek(0)
    end = position = quotes = 0
    while block := file.read(_BLOCK_BYTES):
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            if (quotes + block.count(b'"', 0, at)) % 2 == 0:
                end = position + at + 1
                break
        quotes += block.count(b'"')
        position += len(block)
    return end


def _cell(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
