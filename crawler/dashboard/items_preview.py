"""The first or the last items of a task, as a table."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from crawler.items.reader import Item, TaskItems
from crawler.items.source import Lines, Source

ROWS = 20
END_BYTES = 262_144
"""How much of a file is read for its last items."""
MOST_READ = 20_000
"""The last items of a file that can only be read from its beginning are those of its first ones:
to read more would keep somebody waiting."""
MOST_COLUMNS = 12
MOST_TEXT = 240
LINES = "jsonl"


@dataclass(frozen=True, slots=True)
class Preview:
    """Items as rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    hidden_columns: int = 0
    """How many fields are not shown."""
    is_cut: bool = False
    """Whether the files go on behind the last row."""


def first_items(found: TaskItems) -> Preview:
    """Return the first items. Raises ItemsDamaged, OSError."""
    return _table(list(islice(found, ROWS)))


def last_items(found: TaskItems) -> Preview:
    """Return the last items. Raises ItemsDamaged, OSError."""
    if any(source.format != LINES for source in found.sources):
        read = list(deque(islice(found, MOST_READ), ROWS))
        return replace(_table(read), is_cut=next(islice(found, MOST_READ, None), None) is not None)
    last: list[Item] = []
    for source in reversed(found.sources):
        last = [*deque(_end_of(source), ROWS - len(last)), *last]
        if len(last) >= ROWS:
            break
    return _table(last)


def _end_of(source: Source) -> Iterator[Item]:
    """Yield the last items of a file of JSON lines."""
    size = source.limit if isinstance(source.limit, int) else source.now().stat().st_size
    begin = max(0, size - END_BYTES)
    lines = iter(Lines(replace(source, begin=begin)))
    if begin:
        next(lines, b"")  # it may begin within a line
    for line in lines:
        if line.endswith(b"\n") and line.strip():
            yield json.loads(line)


def _table(items: Sequence[Item]) -> Preview:
    names = list(dict.fromkeys(name for item in items for name in item))
    shown = names[:MOST_COLUMNS]
    rows = [[_text(item.get(name)) for name in shown] for item in items]
    return Preview(shown, rows, len(names) - len(shown))


def _text(value: Any) -> str:
    """Return a value as it is shown. What is long is cut."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…"
