"""Knows which of the requests in each row of a file still wait, with a bit for each.

A row holds up to `SPAN` requests whose ids lie near each other. It is deleted when the last of them
has ended. A row of which little is left can be written anew, so the file stays about as large as
what waits.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crawler.engine.frontier.store import Waiting

SPAN = 256
SPARSE = 4
"""A row is written anew when a quarter of its requests is left."""


@dataclass(slots=True)
class Row:
    """A row of the file."""

    first: int
    """The lowest id that it may hold."""
    live: int
    """The ids that still wait: bit n stands for `first + n`."""
    size: int
    """How many requests the row holds, ended ones included."""
    is_touched: bool = False
    """Whether `live` in the file is older."""

    def ids(self) -> Iterator[int]:
        """The ids that still wait."""
        bits = self.live
        while bits:
            lowest = bits & -bits
            yield self.first + lowest.bit_length() - 1
            bits ^= lowest

    @property
    def is_sparse(self) -> bool:
        """Whether it is worth writing the row anew."""
        return self.size > SPARSE and self.live.bit_count() * SPARSE <= self.size


class Rows:
    """All rows of a file, in memory: about a byte for each request."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._rows: dict[int, Row] = {}
        self._last: Row | None = None
        """Where a request has ended last: most have their ends in the order of their ids."""

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(row.live.bit_count() for row in self)

    def __iter__(self) -> Iterator[Row]:
        return (self._rows[first] for first in self._firsts)

    def get(self, first: int) -> Row | None:
        """The row that begins with an id."""
        return self._rows.get(first)

    def add(self, row: Row) -> None:
        """Add a row."""
        insort(self._firsts, row.first)
        self._rows[row.first] = row

    def of(self, id: int) -> Row | None:
        """The row in which a request waits; None if it has ended or was never there."""
        at = bisect_right(self._firsts, id) - 1
        if at < 0:
            return None
        row = self._rows[self._firsts[at]]
        bit = id - row.first
        return row if row.live >> bit & 1 else None

    def end(self, id: int) -> Row | None:
        """Note the end of a request. Returns its row if nothing of that is left."""
        row = self._last
        if row is None or id < row.first or not row.live >> id - row.first & 1:
            row = self._last = self.of(id)
        if row is None:
            return None
        row.live ^= 1 << id - row.first
        row.is_touched = True
        if row.live:
            return None
        self._last = None
        del self._rows[row.first]
        del self._firsts[bisect_right(self._firsts, row.first) - 1]
        return row


def grouped(
    requests: Sequence[Waiting], most_bytes: float = math.inf
) -> Iterator[tuple[Row, Sequence[Waiting]]]:
    """Divide new requests into rows. Their ids must ascend. `most_bytes` is how long the records of
    a row may be together; a longer one has a row for itself."""
    start, size = 0, 0
    for at in range(1, len(requests) + 1):
        size += len(requests[at - 1].record)
        if at == len(requests) or (
            requests[at].id - requests[start].id >= SPAN
            or size + len(requests[at].record) > most_bytes
        ):
            part = requests[start:at]
            yield Row(part[0].id, _live_of(part), len(part)), part
            start, size = at, 0


def _live_of(requests: Sequence[Waiting]) -> int:
    """The bits of new requests."""
    first, last = requests[0].id, requests[-1].id
    if last - first == len(requests) - 1:  # nearly always
        return (1 << len(requests)) - 1
    return sum(1 << request.id - first for request in requests)
