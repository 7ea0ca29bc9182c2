"""A store in a folder: a journal in one SQLite file, and the seen set in a file beside it.

The frontier and the seen set stay in memory as they are. A native thread writes the journal, and
the hub goes on. A second one writes the seen set, from time to time, while the journal goes on too.

The process holds a lock on the file as long as it has it open. That is the fence: no other run can
open it meanwhile.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from crawler.clock import Clock, SystemClock
from crawler.engine.frontier import seen_file, sqlite_files
from crawler.engine.frontier.seen import LoggedSeen
from crawler.engine.frontier.store import LOOK_S, Found, StaleRun, Step, StoreInUse, Waiting
from crawler.logs import get_logger
from crawler.supervision import Supervisor

if TYPE_CHECKING:
    from crawler.engine.frontier.sqlite_journal import Snapshot, SqliteJournal

log = get_logger(__name__)

T = TypeVar("T")

SNAPSHOT_MARKS = 300_000
SNAPSHOT_SHARE = 1 / 30
"""The seen set is written to a file when that many fingerprints, and that share of all, are new. A
start adds those after the file one by one, at 1 us each. To write the file takes a thread 0.05 us
for each fingerprint in it."""
MOST_SHARES = 2
"""If so many times as many are new before the file is complete, the next step waits for it. So how
long a start takes does not depend on how slow the disk is."""
CLEAN_MARKS = 100_000
"""At an end in order, so many are enough."""


class StoreThreads:
    """Native threads for stores. Those of one worker share them: it may have a thousand."""

    def __init__(self, journals: int = 1) -> None:
        """`journals` is how many write journals. One more writes the files of seen sets."""
        self.journals = ThreadPool(journals)
        self.seen = ThreadPool(1)
        self.is_over = False
        """Whether they have ended. A store that closes later ends those that it has used since."""

    def end(self) -> None:
        """End the threads."""
        self.is_over = True
        self.seen.kill()
        self.journals.kill()


class SqliteStore:
    """Keeps the state of one crawl in a folder."""

    def __init__(
        self,
        folder: Path,
        now_s: Callable[[], float] = time.time,
        clock: Clock | None = None,
        threads: StoreThreads | None = None,
    ) -> None:
        """`now_s` is wall time, because a later process has to know how long it was away. `clock`
        measures how long `open` waits. Without `threads` the store has its own."""
        self.place = str(folder)
        self._folder = folder
        self._now_s = now_s
        self._clock = clock or SystemClock()
        self._shared = threads
        self._threads: StoreThreads | None = None
        self._turn = BoundedSemaphore()
        """Held while a thread does a step, also if who waited for it was killed."""
        self._made_journals: list[SqliteJournal] = []
        """What a thread has opened, whether its caller has heard of it or was killed before."""
        self._journal: SqliteJournal | None = None
        self._snapshot: AsyncResult[Any] | None = None
        """The file of the seen set that is being written."""
        self._made: Snapshot | None = None
        """The file that is complete. It may hold fingerprints that are younger than the step that
        is written when it becomes complete, but none that are younger than the next step."""
        self._ever_held = 0
        """How many fingerprints had been kept back when the file was begun."""

    def open(self, epoch: int | None = None, patience_s: float = 0.0) -> Found:
        """Begin a run. Raises StaleRun, StoreInUse, StoreDamaged and StoreFailed."""
        until_s = self._clock.monotonic() + patience_s
        while True:
            try:
                return self._open(epoch)
            except StoreInUse:
                left_s = until_s - self._clock.monotonic()
                if left_s <= 0:
                    raise
            self._clock.sleep(min(LOOK_S, left_s))

    def size(self) -> int:
        """How many bytes its files take."""
        return sqlite_files.size_of(self._folder)

    def _open(self, epoch: int | None) -> Found:
        self._threads = self._shared or StoreThreads()
        try:
            self._journal, found = self._in_thread(
                partial(self._opened, epoch, self._made_journals)
            )
        except BaseException:
            self._end()
            raise
        return found

    def lease(self, most: int) -> Sequence[Waiting]:
        """Take requests that nobody holds."""
        journal = self._running()
        return self._in_thread(lambda: journal.lease(most))

    def tally(self, kind: Callable[[bytes], T]) -> Counter[T]:
        """Count the requests without an end by what their records tell."""
        journal = self._running()
        return self._in_thread(lambda: journal.tally(kind))

    def sending(self, mark: int) -> None:
        """Note that a request is sent."""
        if self._journal is not None:
            self._journal.asked.note(mark, self._now_s())

    def write(self, step: Step) -> None:
        """Take a step, as one transaction."""
        journal = self._running()
        snapshot, self._made = self._made, self._complete(journal)
        self._in_thread(lambda: journal.write(step, snapshot))
        due = max(SNAPSHOT_MARKS, SNAPSHOT_SHARE * len(journal.seen))
        if journal.logged >= due:
            self._begin_snapshot(journal)
        if journal.logged >= MOST_SHARES * due and self._snapshot is not None:
            self._snapshot.wait()

    def close(self, is_clean: bool = False) -> None:
        """End the run. Waits until everything is written. Repeating it is harmless."""
        journal = self._journal
        if journal is None:
            return
        try:
            if is_clean and journal.logged >= CLEAN_MARKS:
                self._begin_snapshot(journal)
            snapshot = self._complete(journal, waits=True) or self._made
            self._in_thread(lambda: journal.close(is_clean, snapshot))
        finally:
            self._end()

    def clear(self) -> None:
        """Remove the files, and end the run."""
        journal = self._running()
        try:
            self._complete(journal, waits=True)
            self._in_thread(journal.clear)
        finally:
            self._end()

    def _running(self) -> SqliteJournal:
        if self._journal is None:
            raise StaleRun(f"{self.place}: this run is over")
        return self._journal

    def _opened(self, epoch: int | None, made: list[SqliteJournal]) -> tuple[SqliteJournal, Found]:
        from crawler.engine.frontier.sqlite_journal import SqliteJournal  # most keep nothing

        journal = SqliteJournal(self._folder, self._now_s)
        made.append(journal)
        return journal, journal.load(epoch)

    def _begin_snapshot(self, journal: SqliteJournal) -> None:
        if self._snapshot is None and self._made is None and not journal.seen.held:
            self._ever_held = journal.seen.ever_held
            path = self._folder / sqlite_files.seen_name(journal.number)
            arguments = (journal.seen, path, journal.number)
            assert self._threads is not None
            self._snapshot = self._threads.seen.spawn(_written, *arguments)

    def _complete(self, journal: SqliteJournal, waits: bool = False) -> Snapshot | None:
        """The file of the seen set that has become complete, if there is one that may be used. It
        may hold what was kept back while it was written; then it is removed."""
        snapshot = self._snapshot
        if snapshot is None or not (waits or snapshot.ready()):
            return None
        self._snapshot = None
        made: Snapshot | None = snapshot.get()
        if made is not None and journal.seen.ever_held != self._ever_held:
            path = self._folder / made[0]
            self._in_thread(lambda: path.unlink(missing_ok=True))
            return None
        return made

    def _end(self) -> None:
        """Let go of the files when the threads are done with them. Who waits here may be killed:
        the next run needs the files all the same."""
        threads, snapshot, journals = self._threads, self._snapshot, self._made_journals
        self._journal = self._snapshot = self._made = self._threads = None
        self._made_journals = []
        if threads is not None:
            Supervisor("store").spawn("end", self._let_go, threads, snapshot, journals).join()

    def _let_go(
        self,
        threads: StoreThreads,
        snapshot: AsyncResult[Any] | None,
        journals: list[SqliteJournal],
    ) -> None:
        """Give up the lock, after all that still writes."""
        if snapshot is not None:
            snapshot.wait()
        self._run(threads, lambda: _closed(journals))
        if threads is not self._shared or threads.is_over:
            threads.end()

    def _in_thread(self, step: Callable[[], T]) -> T:
        """Run a step in a native thread, one at a time."""
        if self._threads is None:
            raise StaleRun(f"{self.place}: this run is over")
        return self._run(self._threads, step)

    def _run(self, threads: StoreThreads, step: Callable[[], T]) -> T:
        self._turn.acquire()
        try:
            running = threads.journals.spawn(_caught, step, self._folder)
        except BaseException:
            self._turn.release()
            raise
        running.rawlink(lambda _: self._turn.release())
        result, error = running.get()
        if error is not None:  # it is returned: gevent would print it
            raise error
        value: T = result
        return value


def _closed(journals: Sequence[SqliteJournal]) -> None:
    for journal in journals:
        journal.let_go()


def _caught(step: Callable[[], T], folder: Path) -> tuple[T | None, Exception | None]:
    try:
        return step(), None
    except Exception as error:
        return None, sqlite_files.translated(error, folder)


def _written(seen: LoggedSeen, path: Path, number: int) -> Snapshot | None:
    """Write the seen set. Without room for it, it stays in the journal."""
    try:
        seen_file.write(seen, path)
    except OSError as error:
        log.warning("the seen set could not be written; it stays in the journal", error=str(error))
        path.with_suffix(".part").unlink(missing_ok=True)
        return None
    return path.name, number
