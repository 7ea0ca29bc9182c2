"""The contract of the store: what coordination needs of etcd, in etcd's terms.

Two classes implement it, `etcd.EtcdStore` and `memory.MemoryStore`; tests/contract runs the same
tests on both. Revisions are etcd's: one counter for the whole store, which rises with each write.
So "all at one revision" and "everything after it" have an exact meaning.

Every call ends within the store's deadline. Reads are linearizable. A read that fails raises
`Unavailable`. A write whose answer was lost raises `OutcomeUnknown`; the store does not repeat it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

MAX_OPERATIONS = 120
"""How many operations one transaction may have. etcd's own limit is 128 compares and 128 writes."""


class KeyValue(NamedTuple):
    """A key at some revision."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """The keys below a prefix, sorted by name, all at one revision."""

    items: Sequence[KeyValue]
    revision: int


class Event(NamedTuple):
    """One change of one key."""

    key: str
    current: KeyValue | None
    """The new value; None if the key was deleted."""
    previous: KeyValue | None
    """The old value; None if the key is new, or if the watch did not request it."""
    revision: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes in one message of a watch, in the order of their revisions."""

    events: Sequence[Event]
    revision: int
    """The revision of the last event. The watch has seen everything up to here."""


class Field(enum.Enum):
    """What a comparison looks at. Both are 0 for a key that does not exist."""

    CREATE_REVISION = "create"
    MOD_REVISION = "mod"


class Compare(NamedTuple):
    """A condition of a transaction. With `prefix`, each key below it must fulfil it."""

    key: str
    field: Field
    revision: int
    at_most: bool = False
    """Compare with <= instead of ==."""
    prefix: bool = False


def created_at(key: str, revision: int) -> Compare:
    """Return the condition that the key was created at that revision, and not again later."""
    return Compare(key, Field.CREATE_REVISION, revision)


def absent(key: str) -> Compare:
    """Return the condition that the key does not exist."""
    return created_at(key, 0)


def unchanged(key: str, mod_revision: int) -> Compare:
    """Return the condition that the key is as it was at that revision; 0 means that it does not
    exist."""
    return Compare(key, Field.MOD_REVISION, mod_revision)


def unchanged_below(prefix: str, revision: int) -> Compare:
    """Return the condition that no key below the prefix was written after that revision."""
    return Compare(prefix, Field.MOD_REVISION, revision, at_most=True, prefix=True)


class Put(NamedTuple):
    """Write a key, under a lease if one is given."""

    key: str
    value: bytes
    lease: int = 0


class Delete(NamedTuple):
    """Delete a key, if it exists."""

    key: str


class Get(NamedTuple):
    """Read a key within the transaction."""

    key: str


Operation = Put | Delete | Get


@dataclass(frozen=True, slots=True)
class TxnResult:
    """The result of a transaction."""

    succeeded: bool
    """Whether all comparisons succeeded, so that `success` was carried out and not `failure`."""
    revision: int
    """The store's revision after the transaction. If it wrote, this is the revision of its
    writes."""
    gets: Sequence[KeyValue | None]
    """The results of its `Get` operations, in their order."""


class Watch(Protocol):
    """A running watch. Iterate over its batches; `close` ends the iteration from another greenlet.

    The iteration raises `Compacted` if the history that it needs is gone, and `Unavailable` if the
    connection broke or the server ended it. Then open another watch from the last revision seen.
    """

    def __iter__(self) -> Iterator[Batch]: ...

    def close(self) -> None:
        """End the watch. It may be called again."""
        ...


class Renewer(Protocol):
    """Renews leases in its own native thread, without the hub."""

    def renew(self, lease: int, timeout_s: float) -> int:
        """Renew a lease. Return its time to live in seconds. Raises LeaseLost, Retryable."""
        ...

    def close(self) -> None:
        """Close its connection."""
        ...


class Store(Protocol):
    """What coordination calls: get, range at one revision, transaction, lease, watch from a
    revision."""

    def get(self, key: str) -> KeyValue | None:
        """Return the key as it is now, or None."""
        ...

    def range(self, prefix: str, revision: int = 0) -> Range:
        """Return all keys below the prefix, at that revision or (0) now. Raises Compacted."""
        ...

    def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
    ) -> TxnResult:
        """Carry out `success` if all comparisons succeed, else `failure`. A list is carried out
        completely or not at all.

        Raises OutcomeUnknown. If nothing was carried out, it raises Unavailable, Overloaded,
        StoreRefused, or LeaseLost (a put names a lease that has ended).
        """
        ...

    def lease_grant(self, ttl_s: int) -> tuple[int, int]:
        """Return a new lease: its id, and the granted time to live in seconds."""
        ...

    def lease_keepalive(self, lease: int, timeout_s: float) -> int:
        """Renew a lease. Return its time to live in seconds. Raises LeaseLost if it has ended."""
        ...

    def renewer(self) -> Renewer | None:
        """Return what renews leases while the hub is busy; None if a renewal never waits for the
        hub."""
        ...

    def lease_revoke(self, lease: int) -> None:
        """End a lease, which deletes its keys. It is no error if the lease has ended already."""
        ...

    def watch(
        self, prefix: str, revision: int, *, exact: bool = False, previous: bool = False
    ) -> Watch:
        """Watch all changes below the prefix (or of exactly that key) from that revision on.

        With `previous` each event has the old value too, which the store has to look up.
        """
        ...

    def close(self) -> None:
        """Close the connection. Watches end."""
        ...
