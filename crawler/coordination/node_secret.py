"""The secret by which the nodes of a cluster know each other.

Whichever node is the first makes it. All follow it in etcd, so a new one, or one that a backup has
brought back, reaches them without a restart.
"""

from __future__ import annotations

import secrets

from gevent.event import Event as Signal

from crawler.clock import Backoff, Clock
from crawler.coordination.keys import Keys
from crawler.coordination.mirror import Mirror
from crawler.coordination.store import Get, KeyValue, Put, Store, unchanged
from crawler.errors import Retryable
from crawler.logs import get_logger
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

FORMER_S = 60.0
"""So long the former secret counts too: others may learn of the new one later."""


class NodeSecret:
    """The secret as etcd has it now, and for a while the former one."""

    def __init__(self, store: Store, keys: Keys, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._current = self._former = ""
        self._until_s = 0.0
        """When the former one counts no more, by the monotonic clock."""
        self._missing = Signal()
        """Set while etcd has none."""
        self._missing.set()
        self._mirror: Mirror[str] = Mirror(
            store, keys.node_secret, self._decoded, clock, track=self._changed, relists=True
        )

    def current(self) -> str:
        """Return the secret; empty until it has been read."""
        return self._current

    def former(self) -> str:
        """Return the one before, as long as it counts; else an empty text."""
        return self._former if self._clock.monotonic() < self._until_s else ""

    def start(self, supervisor: Supervisor) -> None:
        """Follow the secret, and make one if there is none."""
        self._mirror.start(supervisor)
        supervisor.spawn("secret of nodes", self._make, on_end=OnEnd.RESTART)

    def _make(self) -> None:
        backoff = Backoff(most_s=5.0)
        while self._missing.wait():
            try:
                made = node_secret(self._store, self._keys)
                self._mirror.apply(made.key, made, made.mod_revision)
                backoff.reset()
            except Retryable:
                pass
            if self._missing.is_set():
                self._clock.sleep(backoff.next_s())

    def _decoded(self, kv: KeyValue) -> str | None:
        return kv.value.decode() or None if kv.key == self._keys.node_secret else None

    def _changed(self, before: str | None, after: str | None) -> None:
        if after is None:
            self._missing.set()
            return
        self._missing.clear()
        if self._current and after != self._current:
            log.info("the secret of the cluster's nodes has changed")
            self._former, self._until_s = self._current, self._clock.monotonic() + FORMER_S
        self._current = after


def node_secret(store: Store, keys: Keys) -> KeyValue:
    """Return the secret of the cluster's nodes as it is in the store. The first node makes it.
    Raises Retryable."""
    key = keys.node_secret
    made = Put(key, secrets.token_urlsafe(32).encode())
    result = store.txn([unchanged(key, 0)], [made], [Get(key)])
    if result.succeeded:
        return KeyValue(key, made.value, result.revision, result.revision)
    found = result.gets[0]
    assert found is not None  # it was there
    return found
