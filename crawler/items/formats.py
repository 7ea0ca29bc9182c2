"""The formats of files of items: their names, and the suffixes by which they are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SUFFIXES: Mapping[str, str] = {
    ".jsonl": "jsonl",
    ".jl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".xml": "xml",
    ".parquet": "parquet",
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
}
"""Suffix of a file → its format."""
GZ = ".gz"
PACKABLE = ("jsonl", "json", "csv", "xml")
"""The formats that may be packed: their names and suffixes then end in `.gz`."""
SQLITE = "sqlite"

BEST_FIRST: Sequence[str] = (
    *("jsonl", "jsonl.gz", "json", "json.gz", SQLITE, "parquet"),
    *("xml", "xml.gz", "csv", "csv.gz"),
)
"""All formats of files. The first ones keep the types of values best: those of JSON keep all that
JSON knows, tables keep those of plain values, XML keeps what is nested, CSV has texts alone."""

ID, TASK, URL, KEY = "_id", "_task", "_url", "_key"
OWN_COLUMNS = (ID, TASK, URL, KEY)
"""A database's own columns: the primary key, which is a digest of the other three, and those."""
