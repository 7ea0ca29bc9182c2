"""A store in a folder: a journal in one SQLite file, and the seen set in a file beside it.

The frontier and the seen set stay in memory as they are. The file takes each step as one
transaction of a few rows: fingerprints as one value, ended ids as one value, new requests as chunks
(chunks.py). From time to time the rows of many steps are folded into few, so nothing grows for
ever. One native thread does all this, and the hub goes on. A second one writes the seen set.

The process holds a lock on the file as long as it has it open. That is the fence: no other run can
open it meanwhile.
"""

from __future__ import annotations

import json
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

from crawler.engine.frontier import seen_file, sqlite_files
from crawler.engine.frontier.asked import Asked
from crawler.engine.frontier.chunks import Row, Rows, grouped
from crawler.engine.frontier.sealed import numbers, opened, packed, sealed, unpacked
from crawler.engine.frontier.seen import LoggedSeen
from crawler.engine.frontier.store import Found, Rest, StaleRun, Step, Waiting
from crawler.logs import get_logger

if TYPE_CHECKING:
    import sqlite3

log = get_logger(__name__)

T = TypeVar("T")

FOLD_STEPS = 512
"""After so many steps their rows are folded."""
SNAPSHOT_MARKS = 500_000
"""The seen set is written to a file when that many fingerprints, and a tenth of all, are new. A
start adds those after the file one by one, at 1.5 us each."""
CLEAN_MARKS = 100_000
"""At an end in order, so many are enough."""


class SqliteStore:
    """Keeps the state of one crawl in a folder."""

    def __init__(self, folder: Path, now_s: Callable[[], float] = time.time) -> None:
        """`now_s` is wall time, because a later process has to know how long it was away."""
        self.place = str(folder)
        self._folder = folder
        self._now_s = now_s
        self._threads: list[ThreadPool] = []
        """One for the database, one for the file of the seen set."""
        self._database: sqlite3.Connection | None = None
        self._snapshot: AsyncResult[Any] | None = None
        self._asked: Asked | None = None
        self._begin()

    def _begin(self) -> None:
        self._rows = Rows()
        self._later: set[int] = set()
        self._free_rows: deque[int] = deque()
        """The ids with which the rows begin that nobody holds."""
        self._free_later: deque[int] = deque()
        self._read: deque[Waiting] = deque()
        self._number = self._folded = 0
        """The numbers of the last step, and of the last that was folded."""
        self._next_id = 0
        self._seen = LoggedSeen()
        self._logged = 0
        """The fingerprints that are not in the file of the seen set."""

    def open(self, epoch: int | None = None) -> Found:
        """Begin a run. Raises StaleRun, StoreInUse, StoreDamaged and StoreFailed."""
        self._threads = [ThreadPool(1), ThreadPool(1)]
        try:
            return self._in_thread(lambda: self._open(epoch))
        except BaseException:
            self._end_threads()
            raise

    def lease(self, most: int) -> Sequence[Waiting]:
        """Take requests that nobody holds."""
        return self._in_thread(lambda: self._lease(most))

    def sending(self, mark: int) -> None:
        """Note that a request is sent."""
        if self._asked is not None:
            self._asked.note(mark, self._now_s())

    def write(self, step: Step) -> None:
        """Take a step, as one transaction."""
        self._in_thread(lambda: self._write(step))
        if self._logged >= max(SNAPSHOT_MARKS, len(self._seen) // 10):
            self._begin_snapshot()

    def close(self, is_clean: bool = False) -> None:
        """End the run. Waits until everything is written."""
        if self._database is None:
            return
        try:
            if is_clean and self._logged >= CLEAN_MARKS:
                self._begin_snapshot()
            if self._snapshot is not None:
                self._snapshot.wait()
            self._in_thread(lambda: self._close(is_clean))
        finally:
            self._end_threads()

    def clear(self) -> None:
        """Remove the files, and end the run."""
        if self._snapshot is not None:
            self._snapshot.wait()
        try:
            self._in_thread(self._clear)
        finally:
            self._end_threads()

    def _end_threads(self) -> None:
        for threads in self._threads:
            threads.kill()
        self._threads = []

    def _in_thread(self, step: Callable[[], T]) -> T:
        """Run a step in the native thread. An error is returned: gevent would print it."""
        if not self._threads:
            raise StaleRun(f"{self.place}: this run is over")
        result, error = self._threads[0].apply(_caught, (step, self._folder))
        if error is not None:
            raise error
        value: T = result
        return value

    # Everything below runs in the native thread.

    def _open(self, epoch: int | None) -> Found:
        try:
            self._database = database = sqlite_files.connected(self._folder)
            values = dict(database.execute("SELECT name, value FROM run"))
            last = values.get("epoch", 0)
            if epoch is not None and epoch <= last:
                raise StaleRun(f"{self.place}: epoch {epoch} is over; the last one is {last}")
            self._begin()
            found = self._load(values)
            found.epoch = last + 1 if epoch is None else epoch
            self._asked = Asked(self._folder / sqlite_files.ASKED)
            found.asked = [*found.asked, *self._asked.since(found.sent)]
            found.sent = self._asked.count
            if found.sent:
                found.idle_s = max(0.0, self._now_s() - self._asked.last_s)
            self._put({"epoch": found.epoch})
            sqlite_files.drop_seen(self._folder, values.get("seen", ""))
        except BaseException:
            self._let_go()
            raise
        return found

    def _load(self, values: dict[str, Any]) -> Found:
        self._seen = self._load_seen(values)
        self._load_requests()
        self._free_later = deque(self._later)
        self._free_rows = deque(row.first for row in self._rows)
        self._next_id, sent, *in_flight = numbers(values["now"]) if "now" in values else (0, 0)
        now_s = self._now_s()
        rests = json.loads(values.get("rests", "{}"))
        return Found(
            epoch=0,
            is_new="epoch" not in values,
            is_clean=bool(values.get("clean", 1)),
            waiting=len(self._rows) + len(self._later),
            next_id=self._next_id,
            seen=self._seen,
            starts=self._joined("starts", 0),
            asked=in_flight,
            sent=sent,
            rests={
                host: Rest(_left_s(until_s, left_s, now_s), pause_s, is_down)
                for host, (until_s, left_s, pause_s, is_down) in rests.items()
                if _left_s(until_s, left_s, now_s) > 0
            },
            state={
                name[6:]: opened(value).decode()
                for name, value in values.items()
                if name.startswith("state.")
            },
        )

    def _load_seen(self, values: dict[str, Any]) -> LoggedSeen:
        seen = LoggedSeen()
        if "seen" in values:
            seen = sqlite_files.read_seen(self._folder / values["seen"])
        marks = self._joined("marks", 0)
        self._logged = len(marks)
        for mark in marks:
            seen.add(mark)
        seen.take_news()
        return seen

    def _load_requests(self) -> None:
        query = "SELECT first, size, live FROM chunk ORDER BY first"
        for first, size, live in self._all(query):
            self._rows.add(Row(first, int.from_bytes(opened(live), "little"), size))
        self._later = {id for (id,) in self._all("SELECT id FROM later")}
        query = "SELECT coalesce(max(number), 0), coalesce(max(is_fold * number), 0) FROM step"
        [(self._number, self._folded)] = self._all(query)
        for id in self._joined("ended", self._folded):
            self._rows.end(id)  # its row is deleted already, or at the next fold

    def _joined(self, column: str, after: int) -> array[int]:
        whole = array("Q")
        query = f"SELECT {column} FROM step WHERE number > ? ORDER BY number"
        for (blob,) in self._all(query, (after,)):
            if blob is not None:
                whole += numbers(blob)
        return whole

    def _lease(self, most: int) -> Sequence[Waiting]:
        found: list[Waiting] = []
        while len(found) < most:
            if self._read:
                found.append(self._read.popleft())
            elif self._free_later:
                self._read.extend(self._changed(self._free_later.popleft()))
            elif self._free_rows:
                row = self._rows.get(self._free_rows.popleft())
                self._read.extend(self._requests_of(row) if row is not None else ())
            else:
                break
        return found

    def _changed(self, id: int) -> Iterator[Waiting]:
        """The request that came back and has that id, if it has no end yet."""
        query = "SELECT due_s, wait_s, data FROM later WHERE id = ?"
        for due_s, wait_s, data in self._all(query, (id,)):
            [request] = unpacked(data)
            yield request._replace(wait_s=max(0.0, _left_s(due_s, wait_s, self._now_s())))

    def _requests_of(self, row: Row) -> Iterator[Waiting]:
        [(data,)] = self._all("SELECT data FROM chunk WHERE first = ?", (row.first,))
        for request in unpacked(data):
            if row.live >> request.id - row.first & 1:
                yield request

    def _write(self, step: Step) -> None:
        assert self._database is not None
        kept = ""
        for id in step.given_back:
            self._give_back(id)
        with sqlite_files.transaction(self._database):
            self._number += 1
            self._add(step.added)
            self._change(step.changed)
            self._end(step.ended)
            self._insert_step(step)
            self._put({**self._values(step), "clean": 0})
            if self._number - self._folded >= FOLD_STEPS:
                self._fold()
            kept = self._take_snapshot()
        if kept:
            sqlite_files.drop_seen(self._folder, kept)

    def _add(self, requests: Sequence[Waiting]) -> None:
        for row, part in grouped(requests):
            self._rows.add(row)
            self._insert(row, part)
        if requests:
            self._next_id = max(self._next_id, requests[-1].id + 1)

    def _insert(self, row: Row, requests: Sequence[Waiting]) -> None:
        self._do(
            "INSERT OR REPLACE INTO chunk (first, size, live, data) VALUES (?, ?, ?, ?)",
            (row.first, row.size, _bits(row), packed(requests)),
        )

    def _change(self, requests: Sequence[Waiting]) -> None:
        now_s = self._now_s()
        for request in requests:
            self._end_in_row(request.id)
            self._later.add(request.id)
            self._next_id = max(self._next_id, request.id + 1)
            self._do(
                "INSERT OR REPLACE INTO later (id, due_s, wait_s, data) VALUES (?, ?, ?, ?)",
                (request.id, now_s + request.wait_s, request.wait_s, packed([request])),
            )

    def _end(self, ids: Sequence[int]) -> None:
        for id in ids:
            if id in self._later:
                self._later.discard(id)
                self._do("DELETE FROM later WHERE id = ?", (id,))
            else:
                self._end_in_row(id)

    def _end_in_row(self, id: int) -> None:
        over = self._rows.end(id)
        if over is not None:
            self._do("DELETE FROM chunk WHERE first = ?", (over.first,))

    def _give_back(self, id: int) -> None:
        """Let a lease have a request again: as its own, because the others of its row are held."""
        if id in self._later:
            self._free_later.append(id)
        elif (row := self._rows.of(id)) is not None:
            self._read.extend(each for each in self._requests_of(row) if each.id == id)

    def _insert_step(self, step: Step) -> None:
        ended = array("Q", [*step.ended, *(request.id for request in step.changed)])
        self._logged += len(step.marks)
        values = [sealed(part.tobytes()) if part else None for part in (step.marks, ended)]
        starts = sealed(step.starts.tobytes()) if step.starts else None
        self._do(
            "INSERT INTO step (number, is_fold, marks, ended, starts) VALUES (?, 0, ?, ?, ?)",
            (self._number, *values, starts),
        )

    def _values(self, step: Step) -> dict[str, Any]:
        now_s = self._now_s()
        made: dict[str, Any] = {
            f"state.{name}": sealed(value.encode()) for name, value in step.state.items()
        }
        if step.rests is not None:
            made["rests"] = json.dumps(
                {host: (now_s + rest.left_s, *rest) for host, rest in step.rests.items()}
            )
        made["now"] = sealed(array("Q", [self._next_id, step.sent, *step.in_flight]).tobytes())
        return made

    def _fold(self) -> None:
        """Make one row of the steps since the last fold, and write down which requests wait."""
        if self._number == self._folded:
            return
        parts = [self._joined(column, self._folded) for column in ("marks", "starts")]
        self._do("DELETE FROM step WHERE number > ?", (self._folded,))
        values = [sealed(part.tobytes()) if part else None for part in parts]
        self._do(
            "INSERT INTO step (number, is_fold, marks, starts) VALUES (?, 1, ?, ?)",
            (self._number, *values),
        )
        self._folded = self._number
        for row in list(self._rows):
            if row.is_sparse:
                left = list(self._requests_of(row))
                row.size = len(left)
                self._insert(row, left)
            elif row.is_touched:
                self._do("UPDATE chunk SET live = ? WHERE first = ?", (_bits(row), row.first))
            row.is_touched = False

    def _take_snapshot(self) -> str:
        """Drop the fingerprints that a file of the seen set holds, when it is complete. Returns the
        name of that file."""
        snapshot = self._snapshot
        if snapshot is None or not snapshot.ready():
            return ""
        self._snapshot = None
        name, number = str(snapshot.get()[0]), int(snapshot.get()[1])
        if not name:
            return ""
        self._put({"seen": name})
        self._do("UPDATE step SET marks = NULL WHERE number <= ?", (number,))
        empty = "DELETE FROM step WHERE number <= ? AND coalesce(marks, ended, starts) IS NULL"
        self._do(empty, (min(number, self._folded - 1),))
        self._logged = len(self._joined("marks", number))
        return name

    def _begin_snapshot(self) -> None:
        if self._snapshot is None:
            path = self._folder / sqlite_files.seen_name(self._number)
            self._snapshot = self._threads[1].spawn(_written, self._seen, path, self._number)

    def _close(self, is_clean: bool) -> None:
        assert self._database is not None
        kept = ""
        try:
            if is_clean:
                with sqlite_files.transaction(self._database):
                    self._fold()
                    kept = self._take_snapshot()
                    self._put({"clean": 1})
        finally:
            self._let_go()
        if kept:
            sqlite_files.drop_seen(self._folder, kept)

    def _clear(self) -> None:
        assert self._database is not None
        sqlite_files.emptied(self._database)
        self._let_go()
        sqlite_files.remove(self._folder)

    def _let_go(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._asked is not None:
            self._asked.close()
            self._asked = None

    def _put(self, values: dict[str, Any]) -> None:
        assert self._database is not None
        query = "INSERT OR REPLACE INTO run (name, value) VALUES (?, ?)"
        self._database.executemany(query, values.items())

    def _do(self, query: str, values: Sequence[Any] = ()) -> None:
        assert self._database is not None
        self._database.execute(query, values)

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        assert self._database is not None
        return self._database.execute(query, values).fetchall()


def _caught(step: Callable[[], T], folder: Path) -> tuple[T | None, Exception | None]:
    try:
        return step(), None
    except Exception as error:
        return None, sqlite_files.translated(error, folder)


def _written(seen: LoggedSeen, path: Path, number: int) -> tuple[str, int]:
    """Write the seen set. Without room it stays in the journal, and the name is empty."""
    try:
        seen_file.write(seen, path)
    except OSError as error:
        log.warning("the seen set could not be written; it stays in the journal", error=str(error))
        path.with_suffix(".part").unlink(missing_ok=True)
        return "", number
    return path.name, number


def _bits(row: Row) -> bytes:
    return sealed(row.live.to_bytes((row.live.bit_length() + 7) // 8, "little"))


def _left_s(until_s: float, asked_s: float, now_s: float) -> float:
    """What is left of a pause. A wall clock that was set back makes it no longer."""
    return min(until_s - now_s, asked_s)
