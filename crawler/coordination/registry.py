"""The registry of nodes: one key per node under its lease, in the format of go-micro."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from crawler.coordination.keys import MASTER, Keys
from crawler.coordination.lease import Lease
from crawler.coordination.registration import decode_node, encode_node
from crawler.coordination.snowflake import MAX_NODE
from crawler.coordination.store import (
    Get,
    KeyValue,
    Put,
    Range,
    Store,
    absent,
    created_at,
    unchanged,
    unchanged_below,
)
from crawler.coordination.tombstones import decode_tombstone
from crawler.errors import Retryable, Unavailable
from crawler.logs import get_logger
from crawler.model.records import DRAINING, Node

log = get_logger(__name__)

SNOWFLAKE = "snowflake"
"""The metadata entry of a master with its number, which is part of the ids that it gives out."""


class IdTaken(Retryable):
    """Another live node has that id. Its lease may end, or somebody may choose another id."""


class Registry:
    """Registers this process among the nodes of its role."""

    def __init__(self, store: Store, keys: Keys, role: str) -> None:
        self._store = store
        self._keys = keys
        self._role = role

    def register(self, node: Node, lease: Lease) -> Node:
        """Register the node under the lease. Return it with its incarnation, and for a master its
        number.

        Raises IdTaken while another node has that id, Retryable, LeaseLost.
        """
        key = self._keys.registration(self._role, node.id)
        while True:
            lease.check()
            others = self._store.range(self._keys.registrations(self._role))
            present = next((kv for kv in others.items if kv.key == key), None)
            if present is None:
                self._put(self._numbered(node, others), lease, others)
            elif present.lease == lease.id:
                return replace(decode_registration(present), incarnation=present.create_revision)
            else:
                raise IdTaken(f"another live node is registered as {node.id}")

    def objection(self, node: Node) -> str:
        """Return why this incarnation must not go on, according to etcd, or an empty text if it
        may.

        Raises Retryable.
        """
        keys = (self._keys.registration(self._role, node.id), self._keys.tombstone(node.id))
        registration, tombstone = self._store.txn([], [Get(key) for key in keys]).gets
        if registration is None or registration.create_revision != node.incarnation:
            return "its registration is gone"
        if (
            tombstone is not None
            and node.incarnation <= _buried(tombstone) < tombstone.mod_revision
        ):
            return "a leader declared it dead and gave its tasks to others"
        return ""

    def announce_draining(self, node: Node, lease: Lease) -> None:
        """Announce that the node takes no new tasks because it is about to leave. Raises
        Retryable."""
        key = self._keys.registration(self._role, node.id)
        value = self._encoded(_draining(node))
        self._store.txn([created_at(key, node.incarnation)], [Put(key, value, lease.id)])

    def announce(self, node: Node, lease: Lease) -> None:
        """Replace what the registration of this incarnation says. If that says that the node is
        about to leave, it goes on saying so. Nothing changes if it is gone. Raises Retryable."""
        key = self._keys.registration(self._role, node.id)
        while True:
            present = self._store.txn([], [Get(key)]).gets[0]
            if present is None or present.create_revision != node.incarnation:
                return
            told = _draining(node) if _is_draining(present) else node
            written = [Put(key, self._encoded(told), lease.id)]
            if self._store.txn([unchanged(key, present.mod_revision)], written).succeeded:
                return

    def _encoded(self, node: Node) -> bytes:
        return encode_node(self._keys.service(self._role), node)

    def names(self) -> set[str]:
        """Return the names taken within the role, from which `node_id` builds ids."""
        prefix = self._keys.registration(self._role, self._keys.node_id(self._role, ""))
        items = self._store.range(self._keys.registrations(self._role)).items
        return {kv.key.removeprefix(prefix) for kv in items}

    def _numbered(self, node: Node, others: Range) -> Node:
        """Give a master the lowest number for ids that no other live master has."""
        if self._role != MASTER:
            return node
        numbers = {number_in(kv) for kv in others.items}
        free = next((n for n in range(MAX_NODE + 1) if n not in numbers), None)
        if free is None:
            raise Unavailable(f"all {MAX_NODE + 1} node numbers for ids are in use")
        return replace(node, metadata={**node.metadata, SNOWFLAKE: str(free)})

    def _put(self, node: Node, lease: Lease, others: Range) -> None:
        """Register the node. For a master this fails if another master registered meanwhile, so
        that their numbers differ."""
        key = self._keys.registration(self._role, node.id)
        prefix = self._keys.registrations(self._role)
        value = self._encoded(node)
        conditions = [absent(key)]
        if self._role == MASTER:
            conditions.append(unchanged_below(prefix, others.revision))
        self._store.txn(conditions, [Put(key, value, lease.id)])


def _draining(node: Node) -> Node:
    """Return a node that is about to leave."""
    return replace(node, metadata={**node.metadata, DRAINING: "true"})


def _is_draining(registration: KeyValue) -> bool:
    """Whether a registration says that its node is about to leave."""
    try:
        return decode_registration(registration).draining
    except ValueError:
        return False


def _buried(tombstone: KeyValue) -> int:
    """Return the incarnation that a tombstone declares dead; 0 if it is unreadable.

    The caller checks that it is older than the tombstone: a later one would also declare all later
    lives of the worker dead.
    """
    try:
        return decode_tombstone(tombstone.value)
    except ValueError as error:
        log.error("a tombstone cannot be read", key=tombstone.key, error=str(error))
        return 0


def decode_registration(kv: KeyValue) -> Node:
    """Decode a registration for a mirror. Raises ValueError."""
    node = decode_node(kv.value, kv.create_revision)
    if not kv.key.endswith(f"/{node.id}"):
        raise ValueError(f"id is {node.id!r}, but the key says otherwise")
    return node


def number_of(master: Node) -> int | None:
    """Return the number of a registered master; None for a master that gives out no ids of this
    kind."""
    number = master.metadata.get(SNOWFLAKE, "")
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 5 else None


def number_in(registration: KeyValue) -> int | None:
    """Return the number in a registration; None also if it is unreadable."""
    try:
        return number_of(decode_registration(registration))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Difference:
    """How a set of nodes differs from the one before, as sorted ids."""

    joined: list[str]
    left: list[str]
    changed: list[str]

    def __bool__(self) -> bool:
        return bool(self.joined or self.left or self.changed)

    def __str__(self) -> str:
        joined, left, changed = (
            f"[{', '.join(ids)}]" for ids in (self.joined, self.left, self.changed)
        )
        return f"worker joined: {joined}, left: {left}, changed: {changed}"


def difference(before: Mapping[str, Node], after: Mapping[str, Node]) -> Difference:
    """Compare two sets of nodes by id. A node is changed if its address or metadata is."""
    return Difference(
        joined=sorted(after.keys() - before.keys()),
        left=sorted(before.keys() - after.keys()),
        changed=sorted(_changed(before, after)),
    )


def _changed(before: Mapping[str, Node], after: Mapping[str, Node]) -> Iterable[str]:
    return (id for id in before.keys() & after.keys() if before[id] != after[id])
