"""Draws plain tables: columns as wide as their content, numbers aligned to the right."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


def lines(
    headers: Sequence[str], rows: Iterable[Sequence[Any]], total: Sequence[Any] = ()
) -> Iterator[str]:
    """The lines of a table. A column that has a number is aligned to the right.

    With a row of totals, a ruler follows the headers, and another follows the rows.
    """
    rows = list(rows)
    right = {at for row in rows for at, cell in enumerate(row) if isinstance(cell, int | float)}
    right |= {at for at, cell in enumerate(total) if isinstance(cell, int | float)}
    texts = [[text(cell) for cell in row] for row in (headers, *rows, *([total] if total else ()))]
    widths = [max(map(display_width, column)) for column in zip(*texts)]
    if total:
        ruler = ["-" * width for width in widths]
        texts = [texts[0], ruler, *texts[1:-1], ruler, texts[-1]]
    for row in texts:
        cells = (padded(cell, widths[at], at in right) for at, cell in enumerate(row))
        yield "  ".join(cells).rstrip()


def pairs(values: Mapping[str, Any]) -> str:
    """A mapping as the text of one cell: `gpu=yes zone=a`."""
    return " ".join(f"{key}={text(value)}" for key, value in sorted(values.items()))


def plain(number: float) -> str:
    """A number without an exponent and without trailing zeros."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def text(cell: Any) -> str:
    """The text of a cell: on one line, with booleans as yes and no."""
    if isinstance(cell, Seconds):
        return f"{cell:.1f}"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return plain(cell)
    return " ".join(str(cell).split())


class Seconds(float):
    """A duration that is shown to a tenth of a second."""


def padded(cell: str, width: int, right: bool = False) -> str:
    """The text, padded to that many columns of a terminal."""
    space = " " * (width - display_width(cell))
    return space + cell if right else cell + space


def display_width(cell: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(map(_columns_of, cell))


def _columns_of(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
