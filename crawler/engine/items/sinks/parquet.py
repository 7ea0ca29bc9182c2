"""Writes items as Parquet: a folder of parts. Each part is a complete file, or does not exist.

A Parquet file can be read only when its end is written. So each batch writes the current part anew
beside the old file, and then replaces that at once. When the part is large enough, the next one
begins. All parts have the same columns: when a column is added, the earlier parts are written anew.

No other file imports pyarrow.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crawler.engine.items.sinks import kinds
from crawler.engine.items.sinks.faults import naming
from crawler.engine.items.sinks.marks import (
    Mark,
    kept_beside,
    name_of,
    parsed,
    refuse_to_empty,
    tell_cut,
    tell_short,
)
from crawler.errors import ConfigError
from crawler.folders import make_folder, sync_folders

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise ConfigError(
        "sink: Parquet needs pyarrow; install it: pip install distributed-crawler[parquet]"
    ) from error

PART_BYTES = 16_777_216
"""The size at which a part is complete, in bytes."""

_TYPES: Mapping[str, pa.DataType] = {
    kinds.BOOL: pa.bool_(),
    kinds.INT: pa.int64(),
    kinds.FLOAT: pa.float64(),
    kinds.TEXT: pa.string(),
    kinds.BYTES: pa.binary(),
    kinds.DATE: pa.date32(),
    kinds.TIME: pa.timestamp("us"),
}
_KINDS = {str(kind): name for name, kind in _TYPES.items()}


class ParquetParts:
    """Writes items to a folder of parts. A later run adds its own parts."""

    batch_records = 20_000
    batch_bytes = 4_194_304

    def __init__(self, path: str | Path, fresh: bool = False) -> None:
        self.path = Path(path)
        self._fresh = fresh
        self._kinds: dict[str, str] = {}
        self._part: list[pa.Table] = []
        self._number = 0
        self._mark: Mark = None
        self._marks: Mapping[str, Any] = {}
        self._unsynced: list[Path] = []

    def begin_at(self, marks: Mapping[str, Any]) -> None:
        """Go on after so many parts, and so many rows of the next one, if this folder has a
        mark. A folder without one stays, even if `fresh`."""
        self._marks = marks
        if (name := name_of(self.path)) in marks:
            self._mark, self._fresh = marks[name], False

    def mark(self) -> Mapping[str, Any]:
        """How many parts are complete, and the rows of the one that grows."""
        sync_folders([self.path, *self._unsynced])
        self._unsynced = []
        rows = sum(table.num_rows for table in self._part)
        return {name_of(self.path): (self._number, rows)}

    def encode(self, item: Any, url: str) -> tuple[dict[str, Any], int]:
        """The values of an item. Lists and mappings become JSON."""
        return kinds.record_of(item)

    def open(self) -> None:
        """Make the folder, and read the columns of the parts in it."""
        if self._fresh and self.path.is_dir():
            if self._marks and any(self.path.iterdir()):
                refuse_to_empty(self.path, self._marks)
            shutil.rmtree(self.path)
        self._unsynced = make_folder(self.path)
        self._go_on()
        parts = self._parts()
        self._number = len(parts)
        if parts:
            self._kinds = {
                field.name: _KINDS.get(str(field.type), kinds.TEXT)
                for field in pq.read_schema(parts[-1])
            }

    def write(self, records: Sequence[dict[str, Any]]) -> Counter[str]:
        """Add the records to the current part."""
        if self._widen(records):
            self._part = [self._fitted(table) for table in self._part]
            for part in self._parts()[: self._number]:
                _replace(part, self._fitted(pq.read_table(part)))
        self._part.append(self._table(records))
        whole = pa.concat_tables(self._part)
        _replace(self.path / f"part-{self._number:05}.parquet", whole)
        self._part = [whole]
        if whole.nbytes >= PART_BYTES:
            self._part = []
            self._number += 1
        return Counter()

    def close(self) -> None:
        """Do nothing: everything is written."""

    def _go_on(self) -> None:
        """Remove what was written after the mark, if the mark says so."""
        said, all_stays = parsed(self._mark)
        if said is None:
            return
        complete, rows = said
        parts = self._parts()
        there = pq.read_metadata(parts[complete]).num_rows if len(parts) > complete else 0
        if len(parts) < complete or there < rows:
            missing = max(0, complete - len(parts))
            tell_short(self.path, missing_parts=missing, missing_rows=max(0, rows - there))
        elif not all_stays and (there > rows or len(parts) > complete + 1):
            self._shorten(parts[complete:], rows)

    def _shorten(self, parts: Sequence[Path], rows: int) -> None:
        """Leave so many rows of the first of these parts, and no other one. Keep all of them in a
        folder beside this one."""
        kept = kept_beside(self.path)
        kept.mkdir()
        size = sum(part.stat().st_size for part in parts)
        for part in parts:
            shutil.copy2(part, kept)
        _sync(kept.iterdir())
        sync_folders([kept, kept.parent])
        tell_cut(self.path, size, kept)
        for part in parts[1:] if rows else parts:
            part.unlink()
        if rows:
            _replace(parts[0], pq.read_table(parts[0]).slice(0, rows))

    def _parts(self) -> list[Path]:
        return sorted(self.path.glob("part-*.parquet"))

    def _widen(self, records: Sequence[Mapping[str, Any]]) -> bool:
        """Add or widen columns so that they hold all values. Returns whether a column changed."""
        before = dict(self._kinds)
        for field, kind in kinds.kinds_of(records).items():
            kind = kinds.TEXT if kind == kinds.JSON else kind
            self._kinds[field] = kinds.common(self._kinds.get(field, kind), kind)
        return self._kinds != before

    def _schema(self) -> pa.Schema:
        return pa.schema([(field, _TYPES[kind]) for field, kind in self._kinds.items()])

    def _table(self, records: Sequence[Mapping[str, Any]]) -> pa.Table:
        columns = [
            [kinds.as_kind(record.get(field), kind) for record in records]
            for field, kind in self._kinds.items()
        ]
        arrays = [pa.array(v, _TYPES[k]) for v, k in zip(columns, self._kinds.values())]
        return pa.Table.from_arrays(arrays, schema=self._schema())

    def _fitted(self, table: pa.Table) -> pa.Table:
        """The table with the present columns."""
        records = [
            {name: value for name, value in row.items() if value is not None}
            for row in table.to_pylist()
        ]
        return self._table(records)


def _replace(path: Path, table: pa.Table) -> None:
    """Write a part. The old file stays until the new one is complete."""
    new = path.with_name(f".{path.name}.new")
    with naming(path):
        pq.write_table(table, new)
        _sync([new])
        os.replace(new, path)


def _sync(paths: Iterable[Path]) -> None:
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
