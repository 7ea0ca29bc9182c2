"""The HTTP cache: answers kept on disk, so that a spider under work does not trouble its sites.

`always` keeps whatever came and gives it back until it expires. `rfc9111` is a private cache after
a part of RFC 9111: no-store, no-cache, max-age, Expires, the heuristic by Last-Modified, Vary, and
validation by ETag and Last-Modified. Only GET is cached. What the disk makes go wrong is a miss.
"""

from __future__ import annotations

import email.utils
import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from crawler.engine.http.headers import Headers
from crawler.engine.http.messages import FetchAnswer, FetchCall
from crawler.logs import get_logger

log = get_logger(__name__)

OFF, ALWAYS, RFC9111 = "none", "always", "rfc9111"
MOST_BYTES = 1_000_000_000
HEURISTIC_SHARE = 0.1
"""Without a word on freshness, a page is fresh for this share of its age when it came."""
MOST_HEURISTIC_S = 86_400.0
PATIENCE_S = 0.2
"""So long another process may hold the file; the hub waits."""
_STORABLE = frozenset({200, 203, 204, 300, 301, 308, 404, 410})
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS answers (
    url TEXT PRIMARY KEY, stored_s REAL, status INTEGER, headers BLOB, vary TEXT, body BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_age ON answers (stored_s);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored answer."""

    stored_s: float
    """Wall time."""
    status: int
    header_lines: Sequence[bytes]
    vary: Mapping[str, str]
    """What the request said in the headers that the answer varies by."""
    body: bytes

    @property
    def headers(self) -> Headers:
        """Its headers."""
        return Headers.parse(self.header_lines)

    def answer(self) -> FetchAnswer:
        """As if it had just come."""
        return FetchAnswer(self.status, self.header_lines, self.body, 0.0, cached=True)


class Cache:
    """Answers by URL, in one SQLite file; the oldest go when there are more than `most_bytes`."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._file = folder / "answers.sqlite"
        self._most_bytes = most_bytes
        self._bytes = 0
        self._db: sqlite3.Connection | None = None

    def get(self, owner: str, call: FetchCall) -> Entry | None:
        """What is stored for a request of that task, fresh or not."""
        with suppress(sqlite3.Error, OSError):
            found = self._open().execute(
                "SELECT stored_s, status, headers, vary, body FROM answers WHERE url = ?",
                (_key(owner, call),),
            )
            for stored_s, status, headers, vary, body in found:
                lines = headers.splitlines(keepends=True)
                entry = Entry(stored_s, status, lines, json.loads(vary), body)
                return entry if _matches(entry, call) else None
        return None

    def put(self, owner: str, call: FetchCall, answer: FetchAnswer, now_s: float) -> None:
        """Keep an answer in the place of an older one; `now_s` is wall time."""
        vary = json.dumps(varying(call, Headers.parse(answer.header_lines)))
        row = (
            _key(owner, call),
            now_s,
            answer.status,
            b"".join(line.rstrip() + b"\r\n" for line in answer.header_lines),
            vary,
            answer.body,
        )
        with suppress(sqlite3.Error, OSError):
            self._open().execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)
            self._bytes += len(answer.body)
            if self._bytes > self._most_bytes:
                self._shrink()

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._db = self._connect()
            except sqlite3.DatabaseError as error:
                log.warning("the HTTP cache is broken: begins anew", error=str(error))
                self._file.replace(self._file.with_suffix(".broken"))
                self._db = self._connect()
        return self._db

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._file, timeout=PATIENCE_S, isolation_level=None)
        db.executescript(_SCHEMA)
        self._bytes = db.execute("SELECT coalesce(sum(length(body)), 0) FROM answers").fetchone()[0]
        return db

    def _shrink(self) -> None:
        """Drop the older half of the answers."""
        db = self._open()
        db.execute(
            "DELETE FROM answers WHERE url IN (SELECT url FROM answers ORDER BY stored_s"
            " LIMIT (SELECT (count(*) + 1) / 2 FROM answers))"
        )
        self._bytes = db.execute("SELECT coalesce(sum(length(body)), 0) FROM answers").fetchone()[0]


def _key(owner: str, call: FetchCall) -> str:
    """Each task has answers of its own: those of one that is logged in are not for others."""
    return f"{owner} {call.url}"


def is_storable(answer: FetchAnswer) -> bool:
    """Whether RFC 9111 lets a private cache keep an answer."""
    headers = Headers.parse(answer.header_lines)
    said = directives(headers)
    if answer.status not in _STORABLE or "no-store" in said:
        return False
    return "*" not in headers.get("vary", "")


def is_fresh(entry: Entry, now_s: float) -> bool:
    """Whether a stored answer may be used as it is (RFC 9111, 4.2)."""
    headers = entry.headers
    if "no-cache" in directives(headers):
        return False
    age_s = now_s - entry.stored_s + _number(headers.get("age"), 0.0)
    return age_s < lifetime_s(headers, entry.stored_s)


def lifetime_s(headers: Headers, stored_s: float) -> float:
    """How long an answer is fresh, from when it was made."""
    said = directives(headers)
    if "max-age" in said:
        return _number(said["max-age"], 0.0)
    made_s = _moment_s(headers.get("date")) or stored_s
    if "expires" in headers:
        expires_s = _moment_s(headers["expires"])
        return 0.0 if expires_s is None else expires_s - made_s
    changed_s = _moment_s(headers.get("last-modified"))
    if changed_s is None:
        return 0.0
    return min(max(0.0, made_s - changed_s) * HEURISTIC_SHARE, MOST_HEURISTIC_S)


def validators(entry: Entry) -> Sequence[str]:
    """The header lines by which a site tells whether a stored answer still holds."""
    headers = entry.headers
    asked = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
    return [f"{name}: {headers[source]}" for name, source in asked if source in headers]


def validated(entry: Entry, fresh: FetchAnswer) -> FetchAnswer:
    """The stored answer, with the headers that a 304 brought in the place of its own."""
    renewed = {line.partition(b":")[0].strip().lower() for line in fresh.header_lines}
    renewed -= {b"content-length", b"content-encoding", b"transfer-encoding"}
    kept = [
        line
        for line in entry.header_lines
        if line.partition(b":")[0].strip().lower() not in renewed and b":" in line
    ]
    added = [
        line
        for line in fresh.header_lines
        if line.partition(b":")[0].strip().lower() in renewed and b":" in line
    ]
    answer = replace(entry.answer(), header_lines=[*kept, *added])
    return replace(answer, seconds=fresh.seconds, waited_s=fresh.waited_s)


def directives(headers: Headers) -> Mapping[str, str]:
    """What Cache-Control says: name → value."""
    parts = ", ".join(headers.getall("cache-control")).lower().split(",")
    pairs = (part.strip().partition("=") for part in parts if part.strip())
    return {name: value.strip('"') for name, _, value in pairs}


def varying(call: FetchCall, headers: Headers) -> Mapping[str, str]:
    """What a request says in the headers by which an answer varies."""
    names = {name.strip().lower() for name in ", ".join(headers.getall("vary")).split(",")}
    sent = (line.partition(":") for line in call.headers)
    return {name.lower(): value.strip() for name, _, value in sent if name.lower() in names}


def _matches(entry: Entry, call: FetchCall) -> bool:
    return varying(call, entry.headers) == entry.vary


def _number(text: str | None, default: float) -> float:
    return float(text) if text and text.isdecimal() else default


def _moment_s(text: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text or "").timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
