"""What a benchmark found: rows with a bound each, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure and what it may be."""

    title: str
    measured: str
    bound: str = ""
    holds: bool | None = None
    """None where there is no bound."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """The same, and what else was seen, for programs."""


def report(rows: Mapping[str, Callable[[], Sequence[Row]]], names: Sequence[str], to: Path) -> int:
    """Measure the rows of these names, or all, print and write them; 1 when a bound was missed."""
    found: list[Row] = []
    for name in names or rows:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        found += rows[name]()
    print_rows(found)
    write(to, {"rows": as_json(found)})
    return int(any(row.holds is False for row in found))


def print_rows(rows: Iterable[Row]) -> None:
    """For people."""
    heads = ("", "measured", "bound", "holds")
    print_table([heads, *((r.title, r.measured, r.bound, _verdict(r.holds)) for r in rows)])


def print_table(lines: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they have to be."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def write(path: Path, content: Mapping[str, Any]) -> None:
    """For programs, with when and where it was measured."""
    path.write_text(json.dumps({**_occasion(), **content}, indent=2) + "\n")
    print(f"figures: {path}")


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows as JSON has them."""
    return [asdict(row) for row in rows]


def _occasion() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line for line in lines if line.startswith("model name")), ": unknown")
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} x {model.partition(': ')[2]}",
        "python": platform.python_version(),
    }


def _verdict(holds: bool | None) -> str:
    return "" if holds is None else "yes" if holds else "NO"
