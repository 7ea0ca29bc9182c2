"""Leader election with etcd's own recipe (client/v3/concurrency), so that any client can take part.

A candidate is a key `<prefix>/<lease in hex>` under its lease. The candidate with the lowest create
revision leads. Each candidate waits for the one just before it, so the end of a leader wakes only
one.

An election alone does not exclude others: a leader may be paused and replaced without knowing.
Therefore every write of a leader compares the create revision of its key (`Leadership`) in the same
transaction.
"""

from __future__ import annotations

from collections.abc import Callable

from crawler.clock import Backoff, Clock
from crawler.coordination.keys import Keys
from crawler.coordination.lease import Lease
from crawler.coordination.store import (
    Delete,
    Get,
    KeyValue,
    Put,
    Store,
    absent,
    created_at,
)
from crawler.errors import LeadershipLost, Retryable
from crawler.logs import get_logger
from crawler.model.records import Leader, Leadership

log = get_logger(__name__)

WATCH_AGAIN_S = 0.1
"""The first pause after a watch of another candidate's key broke, in seconds. It doubles up to half
a second."""

STEADY_S = 5.0
"""A wait that went on undisturbed for this many seconds counts as a success."""


class Election:
    """Stand in the election, leave it, and observe who leads."""

    def __init__(self, store: Store, keys: Keys, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self.seen_revision = 0
        """The create revision of the election key of the leader that was observed last."""

    def campaign(self, lease: Lease, value: str) -> Leadership:
        """Stand under that lease, and block until elected.

        Raises LeadershipLost if somebody deletes the candidate's key meanwhile, and LeaseLost if
        the lease ended. While the store fails, it waits and tries again.
        """
        backoff = Backoff(WATCH_AGAIN_S)
        while True:
            lease.check()
            started_s = self._clock.monotonic()
            try:
                candidacy = self._stand(lease, value)
                self._wait_for_predecessors(candidacy, lease)
                return candidacy
            except Retryable as error:
                if self._clock.monotonic() - started_s > STEADY_S:
                    backoff.reset()
                note = log.debug if backoff.attempts else log.warning
                note("campaign interrupted; campaigning again", error=str(error))
                self._clock.wait(lease.lost, backoff.next_s())

    def resign(self, leadership: Leadership) -> None:
        """Give up a leadership or candidacy, if it still exists. Raises Retryable."""
        mine = created_at(leadership.key, leadership.revision)
        self._store.txn([mine], [Delete(leadership.key)])

    def confirm(self, leadership: Leadership) -> None:
        """Raise LeadershipLost unless etcd says now that this candidate leads. Raises Retryable."""
        leader = self._lowest()
        if leader is None or leader.create_revision != leadership.revision:
            raise LeadershipLost(f"the election key {leadership.key} does not lead any more")

    def observe(self, tell: Callable[[str | None], None]) -> None:
        """Call `tell` with the leader's value now and after each change, and with None while nobody
        leads. It never ends.

        While the store does not answer, `tell` is not called: the leader may still lead.
        """
        backoff = Backoff(WATCH_AGAIN_S)
        while True:
            try:
                self._observe_once(tell)
                backoff.reset()
            except Retryable as error:
                log.debug(
                    "observing the election was interrupted; observing it again", error=str(error)
                )
                self._clock.sleep(backoff.next_s())

    def _stand(self, lease: Lease, value: str) -> Leadership:
        key = self._keys.candidate(lease.id)
        put = Put(key, value.encode(), lease.id)
        result = self._store.txn([absent(key)], [put], [Get(key)])
        if result.succeeded:
            return Leadership(key, result.revision)
        standing = result.gets[0]
        assert standing is not None  # the comparison failed because the key exists
        return Leadership(key, standing.create_revision)

    def _wait_for_predecessors(self, candidacy: Leadership, lease: Lease) -> None:
        while True:
            found = self._store.range(self._keys.election)
            if candidacy.key not in (kv.key for kv in found.items):
                raise LeadershipLost(f"the candidate's key {candidacy.key} was deleted")
            before = [kv for kv in found.items if kv.create_revision < candidacy.revision]
            if not before:
                return
            nearest = max(before, key=lambda kv: kv.create_revision)
            self._await_change(nearest.key, found.revision, exact=True)
            lease.check()

    def _observe_once(self, tell: Callable[[str | None], None]) -> None:
        found = self._store.range(self._keys.election)
        leader = min(found.items, key=lambda kv: kv.create_revision, default=None)
        if leader is not None:
            self.seen_revision = leader.create_revision
        tell(leader.value.decode(errors="replace") if leader else None)
        if leader is None:
            self._await_change(self._keys.election, found.revision)
        else:
            self._await_change(leader.key, found.revision, exact=True)

    def _await_change(self, key: str, revision: int, *, exact: bool = False) -> None:
        watch = self._store.watch(key, revision + 1, exact=exact)
        try:
            for _ in watch:
                return
        finally:
            watch.close()

    def _lowest(self) -> KeyValue | None:
        items = self._store.range(self._keys.election).items
        return min(items, key=lambda kv: kv.create_revision, default=None)


def leader_value(name: str, address: str) -> str:
    """Return what a master writes into the election: `master2-192.168.0.107:9091`."""
    return f"master{name}-{address}"


def parse_leader(value: str, masters: dict[str, str]) -> Leader:
    """Return the leader that a value names. `masters` are the known names, with their addresses.

    If possible the name comes from the registered masters, because names and host names may contain
    dashes. Otherwise it ends at the first dash, because no name that this program accepts contains
    one. A leader whose value has another format also leads, but has no address.
    """
    for name, address in masters.items():
        if value == leader_value(name, address):
            return Leader(value, address)
    head, dash, address = value.partition("-")
    host, colon, port = address.rpartition(":")
    sound = head.startswith("master") and dash and host and colon and port.isdecimal()
    return Leader(value, address if sound else "")
