"""A mirror of the keys below a prefix: list, watch from that revision, resume, relist, never end.

Consumers see states and differences, not streams: whatever happens to the connection, `on_change`
hears of each difference once, in order, deletes that happened unseen included. The mirror never
goes back in time: a change older than what it has is ignored, so a writer may `apply` its own
writes at once and the watch may repeat them later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

from gevent.event import Event as Signal
from gevent.lock import BoundedSemaphore

from crawler.clock import Backoff, Clock, give_turn
from crawler.coordination.store import Batch, KeyValue, Range, Store
from crawler.errors import Compacted, Retryable
from crawler.logs import get_logger
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

T = TypeVar("T")

MOST_DELETES = 10_000
"""How many deletes are remembered before the old ones are forgotten."""

MOST_OWN = 1_000
"""Transactions of one's own that are remembered until the watch repeats them. The echo of any other
is looked at key by key."""

ECHO_S = 0.05
"""How long the watch may be ahead of the answer to a write of one's own."""

KEYS_A_TURN = 1_000
"""Keys of a list taken before everything else gets a turn: 20 ms' worth of tasks (measured)."""

STEADY_S = 5.0
"""A watch that lasted so long had been a success, even if nothing happened in it."""

Decoder = Callable[[KeyValue], T | None]
"""Makes the value; None leaves the key out; a ValueError is logged and leaves it out too."""


class Change(NamedTuple, Generic[T]):
    """One key's difference; `before` or `after` is None when it was or is not there."""

    key: str
    before: T | None
    after: T | None


OnChange = Callable[[Sequence[Change[T]]], None]


class Mirror(Generic[T]):
    """The decoded values below a prefix, kept current by a greenlet of the supervisor."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        decode: Decoder[T],
        clock: Clock,
        on_change: OnChange[T] | None = None,
        track: Callable[[T | None, T | None], None] | None = None,
    ) -> None:
        """`on_change` hears of differences in batches, later; `track` of each value before and
        after, in the very moment in which `values` changes."""
        self._store = store
        self._prefix = prefix
        self._decode = decode
        self._clock = clock
        self._on_change = on_change
        self._track = track
        self._values: dict[str, T] = {}
        self._revisions: dict[str, int] = {}
        """Mod revision of each key seen; of a deleted one, the revision of its delete."""
        self._revision = 0
        """Everything up to here is known; the watch goes on from the next."""
        self._own: set[int] = set()
        """Later revisions at which nothing was written here but what was taken in already."""
        self._last_own = 0
        self._writing = False
        self._written = Signal()
        """Set when what one wrote oneself was taken in."""
        self._listed_at = 0
        """Revision of the last list: an event that is no newer is in it already."""
        self._listing = BoundedSemaphore(1)
        """Held while a list is taken in: the mirror's own, or one that somebody asked for."""
        self.listed = Signal()
        """Set once the first list has been read."""

    @property
    def values(self) -> Mapping[str, T]:
        """The present values by key; a live view, so copy it before you yield."""
        return self._values

    def start(self, supervisor: Supervisor) -> None:
        """Begin to mirror, and go on until the supervisor stops."""
        supervisor.spawn(f"mirror {self._prefix}", self._run, on_end=OnEnd.FATAL)

    def refresh(self, revision: int = 0) -> int:
        """Read everything now, at that revision or the latest; its revision. Raises Retryable."""
        listed = self._store.range(self._prefix, revision)
        self._take_list(listed)
        return listed.revision

    def apply(self, key: str, current: KeyValue | None, revision: int) -> None:
        """Take what one wrote or read oneself at once; tells nobody, as the caller knows.

        The absence of what is not here says nothing new, and is not worth remembering.
        """
        if current is not None or key in self._values:
            self._take_one(key, current, revision)

    def adopt(self, written: Iterable[tuple[str, T]], revision: int) -> None:
        """Take what one wrote oneself at that revision, without decoding it; tells nobody."""
        if revision <= self._listed_at:
            return
        revisions, values, track = self._revisions, self._values, self._track
        for key, value in written:
            if revision > revisions.get(key, 0):
                revisions[key] = revision
                before = values.get(key)
                values[key] = value
                if track is not None:
                    track(before, value)

    def pass_over(self, revision: int) -> None:
        """All that was written here at that revision was taken in: the watch need not read it."""
        self._own = {own for own in self._own if own > self._revision}
        if revision > self._revision and len(self._own) < MOST_OWN:
            self._own.add(revision)
        self._last_own = max(self._last_own, revision)
        self._written.set()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """While somebody writes here, and takes in what was written: should the watch tell of it
        before the answer has come, it waits for that a little, as to read it costs much more."""
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
            self._written.set()

    def _run(self) -> None:
        backoff = Backoff()
        while True:
            started_s = self._clock.monotonic()
            try:
                if not self.listed.is_set():
                    self.refresh()
                self._follow(backoff)
            except Compacted:
                log.info(
                    "watch fell behind a compaction; listing everything again", prefix=self._prefix
                )
                self.listed.clear()
            except Retryable as error:
                if self._clock.monotonic() - started_s > STEADY_S:
                    backoff.reset()
                note = log.debug if backoff.attempts else log.warning
                pause_s = backoff.next_s()
                note(
                    "watch interrupted; resuming it",
                    prefix=self._prefix,
                    revision=self._revision,
                    after_s=pause_s,
                    error=str(error),
                )
                self._clock.sleep(pause_s)

    def _follow(self, backoff: Backoff) -> None:
        """Watch from the next revision until the watch ends with an error."""
        watch = self._store.watch(self._prefix, self._revision + 1)
        try:
            for batch in watch:
                backoff.reset()
                self._take_batch(batch)
        finally:
            watch.close()

    def _take_batch(self, batch: Batch) -> None:
        give_turn()  # a writer takes in meanwhile what it wrote itself, which is then known here
        self._await_writer(batch.revision)
        changes: list[Change[T] | None] = []
        if not self._is_echo(batch):
            changes = [self._take_one(e.key, e.current, e.revision) for e in batch.events]
        self._revision = max(self._revision, batch.revision)
        many = len(self._revisions) > 2 * len(self._values) + MOST_DELETES
        if many and not self._listing.locked():  # a list may be older than those deletes
            self._forget_deletes(self._revision - MOST_DELETES)
        self._tell(changes)

    def _await_writer(self, revision: int) -> None:
        """Wait a little while that revision may be one's own, of which the answer is to come."""
        until_s = self._clock.monotonic() + ECHO_S
        while self._writing and self._last_own < revision:
            left_s = until_s - self._clock.monotonic()
            self._written.clear()
            if left_s <= 0 or not self._clock.wait(self._written, left_s):
                return

    def _is_echo(self, batch: Batch) -> bool:
        """Whether it tells of one transaction only, of which everything is known. Events come in
        the order of their revisions, so the others lie between the first and the last."""
        own = batch.revision in self._own
        return own and batch.events[0].revision == batch.revision

    def _take_list(self, listed: Range) -> None:
        """Take everything as it stood at one revision, unless a later list is in already.

        The watch goes on between the turns. Its events are taken key by key, and whichever is later
        wins, so nothing is lost if this is cut short. What is gone is looked for at the end,
        without a turn: old events may have raised it meanwhile.
        """
        with self._listing:
            if listed.revision < self._listed_at:
                return
            changes = []
            for count, kv in enumerate(listed.items, 1):
                changes.append(self._take(kv.key, kv, kv.mod_revision))
                if count % KEYS_A_TURN == 0:
                    self._tell(changes)
                    changes = []
                    give_turn()
            changes += self._end_list(listed)
        self._tell(changes)

    def _end_list(self, listed: Range) -> list[Change[T] | None]:
        """Take out what is gone, and from now on only events that are newer than the list."""
        present = {kv.key for kv in listed.items}
        gone = [key for key in self._revisions if key not in present]
        changes = [self._take(key, None, listed.revision) for key in gone]
        self._forget_deletes(listed.revision)
        self._listed_at = max(self._listed_at, listed.revision)
        self._revision = max(self._revision, listed.revision)
        self.listed.set()
        return changes

    def _take_one(self, key: str, current: KeyValue | None, revision: int) -> Change[T] | None:
        """Take what a watch or a writer tells, unless a list has told it already."""
        return self._take(key, current, revision) if revision > self._listed_at else None

    def _take(self, key: str, current: KeyValue | None, revision: int) -> Change[T] | None:
        """Take one key's state at a revision, unless a later one is known."""
        if revision <= self._revisions.get(key, 0):
            return None
        return self._set(key, self._decoded(current) if current is not None else None, revision)

    def _set(self, key: str, after: T | None, revision: int) -> Change[T] | None:
        self._revisions[key] = revision
        before = self._values.get(key)
        if after is not None:
            self._values[key] = after
        elif before is not None:
            del self._values[key]
        if before is None and after is None:
            return None
        if self._track is not None:
            self._track(before, after)
        return Change(key, before, after)

    def _decoded(self, kv: KeyValue) -> T | None:
        try:
            return self._decode(kv)
        except (ValueError, TypeError, AttributeError) as error:
            log.error(
                "a value in the store cannot be read; it is left out",
                key=kv.key,
                error=str(error),
                value=kv.value[:200].decode(errors="replace"),
            )
            return None

    def _forget_deletes(self, revision: int) -> None:
        """A delete is remembered only until no older event of its key can come any more."""
        for key, known in list(self._revisions.items()):
            if key not in self._values and known <= revision:
                del self._revisions[key]

    def _tell(self, changes: Sequence[Change[T] | None]) -> None:
        real = [change for change in changes if change is not None]
        if real and self._on_change is not None:
            self._on_change(real)
