"""The ledger of resources: it makes the leader's writes, each with a fence.

Only the ledger writes resources, and only with a `Leadership`. Every transaction compares the
create revision of the leader's election key, and the revision on which each change is based. A
leader that was replaced while it was paused can therefore change nothing.

If the answer to a write is lost, the ledger reads whether the write happened. The same transaction
makes sure that the lost write cannot be applied later: every transaction also compares the revision
of the mark of the ids, and settling rewrites the mark. It would not be enough to compare the
revisions of the changes, because a task that was created and deleted meanwhile is as absent as
before.
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
"""The number of changes in one transaction. It leaves room for the fence and the mark of the
ids."""

AHEAD = 4
"""The number of batches in flight at once. When etcd has finished one batch, it has the next at
hand, and one slow batch does not delay the others."""

MOST_ROUNDS = 5
"""How often settling is tried again because the mark of the ids was written meanwhile."""

BATCH_BYTES = 1_000_000
"""The size of the values in one transaction. etcd refuses requests of more than 1.5 MiB."""


class Change(NamedTuple):
    """What to write for one resource."""

    name: str
    after: Resource | None
    """The new value; None deletes the resource."""
    based_on: int
    """The revision of the value on which the change was decided; 0 for a new resource."""
    minted: int = 0
    """The id that this change gives to the resource; 0 if the resource had one."""
    keeps: bool = False
    """Write nothing, but check that the resource is still as it was at that revision."""


class Outcome(NamedTuple):
    """What happened to a change."""

    name: str
    committed: bool
    """False if another program had written meanwhile, or if the store refused the change for
    good."""
    current: KeyValue | None
    """The value that was read. None if the value is in `written`, and unknown after a refusal."""
    revision: int
    """The revision at which `current` was read; 0 after a refusal."""
    refusal: StoreRefused | None = None
    """Why the store will never accept this change."""
    written: Resource | None = None
    """The present resource, if it is known without reading it."""


class Landed(NamedTuple):
    """What happened to changes that were sent together."""

    outcomes: Sequence[Outcome]
    revision: int = 0
    """The revision of the one transaction that carried out all of these changes and wrote no other
    resource; 0 otherwise."""


class Unwritable(StoreRefused):
    """A resource cannot be encoded, so it cannot be stored before it changes."""


Written = tuple[Change, Operation]
"""A change, and the operation that carries it out."""


class Ledger:
    """Commits changes in fenced batches."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._mark = IdMark(store, keys)

    def commit(self, leadership: Leadership, changes: Sequence[Change]) -> Iterator[Landed]:
        """Write the changes in batches that fit into a transaction. Yield the outcomes as they
        arrive.

        A resource without a revision passes to the ledger, which sets its revision and its term in
        place.

        Raises LeadershipLost if another master leads, and Retryable if the store does not answer. A
        change whose outcome was not yielded by then may or may not have been written.

        While some batches are in flight, the caller handles the earlier ones, and the next one is
        encoded.
        """
        refused: list[Outcome] = []
        batches = self._batches(leadership, changes, refused)
        first = next(batches, None)
        second = next(batches, None)
        if second is not None:
            assert first is not None  # the second comes after it
            yield from self._commit_ahead(leadership, chain((first, second), batches))
        elif first is not None:
            yield from self._commit_batch(leadership, first)
        if refused:
            yield Landed(refused)

    def _commit_ahead(
        self, leadership: Leadership, batches: Iterator[list[Written]]
    ) -> Iterator[Landed]:
        """Commit several batches at once.

        After an error no further batch is sent. The batches in flight are awaited, and their
        outcomes are yielded before the error is raised.
        """
        flying: deque[Flight[Landed]] = deque()
        error: Exception | None = None
        alone = False
        try:
            for batch in batches:
                # A batch that writes the mark would make all other batches in flight fail.
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
        """Return the highest id stored so far; 0 if there is none. Raises Retryable."""
        return self._mark.highest()

    def read(self, outcome: Outcome) -> Resource | None:
        """Return the present resource after a change, or None if there is none. Raises ValueError
        if it is unreadable."""
        if outcome.written is not None or outcome.current is None:
            return outcome.written
        return decode_stored(self._keys, outcome.current)

    def _batches(
        self, leadership: Leadership, changes: Sequence[Change], refused: list[Outcome]
    ) -> Iterator[list[Written]]:
        """Yield the batches. A change that cannot be encoded goes to `refused`, so that the others
        are written."""
        batch: list[Written] = []
        size = 0
        for change in changes:
            try:
                write = self._write(leadership, change)
            except Exception as error:
                refused.append(_unwritable(change, error))
                continue
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
        """A batch was refused: yield the changes that conflict, and commit the others."""
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
        """The store refuses a batch for good. One change may be the cause, so try each change
        alone."""
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
        """Settle a write whose answer was lost.

        Raises OutcomeUnknown if that fails: an error now does not tell whether the lost transaction
        happened, even if another master leads by now.
        """
        try:
            return self._settle(leadership, batch)
        except (Retryable, LeadershipLost) as error:
            raise OutcomeUnknown(
                f"a write was sent, and it is unknown whether it was carried out: {error}"
            ) from error

    def _settle(self, leadership: Leadership, batch: Sequence[Written]) -> list[Outcome]:
        """Read what a transaction without an answer has done, and prevent it from being applied
        later.

        Raises Retryable, LeadershipLost. Only another program can make more than one round
        necessary.
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
            mark = result.gets[1]  # the lost transaction was applied just now
        raise OutcomeUnknown(f"another program keeps writing {self._mark.key}")

    def _write(self, leadership: Leadership, change: Change) -> Operation:
        key = self._keys.resource(change.name)
        if change.keeps:
            return Get(key)
        if change.after is None:
            return Delete(key)
        return Put(key, encode_resource(change.after, leadership.revision))


def _unwritable(change: Change, error: Exception) -> Outcome:
    log.error("a task cannot be encoded", task=change.name, error=repr(error), exc_info=error)
    refusal = Unwritable(f"the task cannot be written ({error!r}); change what it names")
    return Outcome(change.name, False, None, 0, refusal)


def _landed(flying: deque[Flight[Landed]], most: int) -> Iterator[Flight[Landed]]:
    """Yield, in their order, the flights that land, until at most `most` are in flight."""
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
    # A transaction that only checks has no revision of its own: this one belongs to another write.
    wrote = any(not change.keeps for change, _ in batch)
    return Landed(outcomes, revision if wrote else 0)


def _is_written(write: Operation, found: KeyValue | None, change: Change) -> bool:
    if isinstance(write, Delete):
        return found is None
    if isinstance(write, Get):
        return found is not None and found.mod_revision == change.based_on
    return found is not None and found.value == write.value and found.mod_revision > change.based_on
