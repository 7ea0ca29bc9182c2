"""The contract of the store: what coordination needs, in etcd's terms, and no more.

Two implementations keep it, `etcd.EtcdStore` and `memory.MemoryStore`; tests/contract runs the same
tests on both. Revisions are etcd's: one counter for the whole store that rises with each write, so
that "all at one revision" and "everything after it" have an exact meaning.

Every call ends within the store's deadline. Reads are linearizable. A read that fails raises
`Unavailable`; a write whose answer never came raises `OutcomeUnknown`, and nothing here repeats it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

MAX_OPERATIONS = 120
"""Most operations we put into one transaction; etcd's own limit is 128 compares, 128 writes."""


class KeyValue(NamedTuple):
    """A key as it stands at some revision."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """The keys below a prefix in the order of their names, all at one revision."""

    items: Sequence[KeyValue]
    revision: int


class Event(NamedTuple):
    """One change of one key."""

    key: str
    current: KeyValue | None
    """None when the key was deleted."""
    previous: KeyValue | None
    """None when the key is new, or when the watch was not asked to tell."""
    revision: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes of one watch message, in the order of their revisions."""

    events: Sequence[Event]
    revision: int
    """Everything that is watched was seen up to here: the revision of the last event."""


class Field(enum.Enum):
    """What a comparison looks at; a key that does not exist has 0 in both."""

    CREATE_REVISION = "create"
    MOD_REVISION = "mod"


class Compare(NamedTuple):
    """A condition of a transaction; with `prefix`, each key below it must fulfil it."""

    key: str
    field: Field
    revision: int
    at_most: bool = False
    """Compare with <= instead of ==."""
    prefix: bool = False


def created_at(key: str, revision: int) -> Compare:
    """The key is the one created at that revision, not a later one of the same name."""
    return Compare(key, Field.CREATE_REVISION, revision)


def absent(key: str) -> Compare:
    """The key does not exist."""
    return created_at(key, 0)


def unchanged(key: str, mod_revision: int) -> Compare:
    """The key is as it was at that revision; 0 means that it does not exist."""
    return Compare(key, Field.MOD_REVISION, mod_revision)


def unchanged_below(prefix: str, revision: int) -> Compare:
    """No key below the prefix was written after that revision."""
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
    """What a transaction did."""

    succeeded: bool
    """Whether all comparisons held, so that `success` was carried out and not `failure`."""
    revision: int
    """The store's revision after it; that of its writes, if it wrote."""
    gets: Sequence[KeyValue | None]
    """The answers to its `Get` operations, in their order."""


class Watch(Protocol):
    """A running watch: iterate over its batches; `close` ends the iteration from elsewhere.

    Iterating raises `Compacted` when the history it needs is gone, and `Unavailable` when the
    connection broke or the server ended it; then open another from the last revision seen.
    """

    def __iter__(self) -> Iterator[Batch]: ...

    def close(self) -> None:
        """End the watch; repeating it is harmless."""
        ...


class Renewer(Protocol):
    """Renews leases in a native thread of its own, without the hub."""

    def renew(self, lease: int, timeout_s: float) -> int:
        """Renew a lease; its time to live in seconds. Raises LeaseLost, Retryable."""
        ...

    def close(self) -> None:
        """Let go of its connection."""
        ...


class Store(Protocol):
    """Get, range at one revision, transaction, lease, watch from a revision."""

    def get(self, key: str) -> KeyValue | None:
        """The key as it stands now, or None."""
        ...

    def range(self, prefix: str, revision: int = 0) -> Range:
        """All keys below the prefix, at that revision or (0) now. Raises Compacted."""
        ...

    def txn(
        self,
        compares: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
    ) -> TxnResult:
        """Carry out `success` if all comparisons hold, else `failure`; all of it or nothing.

        Raises OutcomeUnknown, or, with nothing carried out: Unavailable, Overloaded, StoreRefused,
        LeaseLost (a put names a lease that is gone).
        """
        ...

    def lease_grant(self, ttl_s: int) -> tuple[int, int]:
        """A new lease: its id, and the time to live granted, in seconds."""
        ...

    def lease_keepalive(self, lease: int, timeout_s: float) -> int:
        """Renew a lease; its time to live in seconds. Raises LeaseLost when it is gone."""
        ...

    def renewer(self) -> Renewer | None:
        """What renews leases past a busy hub; None when renewing waits for nothing anyway."""
        ...

    def lease_revoke(self, lease: int) -> None:
        """End a lease, which deletes its keys; no error when it is gone already."""
        ...

    def watch(
        self, prefix: str, revision: int, *, exact: bool = False, previous: bool = False
    ) -> Watch:
        """All changes below the prefix (or of exactly that key) from that revision on.

        With `previous` each event tells what stood there before, which the store has to look up.
        """
        ...

    def close(self) -> None:
        """Let go of the connection; watches end."""
        ...
