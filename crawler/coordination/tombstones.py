"""The tombstones: notes that an incarnation of a worker is dead, written before its tasks move.

If the worker lives all the same, it finds its tombstone and stops (`Registry.objection`).
"""

from __future__ import annotations

from collections.abc import Mapping

from crawler.coordination.fence import check_fence, fence
from crawler.coordination.fields import dump, load_object, whole
from crawler.coordination.keys import Keys
from crawler.coordination.store import MAX_OPERATIONS, Put, Store
from crawler.errors import LeaseLost
from crawler.model.records import Leadership

TOMBSTONE_S = 86_400
"""How long a tombstone is kept, in seconds: a day, in which the worker may wake and look."""

RENEW_S = 2.0
"""How long renewing the lease of the tombstones may take, in seconds."""

NOTES = MAX_OPERATIONS - 1
"""The number of tombstones in one transaction. It leaves room for the fence."""


class Tombstones:
    """Writes the tombstones. All share one lease, because each stays in etcd for a day."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._lease = 0
        """The id of the lease; 0 before the first tombstone."""

    def write(self, leadership: Leadership, dead: Mapping[str, int]) -> None:
        """Write that these incarnations are dead: node id → incarnation.

        All tombstones end a day after the last one was written. Raises LeadershipLost, Retryable,
        StoreRefused.
        """
        try:
            self._renew_lease()
            self._put(leadership, dead)
        except LeaseLost:  # it ended, or somebody revoked it
            self._lease = 0
            self._renew_lease()
            self._put(leadership, dead)

    def _renew_lease(self) -> None:
        if self._lease:
            self._store.lease_keepalive(self._lease, RENEW_S)
        else:
            self._lease, _ = self._store.lease_grant(TOMBSTONE_S)

    def _put(self, leadership: Leadership, dead: Mapping[str, int]) -> None:
        term, lease = leadership.revision, self._lease
        puts = [
            Put(self._keys.tombstone(id), encode_tombstone(id, incarnation, term), lease)
            for id, incarnation in dead.items()
        ]
        for start in range(0, len(puts), NOTES):
            result = self._store.txn([fence(leadership)], puts[start : start + NOTES])
            if not result.succeeded:
                check_fence(leadership, None)


def encode_tombstone(node_id: str, incarnation: int, term: int) -> bytes:
    """Return the tombstone of a worker whose tasks the leader of that term gave to others."""
    return dump({"ID": node_id, "Incarnation": incarnation, "Term": term})


def decode_tombstone(raw: bytes) -> int:
    """Return the incarnation that was declared dead; earlier ones are dead as well. Raises
    ValueError."""
    return whole(load_object(raw), "Incarnation")
