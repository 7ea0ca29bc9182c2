"""The history of a cluster: takes what the leader commits, and has a native thread write it.

Nothing waits for the database. What it does not take waits in a queue of bounded length. If the
queue is full, further changes are dropped and counted. When the database is back, the leader
writes what the resources themselves still say of them. A new leader begins with that, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import gevent
from gevent.event import Event as Signal
from gevent.threadpool import ThreadPool

from crawler.clock import Clock
from crawler.errors import CrawlerError, NotFound, Unavailable
from crawler.history.events import Seen
from crawler.history.failures import Away
from crawler.history.history import Present
from crawler.history.threads import in_thread
from crawler.logs import get_logger
from crawler.model.history import Event, Run, RunQuery
from crawler.model.run_statistics import RunStatistics
from crawler.supervision import OnEnd, Supervisor

if TYPE_CHECKING:
    from crawler.history.store import HistoryStore
    from crawler.metrics import Metrics

log = get_logger(__name__)
R = TypeVar("R")

MOST_WAITING = 100_000
"""How many changes wait for a database that takes none."""
MOST_STATISTICS = 20_000
"""Of how many runs the statistics wait. They take up to 2 kB each."""
AT_ONCE = 500
"""How many changes, resources or statistics are written in one transaction."""
NEARLY_FULL = 0.9 * MOST_WAITING
PAUSE_S = 0.05
"""The pause after everything is written, so that many changes share a transaction."""
REST = 0.5
"""The pause between two full transactions, as a share of the time that the first one took."""
BUSY_REST = 49.0
"""The same while many changes come in: then tasks are being placed, and need the interpreter more.
Once the queue is nearly full this does not count."""
RETRY_S = 1.0
"""The pause before another attempt, if the database does not answer."""
HANGS_S = 15.0
"""The seconds after which it is told that the database does not answer."""
CLEAN_S = 3600.0
"""How often old events are deleted."""
LAST_S = 2.0
"""For how long a node that stops waits for its last events."""
NOT_READ = "the history cannot be read; try again, or look into the log of the leader for why"


class KeptHistory:
    """A history in a database."""

    def __init__(
        self,
        url: str,
        folder: str,
        keep_days: float,
        metrics: Metrics,
        clock: Clock,
        cluster: Callable[[], str],
    ) -> None:
        """`cluster` returns the id of the cluster. It may raise any
        CrawlerError."""
        self._url = url
        self._folder = folder
        self._cluster = cluster
        self._keep_ns = int(keep_days * 86_400 * 1e9)
        self._clock = clock
        self._waiting: deque[Seen] = deque()
        self._statistics: deque[RunStatistics] = deque()
        self._wake = Signal()
        self._writer = ThreadPool(1)
        self._reader = ThreadPool(1)
        self._store: HistoryStore | None = None
        self._present: Present | None = None
        self._is_behind = False
        self._is_away = False
        self._clean_s = 0.0
        metrics.queue("history", MOST_WAITING, lambda: len(self._waiting))
        self._on_lost = metrics.refusals("history").inc
        self._failures = metrics.counter(
            "crawler_history_failures", "Failed attempts to write to the database of the history."
        )
        self._written = metrics.counter(
            "crawler_history_events", "Events that were handed to the database of the history."
        )
        self._refused = metrics.counter(
            "crawler_history_refused", "Events that the database of the history refused."
        )

    def start(self, supervisor: Supervisor) -> None:
        """Begin to write what is noted."""
        supervisor.spawn("history", self._run, on_end=OnEnd.RESTART)

    def close(self) -> None:
        """Write what waits, if the database takes it soon, and end."""
        limit = gevent.Timeout(LAST_S)
        try:
            with limit:
                self._write_last()
        except gevent.Timeout as expired:
            if expired is not limit:
                raise
            return log.warning("the history lacks the last changes: its database hangs")
        for threads in (self._writer, self._reader):
            threads.kill()

    def lead(self, present: Present) -> None:
        """Write from now on also what `present` says and nobody has written."""
        self._present = present
        self.doubt()

    def follow(self) -> None:
        """End what `lead` began. What was noted is still written."""
        self._present = None

    def doubt(self) -> None:
        """Changes may have been made that were not noted."""
        self._is_behind = True
        self._wake.set()

    def note(self, changes: Sequence[Seen]) -> None:
        """Take committed changes, without waiting."""
        room = MOST_WAITING - len(self._waiting)
        if len(changes) > room:
            self._on_lost(len(changes) - room)
            self._is_behind = True
            changes = changes[:room]
        self._waiting.extend(changes)
        self._wake.set()

    def note_statistics(self, told: Sequence[RunStatistics]) -> None:
        """Take the statistics of runs that are over, without waiting. What does not fit is lost."""
        room = MOST_STATISTICS - len(self._statistics)
        if len(told) > room:
            self._on_lost(len(told) - room)
        self._statistics.extend(told[:room])
        self._wake.set()

    def of_task(self, name: str, limit: int, timeout_s: float) -> Sequence[Event]:
        """Return the last events of a task, the oldest first. Raises NotFound, Unavailable."""
        found = self._read(partial(self._ready().of_task, name, limit), timeout_s)
        if not found:
            raise NotFound("the history has no such task")
        return found

    def runs(self, query: RunQuery, timeout_s: float) -> Sequence[Run]:
        """Return the latest runs that match, the latest first. Raises Unavailable."""
        return self._read(partial(self._ready().runs, query), timeout_s)

    def _ready(self) -> HistoryStore:
        if self._store is None or not self._store.is_ready:
            raise Unavailable("the database of the history does not answer; try again in a second")
        return self._store

    def _read(self, call: Callable[[], R], timeout_s: float) -> R:
        """Call in the native thread of the readers."""
        limit = gevent.Timeout(timeout_s)
        try:
            with limit:
                return in_thread(self._reader, call)
        except gevent.Timeout as expired:
            if expired is not limit:
                raise
            raise Unavailable("the database of the history did not answer in time") from None
        except Away as error:  # it may name the host and the user of the database
            log.warning("the history cannot be read", error=str(error))
            raise Unavailable(NOT_READ) from None

    def _run(self) -> None:
        while True:
            try:
                store = self._store = self._store or self._made()
                self._flush(store)
                self._clean(store)
            except CrawlerError as error:
                self._failed(error)
                self._clock.sleep(RETRY_S)
                continue
            self._succeeded()
            self._clock.sleep(PAUSE_S)
            self._clock.wait(self._wake, CLEAN_S)
            self._wake.clear()

    def _made(self) -> HistoryStore:
        """Raises ConfigError, if its driver is not installed."""
        return in_thread(self._writer, partial(_store_of, self._url, self._folder))

    def _flush(self, store: HistoryStore) -> None:
        """Write everything that waits. Raises Away; then nothing is lost."""
        if not store.is_ready:
            in_thread(self._writer, partial(store.prepare, self._cluster()))
        while self._waiting or self._statistics or (self._is_behind and self._present):
            began_s, before = self._clock.monotonic(), len(self._waiting)
            if self._statistics:
                self._write_statistics(store)
            if self._waiting:
                self._write_some(store)
            elif self._is_behind and self._present is not None:
                self._catch_up(store, self._present)
            more = len(self._waiting) > before - AT_ONCE / 2
            is_busy = before >= AT_ONCE and more and before < NEARLY_FULL
            rest = BUSY_REST if is_busy else REST
            self._clock.sleep(rest * (self._clock.monotonic() - began_s))

    def _write_some(self, store: HistoryStore) -> None:
        taken = list(islice(self._waiting, AT_ONCE))
        self._write(partial(store.write, taken, self._is_behind))
        for _ in taken:
            self._waiting.popleft()

    def _write_statistics(self, store: HistoryStore) -> None:
        told = list(islice(self._statistics, AT_ONCE))
        self._write(partial(store.write_statistics, told, self._clock.time_ns()))
        for _ in told:
            self._statistics.popleft()

    def _catch_up(self, store: HistoryStore, present: Present) -> None:
        """Write what the resources say that nobody has written."""
        self._is_behind = False
        try:
            resources, revision = present()
            now_ns = self._clock.time_ns()
            changed = in_thread(self._writer, partial(store.changed, resources, revision))
            for start in range(0, len(changed), AT_ONCE):
                part = changed[start : start + AT_ONCE]
                self._write(partial(store.write_standing, part, now_ns))
                self._clock.sleep(PAUSE_S)
            self._write(partial(store.write_missing, resources, revision, now_ns))
        except BaseException:
            self._is_behind = True
            raise

    def _write(self, call: Callable[[], tuple[int, int]]) -> None:
        written, refused = in_thread(self._writer, call, HANGS_S, self._hangs)
        self._written.inc(written)
        if refused:
            self._refused.inc(refused)
            log.error("the database refuses events of the history", events=refused)

    def _write_last(self) -> None:
        """Write what waits, and close the database."""
        store = self._store
        if store is None:
            return
        try:
            self._flush(store)
        except CrawlerError as error:
            log.warning("the history lacks the last changes", error=str(error))
        in_thread(self._writer, store.close)

    def _clean(self, store: HistoryStore) -> None:
        """Delete what is too old, from time to time. Only a leader does."""
        now_s = self._clock.monotonic()
        if not self._keep_ns or self._present is None or now_s < self._clean_s:
            return
        forget = partial(store.forget, self._clock.time_ns() - self._keep_ns)
        while in_thread(self._writer, forget):
            self._clock.sleep(PAUSE_S)
        self._clean_s = now_s + CLEAN_S

    def _hangs(self) -> None:
        """A write takes very long. It goes on: nobody could tell whether it was carried out."""
        self._failed(Away(f"no answer within {HANGS_S:g} s; it is waited for"))

    def _failed(self, error: CrawlerError) -> None:
        self._failures.inc()
        if not self._is_away:
            log.error(
                "the history cannot be written; tasks go on, and their changes wait",
                error=str(error),
                most=MOST_WAITING,
            )
        self._is_away = True

    def _succeeded(self) -> None:
        if self._is_away:
            log.warning("the history is written again")
        self._is_away = False


def _store_of(url: str, folder: str) -> HistoryStore:
    from crawler.history.store import HistoryStore  # a native thread imports SQLAlchemy

    return HistoryStore(url, folder)
