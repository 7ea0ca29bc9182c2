"""The store in memory, for the use within one process and for tests that move the clock by hand.

It keeps every version of every key until `compact`, as etcd does. So ranges at a revision and
watches from a revision work in the same way. Its content ends with the process.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gevent.event import Event as Signal
from gevent.queue import Queue

from crawler.clock import Clock, SystemClock
from crawler.coordination.store import (
    Batch,
    Compare,
    Delete,
    Event,
    Field,
    Get,
    KeyValue,
    Operation,
    Put,
    Range,
    TxnResult,
)
from crawler.errors import Compacted, CrawlerError, LeaseLost, Unavailable
from crawler.supervision import OnEnd, Supervisor

LEAST_TTL_S = 2
"""The least time to live that etcd grants with its default ticks, in seconds."""


@dataclass(slots=True)
class _Lease:
    ttl_s: int
    expires_s: float
    keys: set[str] = field(default_factory=set)


class MemoryStore:
    """etcd's data model in a dictionary. All nodes of a process share one instance."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._revision = 1
        self._compacted = 0
        self._live: dict[str, KeyValue] = {}
        self._history: list[Event] = []
        self._leases: dict[int, _Lease] = {}
        self._lease_ids = itertools.count(0x1000)
        # In the order in which they were opened: they receive events in that order.
        self._watches: dict[_MemoryWatch, None] = {}
        self._lease_added = Signal()
        self._supervisor = Supervisor("memory-store", clock=self._clock)
        self._closed = False

    def get(self, key: str) -> KeyValue | None:
        """Return the key as it is now, or None."""
        self._expire()
        return self._live.get(key)

    def range(self, prefix: str, revision: int = 0) -> Range:
        """Return all keys below the prefix, at that revision or (0) now."""
        self._expire()
        if 0 < revision < self._compacted:
            raise Compacted(self._compacted)
        state = self._state_at(revision) if 0 < revision < self._revision else self._live
        items = [state[key] for key in sorted(state) if key.startswith(prefix)]
        return Range(items, revision or self._revision)

    def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
    ) -> TxnResult:
        """Carry out one of the two lists. Its writes share one revision."""
        self._expire()
        succeeded = all(self._holds(compare) for compare in compares)
        operations = success if succeeded else failure
        self._check_leases(operations)
        gets = self._apply(operations)
        return TxnResult(succeeded, self._revision, gets)

    def lease_grant(self, ttl_s: int) -> tuple[int, int]:
        """Return a new lease and its granted time to live, in seconds."""
        self._expire()
        granted_s = max(ttl_s, LEAST_TTL_S)
        lease = next(self._lease_ids)
        self._leases[lease] = _Lease(granted_s, self._clock.monotonic() + granted_s)
        if len(self._leases) == 1 and self._supervisor.count == 0:
            self._supervisor.spawn("leases", self._expire_in_time, on_end=OnEnd.RESTART)
        self._lease_added.set()
        return lease, granted_s

    def lease_keepalive(self, lease: int, timeout_s: float) -> int:
        """Renew a lease."""
        self._expire()
        found = self._leases.get(lease)
        if found is None:
            raise LeaseLost(f"lease {lease:x} has expired")
        found.expires_s = self._clock.monotonic() + found.ttl_s
        return found.ttl_s

    def renewer(self) -> None:
        """Return None: a renewal is a step in the same thread."""

    def lease_revoke(self, lease: int) -> None:
        """End a lease and delete its keys."""
        self._expire()
        self._end_lease(lease)

    def watch(
        self, prefix: str, revision: int, *, exact: bool = False, previous: bool = False
    ) -> _MemoryWatch:
        """Watch all changes from that revision on, the past ones first."""
        self._expire()
        watch = _MemoryWatch(self, prefix, exact, previous)
        if revision <= self._compacted:
            watch.fail(Compacted(self._compacted))
        else:
            past = [event for event in self._history if event.revision >= revision]
            for _, events in itertools.groupby(past, key=lambda event: event.revision):
                watch.offer(list(events))
            self._watches[watch] = None
        return watch

    def close(self) -> None:
        """End all watches and the expiry of leases."""
        self._closed = True
        self.break_watches()
        self._supervisor.stop()

    def compact(self, revision: int) -> None:
        """Forget the history up to and including that revision, as an operator of etcd does."""
        self._compacted = revision
        self._history = [event for event in self._history if event.revision > revision]

    def break_watches(self) -> None:
        """End every watch in the way a lost connection does."""
        for watch in list(self._watches):
            watch.fail(Unavailable("the connection of the watch was lost"))

    def forget(self, watch: _MemoryWatch) -> None:
        """Send nothing more to that watch."""
        self._watches.pop(watch, None)

    def _state_at(self, revision: int) -> dict[str, KeyValue]:
        """Undo the later events, newest first."""
        state = dict(self._live)
        for event in reversed(self._history):
            if event.revision <= revision:
                break
            if event.previous is None:
                state.pop(event.key, None)
            else:
                state[event.key] = event.previous
        return state

    def _holds(self, compare: Compare) -> bool:
        if compare.prefix:
            found = [kv for key, kv in self._live.items() if key.startswith(compare.key)]
        else:
            found = [self._live[compare.key]] if compare.key in self._live else []
        return all(_matches(compare, kv) for kv in found) if found else _matches(compare, None)

    def _check_leases(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            if isinstance(operation, Put) and operation.lease not in (0, *self._leases):
                raise LeaseLost(f"lease {operation.lease:x} has expired")

    def _apply(self, operations: Sequence[Operation]) -> list[KeyValue | None]:
        revision = self._revision + 1
        events: list[Event] = []
        gets: list[KeyValue | None] = []
        for operation in operations:
            if isinstance(operation, Get):
                gets.append(self._live.get(operation.key))
            elif isinstance(operation, Put):
                events.append(self._put(operation, revision))
            elif operation.key in self._live:
                events.append(self._delete(operation, revision))
        self._commit(events, revision)
        return gets

    def _put(self, put: Put, revision: int) -> Event:
        previous = self._live.get(put.key)
        self._detach(previous)
        created = previous.create_revision if previous else revision
        current = KeyValue(put.key, put.value, created, revision, put.lease)
        self._live[put.key] = current
        if put.lease:
            self._leases[put.lease].keys.add(put.key)
        return Event(put.key, current, previous, revision)

    def _delete(self, delete: Delete, revision: int) -> Event:
        previous = self._live.pop(delete.key)
        self._detach(previous)
        return Event(delete.key, None, previous, revision)

    def _detach(self, kv: KeyValue | None) -> None:
        if kv is not None and kv.lease in self._leases:
            self._leases[kv.lease].keys.discard(kv.key)

    def _commit(self, events: list[Event], revision: int) -> None:
        if not events:
            return
        self._revision = revision
        self._history.extend(events)
        for watch in list(self._watches):
            watch.offer(events)

    def _end_lease(self, lease: int) -> None:
        found = self._leases.pop(lease, None)
        if found is not None and found.keys:
            self._apply([Delete(key) for key in sorted(found.keys)])

    def _expire(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")
        now_s = self._clock.monotonic()
        for lease in [key for key, held in self._leases.items() if held.expires_s <= now_s]:
            self._end_lease(lease)

    def _expire_in_time(self) -> None:
        """Expire leases when they are due even if nobody asks, so that watches see it."""
        while True:
            self._lease_added.clear()
            self._expire()
            due_s = min((held.expires_s for held in self._leases.values()), default=None)
            wait_s = None if due_s is None else max(0.001, due_s - self._clock.monotonic())
            self._clock.wait(self._lease_added, wait_s)


def _matches(compare: Compare, kv: KeyValue | None) -> bool:
    if kv is None:
        actual = 0
    else:
        actual = kv.create_revision if compare.field is Field.CREATE_REVISION else kv.mod_revision
    return actual <= compare.revision if compare.at_most else actual == compare.revision


class _MemoryWatch:
    """A queue of batches between the store and one watcher."""

    def __init__(self, store: MemoryStore, prefix: str, exact: bool, previous: bool) -> None:
        self._store = store
        self._prefix = prefix
        self._exact = exact
        self._previous = previous
        self._queue: Queue[Batch | CrawlerError | None] = Queue()

    def offer(self, events: Sequence[Event]) -> None:
        """Queue the events that this watch wants."""
        mine = [self._told(event) for event in events if self._wants(event.key)]
        if mine:
            self._queue.put(Batch(mine, mine[-1].revision))

    def fail(self, error: CrawlerError) -> None:
        """End the iteration with an error."""
        self._store.forget(self)
        self._queue.put(error)

    def close(self) -> None:
        """End the iteration."""
        self._store.forget(self)
        self._queue.put(None)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            entry = self._queue.get()
            if entry is None:
                return
            if isinstance(entry, CrawlerError):
                raise entry
            yield entry

    def _told(self, event: Event) -> Event:
        return event if self._previous else event._replace(previous=None)

    def _wants(self, key: str) -> bool:
        return key == self._prefix if self._exact else key.startswith(self._prefix)
