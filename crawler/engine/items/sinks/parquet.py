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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crawler.engine.items.sinks import kinds
from crawler.errors import ConfigError

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
        self._cut: Sequence[int] | None = None

    def begin_at(self, marks: Mapping[str, Any]) -> None:
        """Go on after so many parts, and so many rows of the next one, if this folder has a
        mark."""
        name = str(self.path.absolute())
        if name in marks:
            self._cut, self._fresh = marks[name], False

    def mark(self) -> Mapping[str, Any]:
        """How many parts are complete, and the rows of the one that grows."""
        rows = sum(table.num_rows for table in self._part)
        return {str(self.path.absolute()): (self._number, rows)}

    def encode(self, item: Any, url: str) -> tuple[dict[str, Any], int]:
        """The values of an item. Lists and mappings become JSON."""
        return kinds.record_of(item)

    def open(self) -> None:
        """Make the folder, and read the columns of the parts in it."""
        if self._fresh and self.path.is_dir():
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        if self._cut is not None:
            self._shorten(*self._cut)
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

    def _shorten(self, complete: int, rows: int) -> None:
        """Remove what was written after the mark."""
        for number, part in enumerate(self._parts()):
            if number == complete and rows:
                _replace(part, pq.read_table(part).slice(0, rows))
            elif number >= complete:
                part.unlink()

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
    pq.write_table(table, new)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(new, path)
