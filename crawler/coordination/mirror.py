"""A mirror of the keys below a prefix: it lists them, watches from that revision, and resumes.

Consumers see states and differences, not streams. Whatever happens to the connection, `on_change`
receives each difference once and in order, including deletes that the watch missed. The mirror
never goes back in time: it ignores a change older than the one it has. A writer may therefore
`apply` its own writes at once, and the watch may repeat them later.
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
"""How many deletes are remembered before old ones are forgotten."""

MOST_OWN = 1_000
"""How many own transactions are remembered until the watch repeats them. The echo of any other is
compared key by key."""

ECHO_S = 0.05
"""How long the watch waits for the answer to an own write, in seconds."""

KEYS_A_TURN = 1_000
"""How many keys of a list are taken before other greenlets get a turn: 20 ms' worth of tasks
(measured)."""

STEADY_S = 5.0
"""A watch that lasted this many seconds counts as a success, even if it delivered nothing."""

Decoder = Callable[[KeyValue], T | None]
"""Makes the value of a key. None leaves the key out. A ValueError is logged, and leaves it out
too."""


class Change(NamedTuple, Generic[T]):
    """The difference of one key. `before` or `after` is None if the key was or is absent."""

    key: str
    before: T | None
    after: T | None


OnChange = Callable[[Sequence[Change[T]]], None]


class Mirror(Generic[T]):
    """The decoded values below a prefix. A greenlet of the supervisor keeps them up to date."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        decode: Decoder[T],
        clock: Clock,
        on_change: OnChange[T] | None = None,
        track: Callable[[T | None, T | None], None] | None = None,
        relists: bool = False,
    ) -> None:
        """`on_change` receives the differences later, in batches. `track` receives each value
        before and after, at the moment when `values` changes. With `relists` everything is listed
        before each watch: for few keys of which one must know whether they are up to date."""
        self._store = store
        self._prefix = prefix
        self._decode = decode
        self._clock = clock
        self._on_change = on_change
        self._track = track
        self._relists = relists
        self._lost_s: float | None = clock.monotonic()
        """Since when nothing has been heard of the store; None while a watch goes on."""
        self._values: dict[str, T] = {}
        self._revisions: dict[str, int] = {}
        """The mod revision of each key seen; for a deleted key, the revision of its delete."""
        self._revision = 0
        """The mirror knows everything up to this revision. The watch goes on from the next."""
        self._own: set[int] = set()
        """Later revisions at which only known values were written here."""
        self._last_own = 0
        self._writing = False
        self._written = Signal()
        """Set when an own write was taken in."""
        self._listed_at = 0
        """The revision of the last list. It contains every event that is not newer."""
        self._listing = BoundedSemaphore(1)
        """Held while a list is taken in, the mirror's own or that of `refresh`."""
        self.listed = Signal()
        """Set after the first list was read."""

    @property
    def values(self) -> Mapping[str, T]:
        """The present values by key. It is a live view: copy it before you yield."""
        return self._values

    @property
    def revision(self) -> int:
        """The latest revision of the store of which anything is known here."""
        return max(self._revision, self._last_own)

    @property
    def silence_s(self) -> float:
        """For how long nothing has been heard of the store, in seconds; 0 while a watch goes on.
        Only a mirror that relists knows this: a watch may begin without an answer."""
        return 0.0 if self._lost_s is None else self._clock.monotonic() - self._lost_s

    def start(self, supervisor: Supervisor) -> None:
        """Start to mirror, until the supervisor stops."""
        supervisor.spawn(f"mirror {self._prefix}", self._run, on_end=OnEnd.FATAL)

    def refresh(self, revision: int = 0) -> int:
        """Read everything now, at that revision or the latest. Return the revision. Raises
        Retryable."""
        listed = self._store.range(self._prefix, revision)
        self._take_list(listed)
        return listed.revision

    def apply(self, key: str, current: KeyValue | None, revision: int) -> None:
        """Take in at once what the caller wrote or read. `on_change` is not called, because the
        caller knows.

        The absence of an unknown key says nothing new, and is not remembered.
        """
        if current is not None or key in self._values:
            self._take_one(key, current, revision)

    def adopt(self, written: Iterable[tuple[str, T]], revision: int) -> None:
        """Take in the caller's own writes at that revision without decoding them. `on_change` is
        not called."""
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
        """Note that all writes of that revision are known, so that the watch need not read them."""
        self._own = {own for own in self._own if own > self._revision}
        if revision > self._revision and len(self._own) < MOST_OWN:
            self._own.add(revision)
        self._last_own = max(self._last_own, revision)
        self._written.set()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A context in which the caller writes and takes in its writes.

        If the watch delivers a write before its answer, the mirror waits a little for the answer,
        because decoding the event costs much more.
        """
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
                if self._relists:
                    self._relist()
                elif not self.listed.is_set():
                    self.refresh()
                self._lost_s = None
                self._follow(backoff)
            except Compacted:
                log.info(
                    "watch fell behind a compaction; listing everything again", prefix=self._prefix
                )
                self.listed.clear()
            except Retryable as error:
                if self._lost_s is None:
                    self._lost_s = self._clock.monotonic()
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

    def _relist(self) -> None:
        """List everything. A store that was restored from a backup may be behind what is known."""
        listed = self._store.range(self._prefix)
        if listed.revision < self._revision:
            log.warning("the store went back; taking it as it is", prefix=self._prefix)
            self._revisions = dict.fromkeys(self._revisions, 0)
            self._revision = self._listed_at = 0
        self._take_list(listed)

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
        give_turn()  # a writer may take in its own writes now, which are then known
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
        """Wait a little while that revision may be an own write whose answer is about to arrive."""
        until_s = self._clock.monotonic() + ECHO_S
        while self._writing and self._last_own < revision:
            left_s = until_s - self._clock.monotonic()
            self._written.clear()
            if left_s <= 0 or not self._clock.wait(self._written, left_s):
                return

    def _is_echo(self, batch: Batch) -> bool:
        """Whether the batch contains exactly one transaction, all of which is known. Events are in
        the order of their revisions, so it is enough to look at the first and the last."""
        own = batch.revision in self._own
        return own and batch.events[0].revision == batch.revision

    def _take_list(self, listed: Range) -> None:
        """Take in everything as it was at one revision, unless a later list is known.

        The watch goes on between the turns. Its events are taken key by key, and the later value
        wins, so nothing is lost if this is cut short. Missing keys are removed at the end without a
        turn, because old events may have restored them meanwhile.
        """
        with self._listing:
            if listed.revision < self._listed_at:
                return
            changes = []
            for count, kv in enumerate(listed.items, 1):
                changes.append(self._take_listed(kv, listed.revision))
                if count % KEYS_A_TURN == 0:
                    self._tell(changes)
                    changes = []
                    give_turn()
            changes += self._end_list(listed)
        self._tell(changes)

    def _end_list(self, listed: Range) -> list[Change[T] | None]:
        """Remove the missing keys. From now on, accept only events that are newer than the list."""
        present = {kv.key for kv in listed.items}
        gone = [key for key in self._revisions if key not in present]
        changes = [self._take(key, None, listed.revision) for key in gone]
        self._forget_deletes(listed.revision)
        self._listed_at = max(self._listed_at, listed.revision)
        self._revision = max(self._revision, listed.revision)
        self.listed.set()
        return changes

    def _take_one(self, key: str, current: KeyValue | None, revision: int) -> Change[T] | None:
        """Take in a key from a watch or a writer, unless a list contained it already."""
        return self._take(key, current, revision) if revision > self._listed_at else None

    def _take(self, key: str, current: KeyValue | None, revision: int) -> Change[T] | None:
        """Take in the state of a key at a revision, unless a later one is known."""
        if revision <= self._revisions.get(key, 0):
            return None
        return self._set(key, self._decoded(current) if current is not None else None, revision)

    def _take_listed(self, kv: KeyValue, revision: int) -> Change[T] | None:
        """Take in a key of a list of that revision, unless something later than the list is known.
        What is known of an earlier revision, and later than the key, is of a store that was put
        back to a backup since."""
        known = self._revisions.get(kv.key, 0)
        if known == kv.mod_revision or known > revision:
            return None
        return self._set(kv.key, self._decoded(kv), kv.mod_revision)

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
        except Exception as error:  # one value must not end what mirrors all of them
            log.error(
                "a value in the store cannot be read; it is left out",
                key=kv.key,
                error=str(error),
                value=kv.value[:200].decode(errors="replace"),
            )
            return None

    def _forget_deletes(self, revision: int) -> None:
        """Forget the deletes up to that revision: no older event of their keys can arrive any
        more."""
        for key, known in list(self._revisions.items()):
            if key not in self._values and known <= revision:
                del self._revisions[key]

    def _tell(self, changes: Sequence[Change[T] | None]) -> None:
        real = [change for change in changes if change is not None]
        if real and self._on_change is not None:
            self._on_change(real)
