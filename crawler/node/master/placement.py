"""Gives an owner to every task that needs one: what a term knows between its passes.

Pure but for the draft and the cluster state that it changes: time and state come in, decisions go
into the draft. `intake` notices who needs an owner and who is to blame for a dead worker, the
scheduler's `Cycle` decides, and what it decided is written down.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from crawler.coordination.codec import MOST_EPOCH
from crawler.model.records import Node, Resource, State
from crawler.node.master.draft import Draft
from crawler.node.master.poison import PoisonWatch
from crawler.node.master.rebalancing import Rebalancing
from crawler.node.master.workers import Incarnation, WorkerSnapshot, incarnation_of
from crawler.scheduler.backlog import Backlog, Group
from crawler.scheduler.changes import Changes
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.cycle import Cycle
from crawler.scheduler.framework import Framework
from crawler.scheduler.task import Task
from crawler.settings.sections import SchedulerSettings

PASS = 4_000
"""Tasks placed in one pass: some 100 ms with their commit, for which requests have to wait."""

SOME = 20
"""Kinds of parked tasks that are tried again when nothing has happened."""

INTAKE = 1_000
"""Tasks taken in before everything else gets a turn: some 10 ms."""

RETRY_S = 1.0
MOST_RETRY_S = 60.0
"""Pause before a run that failed is tried again; it doubles with each failure."""

NOT_YET = "waits for its turn: other tasks are placed before it"


@dataclass(frozen=True, slots=True)
class Placed:
    """What a pass over the tasks without an owner came to."""

    dead: Mapping[str, int]
    """The workers whose tasks are taken from them because they are dead: id → incarnation."""
    more: bool
    """Whether there are tasks left that could be placed at once."""


class Placer:
    """Places tasks, pass after pass, for one term."""

    def __init__(
        self,
        cluster_state: ClusterState,
        framework: Framework,
        settings: SchedulerSettings,
        give_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._cluster_state = cluster_state
        self._framework = framework
        self._give_turn = give_turn
        self._poison = PoisonWatch(settings.poison_after, settings.poison_window_s)
        self._rebalancing = Rebalancing(cluster_state, framework, settings)
        self.backlog = Backlog(settings.ageing_s, _groups(settings))
        self._due: dict[str, tuple[int, float]] = {}
        """Tasks whose run failed: how often, and when they are to be tried again."""
        self._alarms: list[tuple[float, str]] = []
        self._poisonous: set[str] = set()
        """Tasks that are not to be placed again, as workers died of them."""
        self._version = 0
        cluster_state.begin()

    def idle_s(self, now_s: float) -> float:
        """How long there is nothing to place unless something happens; infinite without limit."""
        alarm_s = self._alarms[0][0] - now_s if self._alarms else math.inf
        return max(0.0, min(alarm_s, self._rebalancing.idle_s(now_s)))

    def count_waiting(self) -> int:
        """How many tasks have no worker."""
        return len(self.backlog) + len(self._poisonous)

    def count_parked(self) -> int:
        """How many of those no worker suits, or killed too many."""
        return self.backlog.count_parked() + len(self._poisonous)

    def try_some(self) -> None:
        """Time has passed, at which a plugin may look: try some of what is parked once more, those
        first that were tried longest ago."""
        for queue in heapq.nsmallest(SOME, self.backlog.parked, key=lambda queue: queue.tried):
            self.backlog.wake(queue)

    def look_anew(self) -> None:
        """How tasks are placed was changed: what was alike may differ, what is parked may fit."""
        self._version = -1
        self._wake_all()

    def tries_again_s(self, name: str, now_s: float) -> float:
        """How long a task whose run failed has to wait yet; 0 for others."""
        return max(0.0, self._due.get(name, (0, 0.0))[1] - now_s)

    def place(self, draft: Draft, workers: WorkerSnapshot, now_s: float, now_ns: int) -> Placed:
        """Run a pass, and write what it decides into the draft."""
        changes = self._cluster_state.changes.take()
        dead = self._intake(changes.suspects, draft, workers, now_s, now_ns)
        self._wake(changes)
        cycle = Cycle(
            self._framework, self._cluster_state, self.backlog, draft.get, self._give_turn
        )
        plan = cycle.run(PASS)
        for name, node in plan.placed.items():
            resource = draft.get(name)
            # What another wrote in the middle of the pass is for the next one to look at.
            if resource is not None and self._cluster_state.is_reserved(name, node):
                draft.put_placed(resource, assigned(self._blamed(resource), node, now_ns))
                self._due.pop(name, None)
        for name, reason in plan.waiting.items():
            self._let_wait(draft, workers, name, reason)
        for name in draft.unexplained:
            self._let_wait(draft, workers, name, NOT_YET)
        if not plan.placed:  # what has no worker at all comes first
            for resource, node in self._rebalancing.moves(draft.get, now_s, now_ns):
                draft.put(assigned(resource, node, now_ns))
        # What was placed may have opened a place to others that wait.
        opened = plan.placed and any(queue.by_places for queue in self.backlog.parked)
        return Placed(dead, plan.more or bool(opened))

    # -- who needs an owner --------------------------------------------------------------------

    def _intake(
        self,
        names: dict[str, None],
        draft: Draft,
        workers: WorkerSnapshot,
        now_s: float,
        now_ns: int,
    ) -> dict[str, int]:
        """Take in all tasks about which something changed; the dead whose tasks they were."""
        if (
            self._cluster_state.relevant_labels.version != self._version
        ):  # tasks may be alike in another way
            self._version = self._cluster_state.relevant_labels.version
            names |= self._break_up()
        while self._alarms and self._alarms[0][0] <= now_s:
            names[heapq.heappop(self._alarms)[1]] = None
        homeless = list(self._homeless(names, draft, workers))
        orphaned = _by_dead_owner(homeless, workers)
        self._poison.blame(orphaned, self._cluster_state.workers.left_in_order, now_ns)
        # Looked at again, as something may have changed while others had their turn.
        for resource in self._homeless([each.name for each in homeless], draft, workers):
            self._offer(draft, self._blamed(resource), now_s, now_ns)
        return _noteworthy(orphaned)

    def _homeless(
        self, names: Iterable[str], draft: Draft, workers: WorkerSnapshot
    ) -> Iterator[Resource]:
        """Those that need an owner; the others wait no more."""
        for count, name in enumerate(names, 1):
            resource = draft.get(name)
            if resource is not None and needs_owner(resource, workers):
                yield resource
            else:
                self.backlog.withdraw(name)
                self._due.pop(name, None)
                self._poisonous.discard(name)
                if resource is None:
                    self._poison.forget(name)
            if count % INTAKE == 0:
                self._give_turn()

    def _break_up(self) -> dict[str, None]:
        """Take all tasks out of their queues: each is offered anew, with those it is like now."""
        names = dict.fromkeys(self.backlog)
        for name in names:
            self.backlog.withdraw(name)
        return names

    def _offer(self, draft: Draft, resource: Resource, now_s: float, now_ns: int) -> None:
        """Put a task into the backlog, unless it has to wait, or is not to be tried again."""
        why = self._poison.verdict(resource)
        self._poisonous.discard(resource.name)
        if why:
            self._poisonous.add(resource.name)
            self.backlog.withdraw(resource.name)
            settled = waiting(resource, why)
            if settled != draft.get(resource.name):
                draft.put(settled)
        elif self._is_due(resource, now_s):
            task = Task.of(resource)
            shape = self._framework.shape(task, self._cluster_state.relevant_labels)
            since_ns = now_ns if resource.owner else resource.creation_time or now_ns
            group = self._cluster_state.group_of(resource)
            self.backlog.offer(resource.name, task, shape, group, since_ns / 1e9)

    def _is_due(self, resource: Resource, now_s: float) -> bool:
        """Whether a task may be placed now: one whose run failed has to wait a little."""
        failures = len(resource.failed_on)
        if not failures or resource.owner is not None:
            return True
        known, due_s = self._due.get(resource.name, (0, 0.0))
        if known != failures:
            due_s = now_s + min(RETRY_S * 2 ** (failures - 1), MOST_RETRY_S)
            self._due[resource.name] = (failures, due_s)
            heapq.heappush(self._alarms, (due_s, resource.name))
        return due_s <= now_s

    def _wake(self, changes: Changes) -> None:
        """Try what is parked again where a worker that changed would take it now."""
        if changes.left:  # without the only one with its spider, a task may go to any other
            return self._wake_all()
        for queue in self.backlog.parked:
            if queue.by_places:
                helps = bool(changes.freed or changes.grown)
            else:
                helps = self._would_take(queue.task, changes.freed)
            if helps:
                self.backlog.wake(queue)

    def _wake_all(self) -> None:
        for queue in self.backlog.parked:
            self.backlog.wake(queue)

    def _would_take(self, task: Task, ids: Collection[str]) -> bool:
        nodes = self._cluster_state.workers.schedulable_among(ids)
        if not nodes:
            return False
        plugin_run = self._framework.plugin_run(task, self._cluster_state)
        refused = {id for why in plugin_run.refusals(nodes).values() for id in why}
        rest = [each for each in nodes if each.id not in refused]
        full = (
            {id for why in plugin_run.without_room(rest).values() for id in why} if rest else set()
        )
        return len(full) < len(rest)

    # -- what is written down ------------------------------------------------------------------

    def _blamed(self, resource: Resource) -> Resource:
        """The resource with the workers counted that died of it."""
        kills = self._poison.kills(resource)
        return resource if kills == resource.kills else resource.replace(kills=kills)

    def _let_wait(self, draft: Draft, workers: WorkerSnapshot, name: str, reason: str) -> None:
        """Say why a task waits; one that only should move stays where it is until it can."""
        resource = draft.get(name)
        if resource is None or (resource.owner and workers.stands_by(resource.owner)):
            return
        settled = waiting(self._blamed(resource), reason)
        if settled != resource:
            draft.put(settled)


def needs_owner(resource: Resource, workers: WorkerSnapshot) -> bool:
    """Whether a resource has work left that no worker is responsible for, or one that shall have
    no work any more."""
    if resource.awaits_spider:
        return workers.has_spider(resource.spec.spider_name)
    if resource.state.finished:
        return False
    owner = resource.owner
    if owner is None or not workers.stands_by(owner):
        return True
    if owner.node_id not in workers.cordoned:
        return False
    # Where only others than those that have its spider take tasks, it would move and fail.
    return workers.has_spider(resource.spec.spider_name) or not any(workers.schedulable)


def assigned(resource: Resource, node: Node, now_ns: int) -> Resource:
    """The resource as this worker's, with the next epoch; it is a new one, to be stored."""
    return resource.given_to(node.as_owner, epoch=next_epoch(resource), now_ns=now_ns)


def next_epoch(resource: Resource) -> int:
    """One more than the last. A value without an epoch may be one that another program rewrote: its
    revision is above all epochs there were, as each of them was a write of its own. At the bound,
    which only another program's value reaches, it stays: what is written has to be readable."""
    return min((resource.epoch or resource.mod_revision) + 1, MOST_EPOCH)


def waiting(resource: Resource, reason: str) -> Resource:
    """The resource without an owner, and why."""
    return resource.replace(owner=None, state=State.PENDING, reason=reason, awaits_spider=False)


def _by_dead_owner(
    homeless: Iterable[Resource], workers: WorkerSnapshot
) -> dict[Incarnation, list[Resource]]:
    found: dict[Incarnation, list[Resource]] = {}
    for resource in homeless:
        owner = resource.owner
        if owner is not None and not workers.stands_by(owner):
            found.setdefault(incarnation_of(owner), []).append(resource)
    return found


def _noteworthy(orphaned: Mapping[Incarnation, Iterable[Resource]]) -> dict[str, int]:
    """The latest life of each worker that is dead. No life is younger than what names it; one that
    another program made up is no life."""
    dead: dict[str, int] = {}
    for life, tasks in orphaned.items():
        if any(0 < life.revision < task.mod_revision for task in tasks):
            dead[life.node_id] = max(life.revision, dead.get(life.node_id, 0))
    return dead


def _groups(settings: SchedulerSettings) -> Mapping[str, Group]:
    shares, most = settings.shares, settings.most
    return {
        name: Group(shares.get(name, shares.get("*", 1.0)), most.get(name, most.get("*", 0)))
        for name in {"*"} | shares.keys() | most.keys()
    }
