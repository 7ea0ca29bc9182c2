"""Keeps waiting requests on disk, if a crawl has more than it may keep in memory.

They lie in a private temporary SQLite database without a name. The operating system removes it when
the process ends, however it ends. Each row is a chunk of requests for one site. Native threads of
the hub do all disk access; a call here returns when it is done, and other greenlets run meanwhile.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

import gevent
from gevent.event import AsyncResult

from crawler.errors import CrawlerError

if TYPE_CHECKING:
    import sqlite3

P = ParamSpec("P")
T = TypeVar("T")

CHUNK = 256
"""The number of requests that are written or read at once: a few milliseconds of work."""
_TABLE = """
PRAGMA synchronous = OFF;
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -4000;
CREATE TABLE chunk (id INTEGER PRIMARY KEY, site TEXT, orphan INTEGER, priority INTEGER, data BLOB);
CREATE INDEX by_site ON chunk (site, priority DESC, id);
CREATE INDEX orphans ON chunk (id) WHERE orphan;
"""
_WRITE = "INSERT INTO chunk (site, orphan, priority, data) VALUES (?, ?, ?, ?)"
_OF_SITE = """
SELECT id, orphan, priority, data FROM chunk WHERE site = ? ORDER BY priority DESC, id
"""
_ADOPT = "UPDATE chunk SET orphan = 0 WHERE site = ? AND orphan"
_ORPHANS = "SELECT site FROM chunk WHERE orphan ORDER BY id LIMIT ?"


class DiskQueueFailed(CrawlerError):
    """Waiting requests cannot be written to disk or read from it. This ends the crawl."""


class Chunk(NamedTuple):
    """Requests of one site, as they are written to disk."""

    site: str
    orphan: bool
    """Whether the site has no queue in memory."""
    priority: int
    """The highest priority of these requests."""
    size: int
    data: bytes
    """The requests, a list in JSON."""


@dataclass
class Loaded:
    """Requests of one site that were taken from the disk."""

    site: str
    records: list[Any]
    priority: int = 0
    """The highest priority of the site's requests that are still on disk."""
    more: bool = False
    """Whether requests of the site are still on disk."""


class DiskQueue:
    """The requests of one crawl that wait on disk."""

    def __init__(self) -> None:
        self._database: sqlite3.Connection | None = None
        self._under_way: AsyncResult[Any] | None = None
        """What a native thread does with the database now, or did last."""
        self.size = 0
        """The number of requests on disk."""
        self.orphans = 0
        """The number of chunks whose site has no queue in memory."""

    def write(self, chunks: Sequence[Chunk]) -> None:
        """Write requests to disk. Raises DiskQueueFailed."""
        self.size += sum(chunk.size for chunk in chunks)
        self.orphans += sum(chunk.orphan for chunk in chunks)
        self._apart(self._write, chunks)

    def take(self, site: str) -> Loaded:
        """Take the most urgent requests of a site, about a chunk. Raises DiskQueueFailed."""
        return self._taken(*self._apart(self._take, site))

    def adopt(self, sites: int) -> list[Loaded]:
        """Take requests of so many sites, the longest waiting first. Raises DiskQueueFailed."""
        return [self._taken(*found) for found in self._apart(self._adopt, sites)]

    def close(self) -> None:
        """Remove all requests. If a native thread still uses the database, it finishes first."""
        if self._under_way is None or self._under_way.ready():
            self._let_go()
        else:
            self._under_way.rawlink(lambda _: self._let_go())

    def _let_go(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _apart(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step in a native thread, while other greenlets run.

        If the calling greenlet is killed meanwhile, the thread goes on; `close` waits for it.
        """
        import sqlite3

        try:
            self._under_way = gevent.get_hub().threadpool.spawn(step, *args, **kwargs)
            done: T = self._under_way.get()
        except (sqlite3.Error, OSError) as error:
            raise DiskQueueFailed(
                f"waiting requests could not be kept on disk: {error}; is there room in the"
                " folder for temporary files (TMPDIR), or may max_pending be higher?"
            ) from error
        return done

    def _taken(self, loaded: Loaded, orphans: int) -> Loaded:
        self.size -= len(loaded.records)
        self.orphans -= orphans
        return loaded

    def _open(self) -> sqlite3.Connection:
        import sqlite3  # most crawls write nothing to disk

        if self._database is None:
            self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._database.close)  # in case nobody closes it
            self._database.executescript(_TABLE)
        return self._database

    def _write(self, chunks: Sequence[Chunk]) -> None:
        database = self._open()
        database.execute("BEGIN")
        database.executemany(_WRITE, ((c.site, c.orphan, c.priority, c.data) for c in chunks))
        database.execute("COMMIT")

    def _take(self, site: str) -> tuple[Loaded, int]:
        """Take requests of a site. The second value is how many of their chunks were orphans."""
        database = self._open()
        loaded, orphans, ids = Loaded(site, []), 0, []
        rows = database.execute(_OF_SITE, (site,))
        for number, orphan, priority, data in rows:
            if len(loaded.records) >= CHUNK:
                loaded.priority, loaded.more = priority, True
                break
            loaded.records += json.loads(data)
            orphans += orphan
            ids.append((number,))
        rows.close()
        database.executemany("DELETE FROM chunk WHERE id = ?", ids)
        return loaded, orphans

    def _adopt(self, sites: int) -> list[tuple[Loaded, int]]:
        database = self._open()
        found = database.execute(_ORPHANS, (sites,)).fetchall()
        return [self._adopted(site) for site in dict.fromkeys(site for (site,) in found)]

    def _adopted(self, site: str) -> tuple[Loaded, int]:
        loaded, orphans = self._take(site)
        if loaded.more:
            orphans += self._open().execute(_ADOPT, (site,)).rowcount
        return loaded, orphans
