"""Plain tables: columns as wide as what is in them, numbers to the right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click


def show(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table."""
    for line in lines(headers, rows):
        click.echo(line)


def lines(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The lines of a table."""
    rows = list(rows)
    texts = [list(headers), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts)]
    right = [any(isinstance(row[at], int | float) for row in rows) for at in range(len(headers))]
    for row in texts:
        yield "  ".join(map(_padded, row, widths, right)).rstrip()


def pairs(values: Mapping[str, Any]) -> str:
    """A mapping in one cell: `gpu=yes zone=a`."""
    return " ".join(f"{key}={_text(value)}" for key, value in sorted(values.items()))


def _padded(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)


def plain(number: float) -> str:
    """A number without an exponent, and without what says nothing."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return plain(cell)
    return " ".join(str(cell).split())
