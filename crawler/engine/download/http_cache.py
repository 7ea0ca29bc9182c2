"""Stores answers on disk for the HTTP cache, so that work on a spider does not burden its sites.

cache_policy.py decides what is stored and used. An error of the disk counts as a miss.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from crawler.engine.download.cookies import sent
from crawler.engine.download.rfc9111 import Entry, varying
from crawler.engine.http.headers import Headers
from crawler.engine.http.messages import FetchAnswer, FetchCall
from crawler.logs import get_logger
from crawler.settings.worker import WorkerSettings

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

log = get_logger(__name__)

PATIENCE_S = 0.2
"""The seconds to wait while another process locks the file; the hub waits."""
_VERSION = 4
_SCHEMA = f"""
BEGIN IMMEDIATE;
DROP TABLE IF EXISTS answers;
DROP TABLE IF EXISTS total;
CREATE TABLE answers (
    url TEXT PRIMARY KEY, stored_s REAL, status INTEGER, headers BLOB, vary TEXT, body BLOB,
    cookies TEXT
) WITHOUT ROWID;
CREATE INDEX by_age ON answers (stored_s);
CREATE TABLE total (bytes INTEGER);
INSERT INTO total VALUES (0);
CREATE TRIGGER stored AFTER INSERT ON answers BEGIN
    UPDATE total SET bytes = bytes + length(new.body);
END;
CREATE TRIGGER dropped AFTER DELETE ON answers BEGIN
    UPDATE total SET bytes = bytes - length(old.body);
END;
PRAGMA user_version = {_VERSION};
COMMIT;
"""
"""The total is in the file, because several processes may write it."""
_PARTS = ("-wal", "-shm", "")
"""What SQLite adds to the name of its file, for the files that belong together. A file that is new
must never find the log of another, so the file itself goes last."""
_FIND = "SELECT stored_s, status, headers, vary, body, cookies FROM answers WHERE url = ?"


class Cache:
    """Stores answers by URL in one SQLite file. Above `most_bytes` the oldest answers go."""

    def __init__(self, folder: Path, most_bytes: int = WorkerSettings.cache_bytes) -> None:
        self._file = folder / "answers.sqlite"
        self._most_bytes = most_bytes
        self._db: sqlite3.Connection | None = None
        self._is_told = False
        """Whether a warning has told that the file cannot be opened."""

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
        self,
        owner: str,
        call: FetchCall,
        answer: FetchAnswer,
        now_s: float,
        cookies: str,
        received: Sequence[str],
    ) -> None:
        """Store an answer in place of an older one.

        `now_s` is wall time. `cookies` is the header Cookie that was sent. `received` are the
        cookies that the answer has set, as lines of a jar.
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
            json.dumps(received),
        )
        self._attempt(lambda db: self._store(db, row))

    def close(self) -> None:
        """Close the file. The next use opens it again."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _attempt(self, step: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do something with the file; None when the disk, or another process, does not let it."""
        import sqlite3  # most crawls have no cache

        try:
            db = self._db = self._db or self._open()
        except (sqlite3.Error, OSError) as error:
            self._tell_closed(error)
            return None
        self._is_told = False
        with suppress(sqlite3.Error, OSError):
            return step(db)
        return None

    def _tell_closed(self, error: Exception) -> None:
        """Warn once for all the requests that find the file closed."""
        if not self._is_told:
            log.warning(
                "the HTTP cache cannot be opened; pages are fetched until it can. Does another"
                " program use the file, or has the disk no room?",
                file=str(self._file),
                error=str(error),
            )
        self._is_told = True

    def _open(self, is_new: bool = False) -> sqlite3.Connection:
        """Open the file. A broken one is kept aside, but none that another process has locked."""
        import sqlite3

        self._file.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._file, timeout=PATIENCE_S, isolation_level=None)
        try:
            self._prepare(db)
        except sqlite3.Error as error:
            with closing(db):  # at the end, because SQLite takes away the log of what it closes
                if is_new or not _is_broken(error):
                    raise
                self._keep_aside(error)
        else:
            return db
        return self._open(is_new=True)

    def _keep_aside(self, error: Exception) -> None:
        kept = self._file.with_suffix(".broken")
        log.warning(
            "the HTTP cache is broken; starting a new one", error=str(error), kept=str(kept)
        )
        for part in _PARTS:
            with suppress(FileNotFoundError):
                Path(f"{self._file}{part}").replace(f"{kept}{part}")

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Create what is missing. A file that is ready is only read: that needs no lock."""
        if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            db.executescript(_SCHEMA)  # answers of another version of the crawler go
        db.execute("PRAGMA recursive_triggers = ON")  # else a replaced answer counts on

    def _store(self, db: sqlite3.Connection, row: tuple[Any, ...]) -> None:
        db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        [total] = db.execute("SELECT bytes FROM total").fetchone()
        if total > self._most_bytes:
            _shrink(db)


def _shrink(db: sqlite3.Connection) -> None:
    """Drop the older half of the answers."""
    db.execute(
        "DELETE FROM answers WHERE url IN (SELECT url FROM answers ORDER BY stored_s"
        " LIMIT (SELECT (count(*) + 1) / 2 FROM answers))"
    )


def _key(owner: str, call: FetchCall) -> str:
    """The key of an answer. Each session of each task has its own, because a login makes pages
    private, and what one session was given is not for another."""
    session = None if call.jar is None else call.jar.session
    return json.dumps([owner, session, call.url])


def _is_broken(error: Exception) -> bool:
    """Whether an error of SQLite says that a file holds no database, or one in ruins."""
    import sqlite3

    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _matches(entry: Entry, call: FetchCall) -> bool:
    return varying(call, entry.headers, lambda: sent(call)) == entry.vary
