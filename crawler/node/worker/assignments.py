"""What etcd says of a worker's tasks: which it owns, and what becomes of those that it lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crawler.clock import Clock
from crawler.coordination.codec import decode_stored
from crawler.coordination.keys import Keys
from crawler.coordination.mirror import Mirror, OnChange
from crawler.coordination.store import KeyValue, Store
from crawler.model.records import Node, Resource
from crawler.node.run.run import Run
from crawler.node.worker.fates import Fate, fate_of, others_go_on
from crawler.supervision import Supervisor


class Assignments:
    """The resources that one incarnation of this worker owns."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        clock: Clock,
        node: Node,
        on_change: OnChange[Resource],
    ) -> None:
        """`node` is the incarnation."""
        self._store = store
        self._keys = keys
        self._node = node
        self._owned: Mirror[Resource] = Mirror(
            store, keys.resources, self._decode, clock, on_change
        )
        self._elsewhere: set[str] = set()
        """The keys of the tasks that were here and have another owner, or none, by now."""

    def start(self, supervisor: Supervisor) -> None:
        """Mirror them until the supervisor stops."""
        self._owned.start(supervisor)

    def unfinished(self) -> Iterator[Resource]:
        """Yield those that should run."""
        return (each for each in self._owned.values.values() if not each.state.finished)

    def labels_of(self, name: str, id: str) -> Mapping[str, str] | None:
        """Return the labels of a task, or of a shard, that is here; None of another one, as of an
        earlier task of the same name."""
        found = self._owned.values.get(self._keys.resource(name))
        return None if found is None or found.id != id else found.spec.labels

    def fate(self, run: Run) -> Fate:
        """Return what becomes of a run that stops. It must not have outlived its lease: nothing
        says what became of such a one."""
        key = self._keys.resource(run.name)
        here = self._owned.values.get(key)
        is_elsewhere = here is None and key in self._elsewhere
        self._elsewhere.discard(key)
        is_gone = here is None and not is_elsewhere
        others = is_gone and others_go_on(self._store, self._keys, run.resource)
        return fate_of(run.resource, here, is_elsewhere, others, run.can_go_on)

    def _decode(self, kv: KeyValue) -> Resource | None:
        """Decode a resource that this incarnation owns. Note one that it owned: that has not been
        deleted."""
        mine = self._decode_mine(kv)
        if mine is not None:
            self._elsewhere.discard(kv.key)
        elif kv.key in self._owned.values:
            self._elsewhere.add(kv.key)
        return mine

    def _decode_mine(self, kv: KeyValue) -> Resource | None:
        """Decode a resource that this incarnation owns; None for all others."""
        # Most resources belong to others, and decoding them all would cost more than all other work
        # here.
        if self._node.id.encode() not in kv.value:
            return None
        resource = decode_stored(self._keys, kv)
        if resource is None or resource.owner is None:
            return None
        return resource if self._node.owns(resource.owner) else None
