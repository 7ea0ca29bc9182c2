"""The ledger of resources: the leader's writes, each one fenced.

There is no other way to write a resource, and none without a `Leadership`: every transaction
compares the create revision of the leader's election key, and the revision on which each change is
based. A leader that was replaced while it was paused can therefore change nothing.

An answer that never came is settled by reading, in a transaction that also makes sure that the lost
one cannot be carried out later: every transaction compares the revision of the mark of the ids too,
and settling writes the mark anew. To compare what a change is based on would not be enough: a task
that was created and deleted meanwhile is as absent as before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from crawler.coordination.codec import decode_stored, encode_resource
from crawler.coordination.fence import check_fence, fence
from crawler.coordination.flight import Flight
from crawler.coordination.id_mark import IdMark
from crawler.coordination.keys import Keys
from crawler.coordination.store import (
    MAX_OPERATIONS,
    Delete,
    Get,
    KeyValue,
    Operation,
    Put,
    Store,
    TxnResult,
    unchanged,
)
from crawler.errors import LeadershipLost, OutcomeUnknown, Retryable, StoreRefused
from crawler.logs import get_logger
from crawler.model.records import Leadership, Resource

log = get_logger(__name__)

CHANGES = MAX_OPERATIONS - 2
"""Changes in one transaction; room is left for the fence and the mark of the ids."""

AHEAD = 4
"""Batches on their way at once, so that etcd has one at hand when it is done with another, and one
that takes longer than usual holds up nobody."""

MOST_ROUNDS = 5
"""How often settling is tried anew because the mark of the ids was written meanwhile."""

BATCH_BYTES = 1_000_000
"""Values in one transaction; etcd refuses requests of more than 1.5 MiB."""


class Change(NamedTuple):
    """What to write for one resource."""

    name: str
    after: Resource | None
    """None deletes it."""
    based_on: int
    """Revision of the value the change was decided on; 0 for a new resource."""
    minted: int = 0
    """The id given to the resource by this very change; 0 when it had one."""
    keeps: bool = False
    """Nothing is to be written: make sure that the resource stands as it stood at that revision."""


class Outcome(NamedTuple):
    """What became of a change."""

    name: str
    committed: bool
    """False when somebody else had written meanwhile, or the store refused it for good."""
    current: KeyValue | None
    """What was read there; None for what is `written`, and after a refusal, when it is unknown."""
    revision: int
    """The revision at which `current` stood; 0 after a refusal."""
    refusal: StoreRefused | None = None
    """Why the store will never take this change."""
    written: Resource | None = None
    """What stands there now, where that is known without reading it."""


class Landed(NamedTuple):
    """What became of changes that were sent together."""

    outcomes: Sequence[Outcome]
    revision: int = 0
    """Where one transaction carried out all of these and wrote no other resource: its revision.
    0 otherwise."""


Written = tuple[Change, Operation]
"""A change, and the operation that carries it out."""


class Ledger:
    """Commits changes in fenced batches."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._mark = IdMark(store, keys)

    def commit(self, leadership: Leadership, changes: Sequence[Change]) -> Iterator[Landed]:
        """Write the changes, in batches that the store takes; an outcome for each, as they come.

        Records that have no revision yet are handed over: they get it, and the term, in place.

        Raises LeadershipLost when another leads; Retryable when the store does not answer. Changes
        whose outcome was not yielded by then may or may not have been written.

        While some of many batches are on their way, the caller takes in those before them, and the
        next is encoded.
        """
        batches = self._batches(leadership, changes)
        first = next(batches, None)
        if first is None:
            return
        second = next(batches, None)
        if second is None:
            yield from self._commit_batch(leadership, first)
        else:
            yield from self._commit_ahead(leadership, chain((first, second), batches))

    def _commit_ahead(
        self, leadership: Leadership, batches: Iterator[list[Written]]
    ) -> Iterator[Landed]:
        """After an error no further batch is sent, but those on their way are waited for: what
        became of them is told before the error is raised."""
        flying: deque[Flight[Landed]] = deque()
        error: Exception | None = None
        alone = False
        try:
            for batch in batches:
                # One that moves the mark lets all fail that are on their way beside it.
                alone, after_alone = any(change.minted for change, _ in batch), alone
                landed = list(_landed(flying, 0 if alone or after_alone else AHEAD - 1))
                error = next((flight.error for flight in landed if flight.error), None)
                if error is None:
                    flying.append(Flight("commit", self._commit_batch(leadership, batch)))
                    flying[-1].take_off()
                for flight in landed:
                    yield from flight.taken
                if error is not None:
                    break
            for flight in _landed(flying, 0):
                yield from flight.taken
                error = error or flight.error
            if error is not None:
                raise error
        finally:
            for flight in flying:
                flight.abandon()

    def highest_id(self) -> int:
        """The highest id stored so far; 0 for none. Raises Retryable."""
        return self._mark.highest()

    def read(self, outcome: Outcome) -> Resource | None:
        """The resource that stands there after a change. Raises ValueError when it cannot be read;
        None when there is none."""
        if outcome.written is not None or outcome.current is None:
            return outcome.written
        return decode_stored(self._keys, outcome.current)

    def _batches(
        self, leadership: Leadership, changes: Sequence[Change]
    ) -> Iterator[list[Written]]:
        batch: list[Written] = []
        size = 0
        for change in changes:
            write = self._write(leadership, change)
            bytes_more = len(write.value) if isinstance(write, Put) else 0
            if batch and (len(batch) == CHANGES or size + bytes_more > BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append((change, write))
            size += bytes_more
        if batch:
            yield batch

    def _commit_batch(self, leadership: Leadership, batch: Sequence[Written]) -> Iterator[Landed]:
        compares = [fence(leadership), self._mark.unchanged()]
        compares += [unchanged(write.key, change.based_on) for change, write in batch]
        mark = self._mark.raise_to(max(change.minted for change, _ in batch))
        try:
            result = self._store.txn(compares, [*(write for _, write in batch), *mark])
        except OutcomeUnknown as error:
            log.warning(
                "no answer to a write; reading whether it was carried out", error=str(error)
            )
            yield Landed(self._settle_or_leave_open(leadership, batch))
        except StoreRefused as refusal:
            yield from self._single_out(leadership, batch, refusal)
        else:
            if not result.succeeded:
                yield from self._sort_out(leadership, batch)
                return
            if mark:
                self._mark.written_at(result.revision)
            yield _committed(batch, leadership.revision, result)

    def _sort_out(self, leadership: Leadership, batch: Sequence[Written]) -> Iterator[Landed]:
        """A batch was refused: name the changes that conflict, and commit the others."""
        wanted = [Get(leadership.key), self._mark.get(), *(Get(write.key) for _, write in batch)]
        read = self._store.txn([], wanted)
        own_key, mark, *found = read.gets
        check_fence(leadership, own_key)
        self._mark.saw(mark)
        rest, conflicts = [], []
        for (change, write), kv in zip(batch, found):
            if (kv.mod_revision if kv else 0) == change.based_on:
                rest.append((change, write))
            else:
                conflicts.append(Outcome(change.name, False, kv, read.revision))
        yield Landed(conflicts)
        if rest:
            yield from self._commit_batch(leadership, rest)

    def _single_out(
        self, leadership: Leadership, batch: Sequence[Written], refusal: StoreRefused
    ) -> Iterator[Landed]:
        """The store refuses a batch for good: one change may be at fault, so try them apart."""
        if len(batch) == 1:
            name = batch[0][0].name
            log.error("the store refuses a change", task=name, error=str(refusal))
            yield Landed([Outcome(name, False, None, 0, refusal)])
            return
        for each in batch:
            yield from self._commit_batch(leadership, [each])

    def _settle_or_leave_open(
        self, leadership: Leadership, batch: Sequence[Written]
    ) -> list[Outcome]:
        """What goes wrong now says nothing of the lost transaction: it may have been carried out,
        even if another leads by now. Raises OutcomeUnknown."""
        try:
            return self._settle(leadership, batch)
        except (Retryable, LeadershipLost) as error:
            raise OutcomeUnknown(
                f"a write was sent, and it is unknown whether it was carried out: {error}"
            ) from error

    def _settle(self, leadership: Leadership, batch: Sequence[Written]) -> list[Outcome]:
        """Read what a transaction without an answer has done, and see to it that it does no more.

        Retryable passes to the caller. Only another program can spoil more than one round.
        """
        mark = self._mark.read()
        reads = [Get(write.key) for _, write in batch]
        refusal = [Get(leadership.key), self._mark.get()]
        for _ in range(MOST_ROUNDS):
            self._mark.saw(mark)
            compares = [fence(leadership), self._mark.unchanged()]
            result = self._store.txn(compares, [self._mark.rewrite(mark), *reads], refusal)
            if result.succeeded:
                self._mark.written_at(result.revision)
                return [
                    Outcome(change.name, _is_written(write, kv, change), kv, result.revision)
                    for (change, write), kv in zip(batch, result.gets)
                ]
            check_fence(leadership, result.gets[0])
            mark = result.gets[1]  # the lost transaction has been carried out this very moment
        raise OutcomeUnknown(f"another program keeps writing {self._mark.key}")

    def _write(self, leadership: Leadership, change: Change) -> Operation:
        key = self._keys.resource(change.name)
        if change.keeps:
            return Get(key)
        if change.after is None:
            return Delete(key)
        return Put(key, encode_resource(change.after, leadership.revision))


def _landed(flying: deque[Flight[Landed]], most: int) -> Iterator[Flight[Landed]]:
    """Those that end until no more than so many are on their way, in their order."""
    while len(flying) > most:
        flying[0].land()
        yield flying.popleft()


def _committed(batch: Sequence[Written], term: int, result: TxnResult) -> Landed:
    kept, revision = iter(result.gets), result.revision
    outcomes = []
    for change, write in batch:
        name, after = change.name, change.after
        if after is not None:
            written = after.stored(term, revision)
            outcomes.append(Outcome(name, True, None, revision, None, written))
        else:
            current = next(kept) if isinstance(write, Get) else None
            outcomes.append(Outcome(name, True, current, revision))
    # What only makes sure of something has no revision of its own: this is another's.
    wrote = any(not change.keeps for change, _ in batch)
    return Landed(outcomes, revision if wrote else 0)


def _is_written(write: Operation, found: KeyValue | None, change: Change) -> bool:
    if isinstance(write, Delete):
        return found is None
    if isinstance(write, Get):
        return found is not None and found.mod_revision == change.based_on
    return found is not None and found.value == write.value and found.mod_revision > change.based_on
