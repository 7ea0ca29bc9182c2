"""The requests in the file of a store: those that are new in chunks, those that came back one by
one."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from crawler.engine.frontier.chunks import Row, Rows, grouped
from crawler.engine.frontier.sealed import opened, packed, sealed, unpacked
from crawler.engine.frontier.store import Waiting, left_s


class KeptRequests:
    """The requests that wait. One native thread calls this, within its transactions."""

    def __init__(self, database: sqlite3.Connection, now_s: Callable[[], float]) -> None:
        """`now_s` is wall time."""
        self._database = database
        self._now_s = now_s
        self._rows = Rows()
        self._changed: set[int] = set()
        """The ids of requests that came back."""
        self._free_rows: deque[int] = deque()
        """The ids with which the rows begin that nobody holds."""
        self._free_changed: deque[int] = deque()
        self._read: deque[Waiting] = deque()
        self.next_id = 0
        """The first id that is free."""

    def __len__(self) -> int:
        """How many requests wait."""
        return self._rows.waiting + len(self._changed)

    def __iter__(self) -> Iterator[Waiting]:
        """All requests that wait. None is held."""
        for row in self._rows:
            yield from self._requests_of(row)
        for id in self._changed:
            yield from self._changed_at(id)

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of rows in both tables."""
        return len(self._rows), len(self._changed)

    def load(self, ended: Iterable[int]) -> None:
        """Find out what waits. `ended` has its end, and is not written down in the rows yet."""
        query = "SELECT first, size, live FROM chunk ORDER BY first"
        for first, size, live in self._database.execute(query):
            bits = int.from_bytes(opened(live, "live", first, size), "little")
            self._rows.add(Row(first, bits, size))
        self._changed = {id for (id,) in self._database.execute("SELECT id FROM later")}
        self._rows.end(ended)  # an empty row is deleted already, or at the next fold
        self._free_changed = deque(self._changed)
        self._free_rows = deque(row.first for row in self._rows)

    def lease(self, most: int) -> Sequence[Waiting]:
        """Take up to so many requests that nobody holds."""
        found: list[Waiting] = []
        while len(found) < most:
            if self._read:
                found.append(self._read.popleft())
            elif self._free_changed:
                self._read.extend(self._changed_at(self._free_changed.popleft()))
            elif self._free_rows:
                row = self._rows.get(self._free_rows.popleft())
                self._read.extend(self._requests_of(row) if row is not None else ())
            else:
                break
        return found

    def give_back(self, id: int) -> None:
        """Let a lease have a request again: as its own, because the others of its row are held."""
        if id in self._changed:
            self._free_changed.append(id)
        elif (row := self._rows.of(id)) is not None:
            self._read.extend(each for each in self._requests_of(row) if each.id == id)

    def add(self, requests: Sequence[Waiting]) -> None:
        """Add new requests, by ascending ids."""
        for row, part in grouped(requests):
            self._rows.add(row)
            self._insert(row, part)
        if requests:
            self.next_id = max(self.next_id, requests[-1].id + 1)

    def change(self, requests: Sequence[Waiting]) -> None:
        """Replace requests that came back."""
        now_s = self._now_s()
        self._end_in_rows([request.id for request in requests])
        for request in requests:
            self._changed.add(request.id)
            self.next_id = max(self.next_id, request.id + 1)
            due_s = now_s + request.wait_s
            place = ("later", request.id, due_s, request.wait_s)
            self._database.execute(
                "INSERT OR REPLACE INTO later (id, due_s, wait_s, data) VALUES (?, ?, ?, ?)",
                (*place[1:], packed([request], *place)),
            )

    def end(self, ids: Sequence[int]) -> None:
        """Remove requests."""
        changed = self._changed.intersection(ids)
        self._changed -= changed
        self._database.executemany("DELETE FROM later WHERE id = ?", zip(changed))
        self._end_in_rows([id for id in ids if id not in changed] if changed else ids)

    def fold(self) -> None:
        """Write down which requests of each row wait. Write rows anew of which little is left."""
        for row in list(self._rows):
            if row.is_sparse:
                left = list(self._requests_of(row))
                row.size = len(left)
                self._insert(row, left)
            elif row.is_touched:
                query = "UPDATE chunk SET live = ? WHERE first = ?"
                self._database.execute(query, (_bits(row), row.first))
            row.is_touched = False

    def _changed_at(self, id: int) -> Iterator[Waiting]:
        """The request that came back and has that id, if it has no end yet."""
        query = "SELECT due_s, wait_s, data FROM later WHERE id = ?"
        for due_s, wait_s, data in self._database.execute(query, (id,)).fetchall():
            [request] = unpacked(data, "later", id, due_s, wait_s)
            yield request._replace(wait_s=max(0.0, left_s(due_s, wait_s, self._now_s())))

    def _requests_of(self, row: Row) -> Iterator[Waiting]:
        query = "SELECT data FROM chunk WHERE first = ?"
        [(data,)] = self._database.execute(query, (row.first,)).fetchall()
        for request in unpacked(data, "data", row.first):
            if row.live >> request.id - row.first & 1:
                yield request

    def _insert(self, row: Row, requests: Sequence[Waiting]) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO chunk (first, size, live, data) VALUES (?, ?, ?, ?)",
            (row.first, row.size, _bits(row), packed(requests, "data", row.first)),
        )

    def _end_in_rows(self, ids: Iterable[int]) -> None:
        over = [first for first, row in self._rows.end(ids).items() if not row.live]
        self._database.executemany("DELETE FROM chunk WHERE first = ?", zip(over))


def _bits(row: Row) -> bytes:
    bits = row.live.to_bytes((row.live.bit_length() + 7) // 8, "little")
    return sealed(bits, "live", row.first, row.size)
