"""The mirrors of a master: copies of etcd's workers, masters, resources and decisions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from crawler.clock import Clock
from crawler.coordination.codec import decode_stored
from crawler.coordination.decisions import Decisions
from crawler.coordination.keys import MASTER, WORKER, Keys
from crawler.coordination.ledger import Landed, Outcome
from crawler.coordination.mirror import Change, Mirror
from crawler.coordination.registry import Difference, decode_registration, difference
from crawler.coordination.store import Store
from crawler.logs import get_logger
from crawler.model.records import Node, Resource
from crawler.node.master.name_index import NameIndex
from crawler.node.master.outside import host_of
from crawler.node.master.set_aside import tell_left_out
from crawler.node.master.task_counts import TaskCounts
from crawler.scheduler.cluster_state import ClusterState
from crawler.supervision import Supervisor

log = get_logger(__name__)

MOST_BEGUN_AGAIN = 10_000
"""Of how many tasks that were begun once more the end before is remembered."""
MOST_HOSTS = 1_000
"""How many hosts of lost masters are remembered."""


class Mirrors:
    """All mirrors of a master. Every master keeps them up to date, so a new leader is ready
    soon."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        clock: Clock,
        on_change: Callable[[], None],
        group_label: str = "",
    ) -> None:
        self.keys = keys
        self._on_change = on_change
        self._clock = clock
        self.cluster_state = ClusterState(group_label)
        """The tasks, the workers and all sums. It changes together with the mirrors."""
        self.workers: Mirror[Node] = Mirror(
            store,
            keys.registrations(WORKER),
            decode_registration,
            clock,
            self._workers_changed,
            self._count_worker,
        )
        self.masters: Mirror[Node] = Mirror(
            store, keys.registrations(MASTER), decode_registration, clock, track=self._see_master
        )
        self.begun_again: deque[Resource] = deque(maxlen=MOST_BEGUN_AGAIN)
        """Tasks as they had ended, of those that were begun once more since, the oldest first. Who
        looks at the tasks from time to time sees no such end."""
        self.hosts_lost: dict[str, float] = {}
        """The hosts of masters that went without notice, and when (monotonic)."""
        self.resources: Mirror[Resource] = Mirror(
            store,
            keys.resources,
            partial(decode_stored, keys),
            clock,
            lambda _: on_change(),
            self._count_task,
        )
        self._resources = self.resources.values
        self.names = NameIndex(
            lambda: (each.name for each in self._resources.values()),
            lambda name: self.resource(name) is not None,
        )
        """The names of the resources in sorted order."""
        self.counts = TaskCounts()
        """How many resources are in each state."""
        self.decisions = Decisions(store, keys, clock, on_change)

    def start(self, supervisor: Supervisor) -> None:
        """Start to mirror."""
        for mirror in (self.workers, self.masters, self.resources, self.decisions.mirror):
            mirror.start(supervisor)

    def refresh(self) -> None:
        """Read resources, workers and decisions again, all at one revision. Raises Retryable."""
        revision = self.resources.refresh()
        self.workers.refresh(revision)
        self.decisions.mirror.refresh(revision)

    def resource(self, name: str) -> Resource | None:
        """Return the resource with that name, or None."""
        return self._resources.get(self.keys.resource(name))

    def take(self, landed: Landed) -> None:
        """Put the outcomes of a commit into the mirror now, before the watch delivers them."""
        key = self.keys.resource
        for outcome in landed.outcomes:
            if outcome.written is None and outcome.refusal is None:
                self._take_found(key(outcome.name), outcome)
        if landed.revision:
            written = [(key(o.name), o.written) for o in landed.outcomes if o.written is not None]
            self.resources.adopt(written, landed.revision)
            self.resources.pass_over(landed.revision)

    def _take_found(self, key: str, outcome: Outcome) -> None:
        """Put in the value that the ledger read, or remove the resource if it read none."""
        revision = outcome.current.mod_revision if outcome.current else outcome.revision
        self.resources.apply(key, outcome.current, revision)

    def all_resources(self) -> Sequence[Resource]:
        """Return a copy of all resources, in no particular order."""
        return list(self.resources.values.values())

    def live_workers(self) -> dict[str, Node]:
        """Return the registered workers by id."""
        return {node.id: node for node in self.workers.values.values()}

    def live_masters(self) -> dict[str, Node]:
        """Return the registered masters by id."""
        return {node.id: node for node in self.masters.values.values()}

    def master_names(self) -> dict[str, str]:
        """Return the name of each registered master (the `2` of master 2), with its address."""
        prefix = self.keys.node_id(MASTER, "")
        return {id.removeprefix(prefix): n.address for id, n in self.live_masters().items()}

    def _see_master(self, before: Node | None, after: Node | None) -> None:
        """Note the host of a master that went without notice: a worker there may go with it."""
        if before is None or after is not None or before.draining:
            return
        if len(self.hosts_lost) >= MOST_HOSTS:
            self.hosts_lost.clear()
        self.hosts_lost[host_of(before.address)] = self._clock.monotonic()
        self._on_change()

    def _count_worker(self, before: Node | None, after: Node | None) -> None:
        pool, known = self.cluster_state.workers, after or before
        assert known is not None  # a change has one of the two
        try:
            if after is None:
                pool.leave(known.id)
            else:
                pool.join(after)
        except Exception as error:
            tell_left_out("a worker", known.id, error)
            pool.forget(known.id)

    def _count_task(self, before: Resource | None, after: Resource | None) -> None:
        known = after or before
        assert known is not None  # a change has one of the two
        try:
            self.cluster_state.see(known.name, after)
        except Exception as error:
            tell_left_out("a task", known.name, error)
            self.cluster_state.see(known.name, None)
        self.counts.changed(before, after)
        if before is None or after is None:
            self.names.changed(known.name)
        elif before.state.finished and before.generation != after.generation:
            self.begun_again.append(before)

    def _workers_changed(self, changes: Sequence[Change[Node]]) -> None:
        for change in changes:
            log.info("watch worker change", action=_action(change), service=_service(change))
        log.info(str(_difference(changes)))
        self._on_change()


def _difference(changes: Sequence[Change[Node]]) -> Difference:
    """Return how the set of nodes differs after a batch of changes. Only the first and the last
    state of each node count."""
    before: dict[str, Node] = {}
    after: dict[str, Node] = {}
    for change in changes:
        node = change.before or change.after
        assert node is not None  # a change has one of the two
        if change.before and node.id not in after:
            before.setdefault(node.id, change.before)
        after.pop(node.id, None)
        if change.after:
            after[node.id] = change.after
    return difference(before, after)


def _action(change: Change[Node]) -> str:
    if change.before is None:
        return "create"
    return "delete" if change.after is None else "update"


def _service(change: Change[Node]) -> dict[str, str]:
    node = change.after or change.before
    assert node is not None  # a change has one of the two
    return {"id": node.id, "address": node.address}
