"""The requests in Redis: those that are new in rows of up to 256, those that came back one by one.

A hash has the rows, and another one says which requests of each row still wait. A row that is in
the first alone means nothing. So new rows may be sent before the step to which they belong.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from crawler.clock import give_turn
from crawler.engine.frontier.chunks import Row, Rows, grouped
from crawler.engine.frontier.redis_commands import Commands
from crawler.engine.frontier.sealed import BrokenSeal, packed, unpacked
from crawler.engine.frontier.store import Step, Waiting, left_s

ROW_BYTES = 65_536
"""The records of a row may be that long together."""
READ_AT_ONCE = 8
"""So many rows are read in one call."""
THINNED_AT_ONCE = 32
"""So many rows of which little is left are written anew together."""
_TIMES = struct.Struct("<dd")

Reader = Callable[[str, Sequence[int]], Sequence[bytes | None]]
"""Reads fields of a hash."""


class RedisRequests:
    """The requests that wait. It knows where each of them is, and reads them when they are needed:
    about a byte of memory for each."""

    def __init__(self, read: Reader, now_s: Callable[[], float]) -> None:
        """`now_s` is wall time."""
        self._read = read
        self._now_s = now_s
        self._rows = Rows()
        self._later: set[int] = set()
        """The ids of requests that came back."""
        self._free_rows: deque[int] = deque()
        """The ids with which the rows begin that nobody holds."""
        self._free_later: deque[int] = deque()
        self._leased: deque[Waiting] = deque()
        """Requests that were read and that nobody holds."""
        self._sparse: dict[int, Row] = {}
        self.next_id = 0
        """The first id that is free."""

    def __len__(self) -> int:
        """How many requests wait."""
        return self._rows.waiting + len(self._later)

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of rows, and of requests that came back."""
        return len(self._rows), len(self._later)

    def load(self, live: Iterable[tuple[bytes, bytes]], later: Iterable[bytes]) -> None:
        """Take over what is there. Raises ValueError."""
        found = sorted((int(first), *_counted(bits)) for first, bits in live)
        for first, size, bits in found:
            self._rows.add(Row(first, bits, size))
        self._later = set(map(int, later))
        self._free_rows = deque(first for first, *_ in found)
        self._free_later = deque(sorted(self._later))

    def is_row(self, first: int) -> bool:
        """Whether requests wait in a row."""
        return self._rows.get(first) is not None

    def lease(self, most: int) -> Sequence[Waiting]:
        """Take up to so many requests that nobody holds."""
        found: list[Waiting] = []
        while len(found) < most:
            if self._leased:
                found.append(self._leased.popleft())
            elif self._free_later:
                self._leased.extend(self._came_back(_taken(self._free_later, 32 * READ_AT_ONCE)))
            elif self._free_rows:
                self._leased.extend(self._in_rows(_taken(self._free_rows, READ_AT_ONCE)))
            else:
                break
        return found

    def all(self) -> Iterator[Waiting]:
        """All requests that wait. None is held."""
        firsts, later = deque(row.first for row in self._rows), deque(self._later)
        while firsts:
            yield from self._in_rows(_taken(firsts, READ_AT_ONCE))
        while later:
            yield from self._came_back(_taken(later, 32 * READ_AT_ONCE))

    def give_back(self, ids: Iterable[int]) -> None:
        """Let a lease have requests again."""
        asked, firsts = set(ids), dict[int, None]()
        for id in asked:
            if id in self._later:
                self._free_later.append(id)
            elif (row := self._rows.of(id)) is not None:
                firsts[row.first] = None
        left = deque(firsts)
        while left:
            found = self._in_rows(_taken(left, READ_AT_ONCE))
            self._leased.extend(request for request in found if request.id in asked)

    def write(self, step: Step, ahead: Commands, commands: Commands) -> None:
        """Take a step. What goes into `ahead` may be sent before the others."""
        touched: dict[int, Row] = {}
        for row, part in grouped(step.added, ROW_BYTES):
            self._rows.add(row)
            ahead.add("HSET", "rows", row.first, packed(part, "rows", row.first))
            touched[row.first] = row
            self.next_id = part[-1].id + 1
            if ahead.count > 1:
                give_turn()
        self._change(step.changed, touched, commands)
        changed = self._later.intersection(step.ended)
        self._later -= changed
        for id in changed:
            commands.add("HDEL", "later", id)
        ended = [id for id in step.ended if id not in changed] if changed else step.ended
        touched.update(self._rows.end(ended))
        if len(self._sparse) >= THINNED_AT_ONCE:
            self._thin(touched, commands)
        self._note(touched, commands)

    def _change(
        self, requests: Sequence[Waiting], touched: dict[int, Row], commands: Commands
    ) -> None:
        now_s = self._now_s()
        touched.update(self._rows.end([request.id for request in requests]))
        for request in requests:
            self._later.add(request.id)
            self.next_id = max(self.next_id, request.id + 1)
            times = _TIMES.pack(now_s + request.wait_s, request.wait_s)
            commands.add(
                "HSET", "later", request.id, times + packed([request], "later", request.id, times)
            )

    def _note(self, touched: dict[int, Row], commands: Commands) -> None:
        """Write down which requests of these rows wait. Remove rows in which none does."""
        for first, row in touched.items():
            if row.live:
                commands.add("HSET", "live", first, f"{row.size} {row.live:x}")
                if row.is_sparse:
                    self._sparse[first] = row
            else:
                self._sparse.pop(first, None)
                commands.add("HDEL", "live", first)
                commands.add("HDEL", "rows", first)

    def _thin(self, touched: dict[int, Row], commands: Commands) -> None:
        """Write rows anew of which little is left."""
        rows = [row for row in self._sparse.values() if row.live and row.is_sparse]
        self._sparse = {}
        firsts = deque(row.first for row in rows)
        left: dict[int, list[Waiting]] = {}
        while firsts:
            part = _taken(firsts, READ_AT_ONCE)
            left.update(zip(part, self._read_rows(part), strict=True))
        for row in rows:
            row.size = len(left[row.first])
            commands.add("HSET", "rows", row.first, packed(left[row.first], "rows", row.first))
            touched[row.first] = row

    def _in_rows(self, firsts: Sequence[int]) -> Iterator[Waiting]:
        for requests in self._read_rows([each for each in firsts if self.is_row(each)]):
            yield from requests

    def _read_rows(self, firsts: Sequence[int]) -> Iterator[list[Waiting]]:
        """The requests of each of these rows that wait. Raises BrokenSeal."""
        for first, blob in zip(firsts, self._read("rows", firsts), strict=True):
            row = self._rows.get(first)
            live = 0 if row is None else row.live
            found = [
                request
                for request in unpacked(blob, "rows", first)
                if live >> request.id - first & 1
            ]
            if len(found) != live.bit_count():
                raise BrokenSeal("requests are missing")
            yield found
            give_turn()

    def _came_back(self, ids: Sequence[int]) -> Iterator[Waiting]:
        ids = [id for id in ids if id in self._later]
        for id, blob in zip(ids, self._read("later", ids), strict=True):
            if blob is None:
                raise BrokenSeal("a request is missing")
            times, data = blob[: _TIMES.size], blob[_TIMES.size :]
            [request] = unpacked(data, "later", id, times)
            due_s, wait_s = _TIMES.unpack(times)
            yield request._replace(wait_s=max(0.0, left_s(due_s, wait_s, self._now_s())))


def _counted(text: bytes) -> tuple[int, int]:
    """The size of a row, and its bits."""
    size, bits = text.split()
    return int(size), int(bits, 16)


def _taken(line: deque[int], most: int) -> list[int]:
    return [line.popleft() for _ in range(min(most, len(line)))]
