"""Requests that wait on disk, because a crawl has more of them than it may hold in memory.

They lie in a private temporary database of SQLite, which has no name and is gone with the process,
however that ends. Each row is a chunk of requests for one site. Whatever touches the disk runs in
the hub's native threads; the calls here return when it is done, and others run meanwhile.
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
"""So many requests are written or read at once: a few milliseconds of work."""
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
    """Requests that wait cannot be written to disk, or read from it: the crawl cannot go on."""


class Chunk(NamedTuple):
    """Requests of one site, as they are written."""

    site: str
    orphan: bool
    """Whether nothing in memory knows of this site."""
    priority: int
    """The highest of them."""
    size: int
    data: bytes
    """So many requests, a list in JSON."""


@dataclass
class Loaded:
    """Requests of one site that were on disk, and are no longer."""

    site: str
    records: list[Any]
    priority: int = 0
    """No request of the site that is left there has a higher one."""
    more: bool = False
    """Whether any is left there."""


class DiskQueue:
    """The requests of one crawl that wait on disk."""

    def __init__(self) -> None:
        self._database: sqlite3.Connection | None = None
        self._under_way: AsyncResult[Any] | None = None
        """What a native thread does with it, or did last."""
        self.size = 0
        """How many there are."""
        self.orphans = 0
        """How many chunks are of sites that nothing in memory knows of."""

    def write(self, chunks: Sequence[Chunk]) -> None:
        """Put requests on disk; raises DiskQueueFailed."""
        self.size += sum(chunk.size for chunk in chunks)
        self.orphans += sum(chunk.orphan for chunk in chunks)
        self._apart(self._write, chunks)

    def take(self, site: str) -> Loaded:
        """Take the best requests of a site from the disk, about a chunk; raises DiskQueueFailed."""
        return self._taken(*self._apart(self._take, site))

    def adopt(self, sites: int) -> list[Loaded]:
        """Take requests of as many sites as that, of those that wait there longest."""
        return [self._taken(*found) for found in self._apart(self._adopt, sites)]

    def close(self) -> None:
        """Forget all of it; what a native thread still does with it comes to its end first."""
        if self._under_way is None or self._under_way.ready():
            self._let_go()
        else:
            self._under_way.rawlink(lambda _: self._let_go())

    def _let_go(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _apart(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something in a native thread; others run meanwhile.

        Whoever is cut off while it waits here leaves the thread at work: `close` knows of it.
        """
        import sqlite3

        try:
            self._under_way = gevent.get_hub().threadpool.spawn(step, *args, **kwargs)
            done: T = self._under_way.get()
        except (sqlite3.Error, OSError) as error:
            raise DiskQueueFailed(
                f"waiting requests could not be written to disk: {error}; is there room in the"
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
            weakref.finalize(self, self._database.close)  # should nobody close it
            self._database.executescript(_TABLE)
        return self._database

    def _write(self, chunks: Sequence[Chunk]) -> None:
        database = self._open()
        database.execute("BEGIN")
        database.executemany(_WRITE, ((c.site, c.orphan, c.priority, c.data) for c in chunks))
        database.execute("COMMIT")

    def _take(self, site: str) -> tuple[Loaded, int]:
        """Take from a site; how many of its chunks were orphans."""
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
