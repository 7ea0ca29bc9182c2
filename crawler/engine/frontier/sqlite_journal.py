"""The journal of a store in files: each step is one transaction of a few rows.

Fingerprints are one value, ended ids are one value, new requests are chunks. From time to time the
rows of many steps are folded into few, so nothing grows for ever. One native thread calls all this.
"""

from __future__ import annotations

import json
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from crawler.engine.frontier import sqlite_files
from crawler.engine.frontier.asked import Asked
from crawler.engine.frontier.sealed import BrokenSeal, numbers, opened, sealed
from crawler.engine.frontier.seen import LoggedSeen
from crawler.engine.frontier.sqlite_requests import KeptRequests
from crawler.engine.frontier.store import (
    Found,
    Rest,
    StaleRun,
    Step,
    StoreFailed,
    StoreInUse,
    Waiting,
    left_s,
)

FOLD_STEPS = 512
"""After so many steps their rows are folded."""
_STATE = "state."

T = TypeVar("T")

Snapshot = tuple[str, int]
"""The name of a complete file of the seen set, and the number of the step that it holds."""


class SqliteJournal:
    """The journal in one file, for one run. The file stays locked until `close`."""

    def __init__(self, folder: Path, now_s: Callable[[], float]) -> None:
        """Open and lock the file. `now_s` is wall time."""
        self._folder = folder
        self._now_s = now_s
        self._database = sqlite_files.connected(folder)
        self._requests = KeptRequests(self._database, now_s)
        try:
            self.asked = Asked(folder / sqlite_files.ASKED)
        except BaseException:
            self._database.close()
            raise
        self.number = 0
        """The number of the last step."""
        self._folded = 0
        """The number of the last step that was folded."""
        self._steps = 0
        """The number of rows with steps."""
        self._names: set[str] = set()
        """The names of the values in the table `run`."""
        self.seen = LoggedSeen()
        self.logged = 0
        """The fingerprints that are not in the file of the seen set."""

    def load(self, epoch: int | None) -> Found:
        """Read everything, and begin a run. Raises StaleRun and BrokenSeal."""
        values = dict(self._database.execute("SELECT name, value FROM run").fetchall())
        self._names = set(values)
        last = json.loads(opened(values["epoch"], "epoch")) if "epoch" in values else 0
        if epoch is not None and epoch <= last:
            raise StaleRun(f"{self._folder}: epoch {epoch} is over; the last one is {last}", last)
        found = self._found(values)
        found.epoch = last + 1 if epoch is None else epoch
        with sqlite_files.transaction(self._database):
            self._put({"epoch": json.dumps(found.epoch)})
        sqlite_files.drop_seen(self._folder, _text(values, "seen", ""))
        return found

    def glance(self) -> tuple[dict[str, str], int]:
        """The texts, and how many requests have no end. Begins no run. Raises BrokenSeal."""
        values = dict(self._database.execute("SELECT name, value FROM run").fetchall())
        query = "SELECT coalesce(max(is_fold * number), 0) FROM step"
        [(self._folded,)] = self._database.execute(query).fetchall()
        self._requests.load(self._joined("ended", self._folded))
        return _texts(values), len(self._requests)

    def lease(self, most: int) -> Sequence[Waiting]:
        """Take requests that nobody holds."""
        return self._requests.lease(most)

    def tally(self, kind: Callable[[bytes], T]) -> Counter[T]:
        """Count the requests without an end by what their records tell."""
        return Counter(kind(request.record) for request in self._requests)

    def write(self, step: Step, snapshot: Snapshot | None) -> None:
        """Take a step, and drop what a file of the seen set holds."""
        for id in step.given_back:
            self._requests.give_back(id)
        with sqlite_files.transaction(self._database):
            self.number += 1
            self._requests.add(step.added)
            self._requests.change(step.changed)
            self._requests.end(step.ended)
            self._insert(step)
            if self.number - self._folded >= FOLD_STEPS:
                self._fold()
            self._adopt(snapshot)
            self._put({**self._values(step), "clean": "false"})
        self._drop_others(snapshot)

    def close(self, is_clean: bool, snapshot: Snapshot | None) -> None:
        """Close the file. `is_clean` says that the last step holds all that the run has done."""
        try:
            if is_clean:
                with sqlite_files.transaction(self._database):
                    self._fold()
                    self._adopt(snapshot)
                    self._put({"clean": "true"})
        finally:
            self.let_go()
        if is_clean:
            self._drop_others(snapshot)

    def clear(self) -> None:
        """Remove the files."""
        sqlite_files.remove(self._database, self._folder)
        self.let_go()

    def let_go(self) -> None:
        """Close the files as they are."""
        self._database.close()
        self.asked.close()

    def _found(self, values: dict[str, Any]) -> Found:
        self._load_seen(_text(values, "seen", ""))
        query = "SELECT count(*), coalesce(max(number), 0), max(is_fold * number) FROM step"
        [(self._steps, self.number, folded)] = self._database.execute(query).fetchall()
        self._folded = folded or 0
        self._requests.load(self._joined("ended", self._folded))
        if values and _text(values, "rows", "") != self._sizes():
            raise BrokenSeal("rows are missing")
        self._requests.next_id, sent, *in_flight = json.loads(_text(values, "now", "[0, 0]"))
        found = Found(
            epoch=0,
            is_new="epoch" not in values,
            is_clean=_text(values, "clean", "true") == "true",
            waiting=len(self._requests),
            next_id=self._requests.next_id,
            seen=self.seen,
            starts=self._joined("starts", 0),
            asked=[*in_flight, *self.asked.since(sent)],
            sent=self.asked.count,
            rests=self._rests(json.loads(_text(values, "rests", "{}"))),
            state=_texts(values),
        )
        if found.sent:
            found.idle_s = max(0.0, self._now_s() - self.asked.last_s)
        return found

    def _load_seen(self, name: str) -> None:
        if name:
            self.seen = sqlite_files.read_seen(self._folder / name)
        marks = self._joined("marks", 0)
        self.logged = len(marks)
        self.seen.restore(marks)

    def _rests(self, kept: dict[str, Any]) -> dict[str, Rest]:
        now_s = self._now_s()
        found = {
            host: Rest(left_s(until_s, asked_s, now_s), pause_s, is_down)
            for host, (until_s, asked_s, pause_s, is_down) in kept.items()
        }
        return {host: rest for host, rest in found.items() if rest.left_s > 0}

    def _joined(self, column: str, after: int) -> array[int]:
        """The numbers in a column of all steps after one."""
        whole = array("Q")
        query = f"SELECT number, is_fold, {column} FROM step WHERE number > ? ORDER BY number"
        for number, is_fold, blob in self._database.execute(query, (after,)):
            if blob is not None:
                whole += numbers(blob, column, number, is_fold)
        return whole

    def _insert(self, step: Step) -> None:
        ended = array("Q", [*step.ended, *(request.id for request in step.changed)])
        self.logged += len(step.marks)
        self._insert_row(0, marks=step.marks, ended=ended, starts=step.starts)

    def _insert_row(self, is_fold: int, **columns: array[int]) -> None:
        blobs = [
            sealed(values.tobytes(), name, self.number, is_fold) if values else None
            for name, values in columns.items()
        ]
        names, marks = ", ".join(columns), ", ?" * len(columns)
        query = f"INSERT INTO step (number, is_fold, {names}) VALUES (?, ?{marks})"
        self._database.execute(query, (self.number, is_fold, *blobs))
        self._steps += 1

    def _values(self, step: Step) -> dict[str, str]:
        now_s = self._now_s()
        made = {f"{_STATE}{name}": text for name, text in step.state.items()}
        if step.rests is not None:
            made["rests"] = json.dumps(
                {host: (now_s + rest.left_s, *rest) for host, rest in step.rests.items()}
            )
        made["now"] = json.dumps([self._requests.next_id, step.sent, *step.in_flight])
        return made

    def _sizes(self) -> str:
        """How many rows each table has: SQLite does not notice when one is missing."""
        return json.dumps([self._steps, *self._requests.sizes, len(self._names)])

    def _fold(self) -> None:
        """Make one row of the steps since the last fold, and write down which requests wait."""
        if self.number == self._folded:
            return
        marks, starts = (self._joined(column, self._folded) for column in ("marks", "starts"))
        self._delete_steps("number > ?", self._folded)
        self._insert_row(1, marks=marks, starts=starts)
        self._folded = self.number
        self._requests.fold()

    def _adopt(self, snapshot: Snapshot | None) -> None:
        """Drop the fingerprints that a file of the seen set holds."""
        if snapshot is None:
            return
        name, number = snapshot
        self._put({"seen": name})
        query = "UPDATE step SET marks = NULL WHERE number <= ?"
        self._database.execute(query, (number,))
        empty = "number <= ? AND coalesce(marks, ended, starts) IS NULL"
        self._delete_steps(empty, min(number, self._folded - 1))
        self.logged = len(self._joined("marks", number))

    def _delete_steps(self, which: str, number: int) -> None:
        query = f"DELETE FROM step WHERE {which}"
        self._steps -= self._database.execute(query, (number,)).rowcount

    def _drop_others(self, snapshot: Snapshot | None) -> None:
        if snapshot is not None:
            sqlite_files.drop_seen(self._folder, snapshot[0])

    def _put(self, values: dict[str, str]) -> None:
        self._names.update(values, ("rows",))
        values = {**values, "rows": self._sizes()}
        rows = ((name, sealed(text.encode(), name)) for name, text in values.items())
        self._database.executemany("INSERT OR REPLACE INTO run (name, value) VALUES (?, ?)", rows)


def glance(folder: Path) -> tuple[dict[str, str], int]:
    """The texts of a store, and how many requests have no end. Reads no seen set, begins no run,
    and puts nothing aside. Raises StoreInUse and StoreFailed."""
    import sqlite3

    try:
        journal = SqliteJournal(folder, time.time)
        try:
            return journal.glance()
        finally:
            journal.let_go()
    except (sqlite3.Error, BrokenSeal, ValueError) as error:
        if sqlite_files.is_busy(error):
            raise StoreInUse(f"{folder} is in use") from error
        raise StoreFailed(f"{folder} cannot be read: {error}") from error


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """The texts that a crawl keeps, by name."""
    names = (name for name in values if name.startswith(_STATE))
    return {name.removeprefix(_STATE): _text(values, name, "") for name in names}


def _text(values: dict[str, Any], name: str, default: str) -> str:
    return opened(values[name], name).decode() if name in values else default
