"""Stores answers on disk for the HTTP cache, so that work on a spider does not burden its sites.

cache_policy.py decides what is stored and used. An error of the disk counts as a miss.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from crawler.engine.download.cookies import host_of, sent
from crawler.engine.download.rfc9111 import Entry, varying
from crawler.engine.http.headers import Headers
from crawler.engine.http.messages import FetchAnswer, FetchCall
from crawler.logs import get_logger
from crawler.settings.sections import WorkerSettings

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

log = get_logger(__name__)

PATIENCE_S = 0.2
"""The seconds to wait while another process locks the file; the hub waits."""
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
PRAGMA user_version = 2;
CREATE TABLE IF NOT EXISTS answers (
    url TEXT PRIMARY KEY, stored_s REAL, status INTEGER, headers BLOB, vary TEXT, body BLOB,
    cookies TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_age ON answers (stored_s);
"""
_VERSION = 2
_FIND = "SELECT stored_s, status, headers, vary, body, cookies FROM answers WHERE url = ?"


class Cache:
    """Stores answers by URL in one SQLite file. Above `most_bytes` the oldest answers go."""

    def __init__(self, folder: Path, most_bytes: int = WorkerSettings.cache_bytes) -> None:
        self._file = folder / "answers.sqlite"
        self._most_bytes = most_bytes
        self._bytes = 0
        self._db: sqlite3.Connection | None = None

    def get(self, owner: str, call: FetchCall) -> Entry | None:
        """The stored answer for a request of a task, fresh or not."""
        key = _key(owner, call)
        found = self._attempt(lambda db: db.execute(_FIND, (key,)).fetchone())
        if found is None:
            return None
        stored_s, status, headers, vary, body, kept = found
        lines = headers.splitlines(keepends=True)
        entry = Entry(stored_s, status, lines, json.loads(vary), body, json.loads(kept))
        return entry if _matches(entry, call) else None

    def put(
        self, owner: str, call: FetchCall, answer: FetchAnswer, now_s: float, cookies: str
    ) -> None:
        """Store an answer in place of an older one.

        `now_s` is wall time. `cookies` is the header Cookie that was sent. What the answer has set
        is in the jar by now.
        """
        headers = Headers.parse(answer.header_lines)
        vary = json.dumps(varying(call, headers, lambda: cookies))
        row = (
            _key(owner, call),
            now_s,
            answer.status,
            b"".join(line.rstrip() + b"\r\n" for line in answer.header_lines),
            vary,
            answer.body,
            json.dumps(_set_cookies(call, headers)),
        )
        self._attempt(lambda db: self._store(db, row, len(answer.body)))

    def close(self) -> None:
        """Close the file. The next use opens it again."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _attempt(self, step: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do something with the file; None when the disk, or another process, does not let it."""
        import sqlite3  # most crawls have no cache

        with suppress(sqlite3.Error, OSError):
            return step(self._open())
        return None

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        if self._db is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._db = self._connect()
            except sqlite3.DatabaseError as error:
                log.warning("the HTTP cache is broken; starting a new one", error=str(error))
                self._file.replace(self._file.with_suffix(".broken"))
                self._db = self._connect()
        return self._db

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        db = sqlite3.connect(self._file, timeout=PATIENCE_S, isolation_level=None)
        if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            db.execute("DROP TABLE IF EXISTS answers")  # of another version of the crawler
        db.executescript(_SCHEMA)
        self._bytes = db.execute("SELECT coalesce(sum(length(body)), 0) FROM answers").fetchone()[0]
        return db

    def _store(self, db: sqlite3.Connection, row: tuple[Any, ...], size: int) -> None:
        db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self._bytes += size
        if self._bytes > self._most_bytes:
            self._shrink(db)

    def _shrink(self, db: sqlite3.Connection) -> None:
        """Drop the older half of the answers."""
        db.execute(
            "DELETE FROM answers WHERE url IN (SELECT url FROM answers ORDER BY stored_s"
            " LIMIT (SELECT (count(*) + 1) / 2 FROM answers))"
        )
        self._bytes = db.execute("SELECT coalesce(sum(length(body)), 0) FROM answers").fetchone()[0]


def _key(owner: str, call: FetchCall) -> str:
    """The key of an answer. Each task has its own, because a login makes pages private."""
    return f"{owner} {call.url}"


def _matches(entry: Entry, call: FetchCall) -> bool:
    return varying(call, entry.headers, lambda: sent(call)) == entry.vary


def _set_cookies(call: FetchCall, headers: Headers) -> Sequence[str]:
    """What an answer has set in the jar of its request."""
    if call.jar is None or "set-cookie" not in headers:
        return ()
    pairs = (line.partition(";")[0] for line in headers.getall("set-cookie"))
    names = {pair.partition("=")[0].strip() for pair in pairs}
    return call.jar.lines_of(names, host_of(call))
