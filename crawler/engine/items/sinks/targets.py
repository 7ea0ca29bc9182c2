"""Makes a sink from what people write after `-o`, by a URL's scheme or a file's suffix."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from crawler.engine.items.sinks.batched import BatchedSink
from crawler.engine.items.sinks.csv_file import CsvRows
from crawler.engine.items.sinks.databases import database_at, sink_of, sqlite_sink
from crawler.engine.items.sinks.file_writer import FileWriter
from crawler.engine.items.sinks.json_array import JsonArray
from crawler.engine.items.sinks.json_lines import JsonLines, StandardOutput
from crawler.engine.items.sinks.many import ManySinks
from crawler.engine.items.sinks.sink import Sink, Writer
from crawler.engine.items.sinks.streamed import StreamedFile
from crawler.engine.items.sinks.xml_file import XmlItems
from crawler.errors import ConfigError
from crawler.items.formats import GZ, PACKABLE, SQLITE, SUFFIXES

STANDARD_OUTPUT = "-"

ALLOWED = (
    f"a file that ends in {', '.join(SUFFIXES)}, and .gz after those of text; "
    "sqlite:///FILE, postgresql://USER@HOST/DATABASE, "
    "mysql://USER@HOST/DATABASE or mariadb://…, each with ?table=NAME; or - for standard output"
)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def open_sink(
    target: str,
    task: str = "",
    table: str = "items",
    key: Sequence[str] = (),
    fresh: bool = False,
    kind: str = "",
) -> Sink:
    """Make the sink for a file, a URL of a database, or `-`. The crawl opens it.

    `task` and `key` (the fields that distinguish the items of a page) are for databases, which
    replace rows they already have. `table` is for URLs that name no table. A `fresh` file begins
    anew. `kind` is the format of a file, whatever its suffix, or of `-`. Raises ConfigError for any
    other target.
    """
    if target == STANDARD_OUTPUT:
        return BatchedSink(_standard_output(kind))
    if kind in FORMATS and not is_database(target):
        return BatchedSink(file_writer(kind, target, fresh))
    if kind:
        raise ConfigError(
            f"format: {kind!r} is for files, and {public(target)!r} is a database; leave it out"
        )
    if _SCHEME.match(target):
        return _database_sink(target, task, table, key, fresh)
    kind = format_of(target)
    if not kind:
        raise ConfigError(f"output: {target!r} is not allowed; allowed: {ALLOWED}")
    if kind == SQLITE:
        return _database_sink(Path(target), task, table, key, fresh)
    return BatchedSink(file_writer(kind, target, fresh))


def whole_file_sink(target: str, kind: str = "") -> Callable[[Path], Sink] | None:
    """Return what makes the sink of another file, to take the place of this one when it is whole.
    None if `target` is a database, a folder, standard output, or a device."""
    kind = kind or format_of(target)
    is_file = kind in FORMATS and kind != "parquet" and not is_database(target)
    if (
        not is_file
        or target == STANDARD_OUTPUT
        or (Path(target).exists() and not Path(target).is_file())
    ):
        return None
    return lambda path: BatchedSink(file_writer(kind, path, True))


@dataclass(frozen=True)
class Targets:
    """Makes one sink for several targets. Without targets, items are only counted."""

    targets: Sequence[str]
    fresh: Sequence[str] = ()
    """The targets that begin anew."""
    task: str = ""

    def __call__(self, spider: Any) -> Sink:
        """Make the sink. A database gets a table with the spider's name. Raises ConfigError."""
        about = (self.task, spider.name, spider.settings.item_key)
        sinks = [open_sink(target, *about) for target in self.targets]
        sinks += [open_sink(target, *about, fresh=True) for target in self.fresh]
        return sinks[0] if len(sinks) == 1 else ManySinks(sinks)


def is_database(target: str) -> bool:
    """Whether a target is the URL of a database, or an SQLite file."""
    return bool(_SCHEME.match(target)) or format_of(target) == SQLITE


def is_target(target: str) -> bool:
    """Whether `open_sink` accepts a target, by its form."""
    return target == STANDARD_OUTPUT or is_database(target) or bool(format_of(target))


def format_of(target: str) -> str:
    """The format of a file, by its suffix. Empty if it has none of those allowed."""
    path = Path(target)
    if path.suffix.lower() != GZ:
        return SUFFIXES.get(path.suffix.lower(), "")
    kind = SUFFIXES.get(path.with_suffix("").suffix.lower(), "")
    return f"{kind}{GZ}" if kind in PACKABLE else ""


def public(target: str) -> str:
    """A target for people and logs: without user, password and parameters."""
    if not _SCHEME.match(target):
        return target
    scheme, _, rest = target.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def lasting(target: str) -> str:
    """The public name of a target, from wherever a later crawl is started."""
    if target == STANDARD_OUTPUT:
        return "standard output"
    return public(target) if _SCHEME.match(target) else str(Path(target).absolute())


def file_writer(kind: str, path: str | Path, fresh: bool = False) -> Writer:
    """Make the writer for files of a format. Raises ConfigError if its library is missing."""
    return FORMATS[kind](path, fresh)


def _standard_output(kind: str) -> Writer:
    if kind in ("", "jsonl"):
        return StandardOutput()
    writer = file_writer(kind, STANDARD_OUTPUT)
    if not isinstance(writer, FileWriter):
        raise ConfigError(
            f"output: {kind} is a folder, so it cannot go to standard output; name one with -o"
        )
    writer.divert(lambda file: StreamedFile(file, sys.stdout.buffer))
    return writer


def _parquet(path: str | Path, fresh: bool) -> Writer:
    from crawler.engine.items.sinks.parquet import ParquetParts

    return ParquetParts(path, fresh)


FORMATS: Mapping[str, Callable[[str | Path, bool], Writer]] = {
    "jsonl": JsonLines,
    "jsonl.gz": partial(JsonLines, gz=True),
    "json": JsonArray,
    "json.gz": partial(JsonArray, gz=True),
    "csv": CsvRows,
    "csv.gz": partial(CsvRows, gz=True),
    "xml": XmlItems,
    "xml.gz": partial(XmlItems, gz=True),
    "parquet": _parquet,
}
"""Name of a format → the function that makes its writer."""


def _database_sink(
    where: str | Path, task: str, table: str, key: Sequence[str], fresh: bool
) -> Sink:
    if fresh:
        raise ConfigError(
            "output: the crawler does not empty a database; use -o, which replaces items that "
            "are there, or name another table with ?table=NAME"
        )
    if isinstance(where, Path):
        return sqlite_sink(where, task, table, key)
    return sink_of(database_at(where), task, table, key)
