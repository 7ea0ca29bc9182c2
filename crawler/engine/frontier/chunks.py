"""Knows which of the requests in each row of a file still wait, with a bit for each.

A row holds up to `SPAN` requests whose ids lie near each other. It is deleted when the last of them
has ended. A row of which little is left can be written anew, so the file stays about as large as
what waits.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter

from crawler.engine.frontier.store import Waiting

SPAN = 256
SPARSE = 4
"""A row is written anew when a quarter of its requests is left."""
_ID = attrgetter("id")


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

    def end(self, ids: Iterable[int]) -> Mapping[int, Row]:
        """Note the ends of requests. Returns the rows in which they waited, by their first ids.
        Those of which nothing is left are rows no longer."""
        touched: dict[int, Row] = {}
        row: Row | None = None
        first = live = 0
        for id in ids:  # most follow each other in a row: a call for each takes three times as long
            if row is None or id < first or not live >> id - first & 1:
                self._note(row, live)
                row = self.of(id)
                if row is None:
                    continue
                first, live = row.first, row.live
                touched[first] = row
            live ^= 1 << id - first
        self._note(row, live)
        return touched

    def _note(self, row: Row | None, live: int) -> None:
        """Note what is left of a row."""
        if row is None:
            return
        row.live, row.is_touched = live, True
        if not live:
            del self._rows[row.first]
            del self._firsts[bisect_right(self._firsts, row.first) - 1]


def grouped(
    requests: Sequence[Waiting], most_bytes: float = math.inf
) -> Iterator[tuple[Row, Sequence[Waiting]]]:
    """Divide new requests into rows. Their ids must ascend. `most_bytes` is how long the records of
    a row may be together; a longer one has a row for itself."""
    start = 0
    while start < len(requests):
        end = bisect_left(requests, requests[start].id + SPAN, start, key=_ID)
        if most_bytes < math.inf:
            sizes = accumulate(len(request.record) for request in requests[start:end])
            end = start + max(1, bisect_right(list(sizes), most_bytes))
        part = requests[start:end]
        yield Row(part[0].id, _live_of(part), len(part)), part
        start = end


def _live_of(requests: Sequence[Waiting]) -> int:
    """The bits of new requests."""
    first, last = requests[0].id, requests[-1].id
    if last - first == len(requests) - 1:  # nearly always
        return (1 << len(requests)) - 1
    return sum(1 << request.id - first for request in requests)
