"""Gives an owner to every task that needs one. It remembers the waiting tasks between passes.

The functions are pure, except that they change the draft and the cluster state: time and state come
in as arguments, decisions go into the draft. `_intake` finds the tasks that need an owner, and the
tasks to blame for a dead worker. The scheduler's `Cycle` chooses workers. `place` writes the
choices into the draft, as `assignment.py` says. `waking.py` wakes the parked tasks.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from crawler.model.records import Node, Resource, State
from crawler.node.master.assignment import assigned, needs_owner, spiderless, waiting
from crawler.node.master.draft import Draft
from crawler.node.master.interruptions import pause_before
from crawler.node.master.orphans import by_dead_owner, noteworthy
from crawler.node.master.pauses import in_line
from crawler.node.master.poison import PoisonWatch
from crawler.node.master.rebalancing import Rebalancing
from crawler.node.master.set_aside import Held, SetAside
from crawler.node.master.waking import Waking
from crawler.node.master.workers import WorkerSnapshot
from crawler.scheduler.backlog import Backlog, Group
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.cycle import Cycle
from crawler.scheduler.framework import Framework
from crawler.scheduler.task import Task
from crawler.settings.scheduler import SchedulerSettings

PASS = 4_000
"""How many tasks are placed in one pass. With their commit they take some 100 ms, for which
requests wait."""

INTAKE = 1_000
"""How many tasks are taken in before other greenlets get a turn: some 10 ms."""

NOT_YET = "waits for its turn: other tasks are placed before it"


@dataclass(frozen=True, slots=True)
class Placed:
    """The result of a pass over the tasks without an owner."""

    dead: Mapping[str, int]
    """The workers that lose their tasks because they are dead: id → incarnation."""
    more: bool
    """Whether there are tasks left that could be placed at once."""


class Placer:
    """Places tasks, pass by pass, for one term."""

    def __init__(
        self,
        cluster_state: ClusterState,
        framework: Framework,
        settings: SchedulerSettings,
        give_turn: Callable[[], None] = lambda: None,
        ttl_s: float = 0.0,
    ) -> None:
        """`ttl_s` is the time to live of the workers' leases."""
        self._cluster_state = cluster_state
        self._framework = framework
        self._give_turn = give_turn
        self._poison = PoisonWatch(
            settings.poison_after, settings.poison_window_s, settings.poison_pause_s, ttl_s
        )
        self._set_aside = SetAside()
        self._rebalancing = Rebalancing(cluster_state, framework, settings, self._set_aside.tell)
        self.backlog = Backlog(settings.ageing_s, _groups(settings))
        self._waking = Waking(cluster_state, framework, self.backlog)
        self._due: dict[str, tuple[tuple[int, int], float]] = {}
        """The tasks whose run failed or was interrupted: how often, and the time of their next
        try."""
        self._alarms: list[tuple[float, str]] = []
        self._poisonous: set[str] = set()
        """The tasks that are parked for a while, because they killed workers."""
        self._spiderless: set[str] = set()
        """The tasks that are pending until a worker offers their spider."""
        self._version = 0
        cluster_state.begin()

    def idle_s(self, now_s: float) -> float:
        """Return the seconds until there is something to place, if nothing happens before. Infinite
        if no time is known."""
        alarm_s = self._alarms[0][0] - now_s if self._alarms else math.inf
        return max(0.0, min(alarm_s, self._rebalancing.idle_s(now_s)))

    def count_waiting(self) -> int:
        """Count the tasks without a worker."""
        return len(self.backlog) + self._count_held()

    def count_parked(self) -> int:
        """Count the tasks that no worker suits, that killed too many workers, or whose placement
        failed."""
        return self.backlog.count_parked() + self._count_held()

    def _count_held(self) -> int:
        """Count the tasks without a worker that are not in the backlog."""
        return len(self._poisonous) + len(self._spiderless) + len(self._set_aside)

    def count_set_aside(self) -> int:
        """Count the tasks whose placement failed because of a fault."""
        return len(self._set_aside)

    def set_aside(self, resource: Resource, error: Exception, now_s: float) -> str:
        """Do not place a task for a while, because its placement failed, or cannot be written.
        Return the reason, for people."""
        held = self._set_aside.put(resource, error, now_s)
        heapq.heappush(self._alarms, (held.due_s, resource.name))
        return held.reason

    def held(self, name: str) -> Held | None:
        """Return why and until when a task is set aside; None for other tasks."""
        return self._set_aside.get(name)

    @property
    def waiting(self) -> Sequence[str]:
        """The tasks that a change of the policy may place: those that wait for a worker that suits,
        and those whose placement failed."""
        return [*self.backlog, *self._set_aside]

    def try_some(self) -> None:
        """Wake some parked tasks, because a plugin's answer may depend on the time."""
        self._waking.try_some()

    def look_anew(self) -> None:
        """Sort all tasks anew after a change of the policy: the shapes may differ, and tasks that
        are parked or set aside may fit."""
        self._version = -1
        self._cluster_state.changes.suspect(self._set_aside.release())
        self._waking.wake_all()

    def tries_again_s(self, name: str, now_s: float) -> float:
        """Return the seconds that a task still has to wait whose run failed or was interrupted; 0
        for other tasks."""
        return max(0.0, self._due[name][1] - now_s) if name in self._due else 0.0

    def parked_s(self, name: str, now_s: float) -> float:
        """Return the seconds for which a task is still parked because workers died of it; 0 for
        other tasks."""
        return self._poison.parked_s(name, now_s)

    def place(self, draft: Draft, workers: WorkerSnapshot, now_s: float, now_ns: int) -> Placed:
        """Run a pass, and write its decisions into the draft."""
        changes = self._cluster_state.changes.take()
        names = changes.suspects
        names |= dict.fromkeys(self._poison.returned(changes.freed, workers.live))
        dead = self._intake(names, draft, workers, now_s, now_ns)
        self._waking.wake(changes)
        cycle = Cycle(
            self._framework, self._cluster_state, self.backlog, draft.get, self._give_turn
        )
        plan = cycle.run(PASS)
        for name, node in plan.placed.items():
            try:
                self._assign(draft, name, node, now_ns)
            except Exception as error:
                plan.failed[name] = error
        for name, fault in plan.failed.items():
            self._give_up(draft, workers, name, fault, now_s)
        for name, reason in plan.waiting.items():
            self._let_wait(draft, workers, name, reason)
        for name in draft.unexplained:
            self._let_wait(draft, workers, name, NOT_YET)
        if not plan.placed:  # a task without a worker goes first
            for resource, node in self._rebalancing.moves(draft.get, now_s, now_ns):
                draft.put(assigned(resource, node, now_ns))
        # The tasks placed now may have opened a place for others that wait.
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
        """Take in all tasks about which something changed. Return the dead workers that owned
        them."""
        if (
            self._cluster_state.relevant_labels.version != self._version
        ):  # the shapes of tasks may have changed
            self._version = self._cluster_state.relevant_labels.version
            names |= self._break_up()
        while self._alarms and self._alarms[0][0] <= now_s:
            names[heapq.heappop(self._alarms)[1]] = None
        homeless = list(self._homeless(names, draft, workers))
        orphaned = by_dead_owner(homeless, workers)
        in_order = self._cluster_state.workers.left_in_order
        excused = self._poison.blame(orphaned, workers, in_order, now_s, now_ns)
        # Read them again, because something may have changed while other greenlets ran.
        again = dict.fromkeys([*(each.name for each in homeless), *excused])
        for resource in self._homeless(again, draft, workers):
            try:
                self._offer(draft, self._poison.judged(resource), now_s, now_ns)
            except Exception as error:
                self._give_up(draft, workers, resource.name, error, now_s)
        return noteworthy(orphaned)

    def _homeless(
        self, names: Iterable[str], draft: Draft, workers: WorkerSnapshot
    ) -> Iterator[Resource]:
        """Yield the tasks that need an owner. Remove the others from the queues."""
        for count, name in enumerate(names, 1):
            resource = draft.get(name)
            if resource is not None and (resource.kills or name in self._poison.hung):
                resource = self._reviewed(draft, resource, workers)
            self._spiderless.discard(name)
            if resource is not None and needs_owner(resource, workers):
                yield resource
            else:
                self.backlog.withdraw(name)
                self._due.pop(name, None)
                self._poisonous.discard(name)
                self._set_aside.forget(name)
                if resource is None:
                    self._poison.forget(name)
                elif resource.paused or resource.stopped:
                    self._bring_in_line(draft, resource)
                elif resource.awaits_spider and resource.state is State.PENDING:
                    self._await_spider(draft, resource)
            if count % INTAKE == 0:
                self._give_turn()

    def _bring_in_line(self, draft: Draft, resource: Resource) -> None:
        """Take a paused task from its worker. Another program, or a leader that knows no pauses,
        may have given it to one."""
        wanted = in_line(resource)
        if wanted != resource:
            draft.put(wanted)

    def _await_spider(self, draft: Draft, resource: Resource) -> None:
        """Write into the draft that a task waits until a worker offers its spider."""
        self._spiderless.add(resource.name)
        told = spiderless(resource)
        if told != resource:
            draft.put(told)

    def _reviewed(self, draft: Draft, resource: Resource, workers: WorkerSnapshot) -> Resource:
        """Return a task that is blamed for deaths, after another look at whether it is to blame."""
        if resource.state.finished:  # nothing follows from it any more
            self._poison.hung.pop(resource.name, None)
            return resource
        reviewed = self._poison.review(resource, draft.stored(resource.name), workers.live)
        if reviewed is not resource:
            draft.put(reviewed)
        return reviewed

    def _break_up(self) -> dict[str, None]:
        """Take all tasks out of their queues, so that each is offered again under its present
        shape."""
        names = dict.fromkeys(self.backlog)
        for name in names:
            self.backlog.withdraw(name)
        return names

    def _offer(self, draft: Draft, resource: Resource, now_s: float, now_ns: int) -> None:
        """Put a task into the backlog, unless it has to wait, is set aside, or killed too many
        workers."""
        if self._set_aside.holds(resource, now_s):
            return
        resource = self._poison.sentenced(resource, now_s, now_ns)
        self._poisonous.discard(resource.name)
        due_s = self._poison.due_s(resource)
        if due_s > now_s:
            self._park(draft, resource, due_s)
        elif self._is_due(resource, now_s):
            task = Task.of(resource)
            shape = self._framework.shape(task, self._cluster_state.relevant_labels)
            since_ns = now_ns if resource.owner else resource.creation_time or now_ns
            group = self._cluster_state.group_of(resource)
            self.backlog.offer(resource.name, task, shape, group, since_ns / 1e9)

    def _park(self, draft: Draft, resource: Resource, due_s: float) -> None:
        """Keep a task that killed workers from all workers until that time."""
        self._poisonous.add(resource.name)
        self.backlog.withdraw(resource.name)
        heapq.heappush(self._alarms, (due_s, resource.name))
        settled = waiting(resource, self._poison.reason(resource))
        if settled != draft.get(resource.name):
            draft.put(settled)

    def _is_due(self, resource: Resource, now_s: float) -> bool:
        """Whether a task may be placed now. A task whose run failed has to wait a little, and so
        has one that is interrupted again and again."""
        pause_s = pause_before(resource)
        if not pause_s or resource.owner is not None:
            return True
        ends = len(resource.failed_on), resource.interruption.in_a_row
        known, due_s = self._due.get(resource.name, (None, 0.0))
        if known != ends:
            due_s = now_s + pause_s
            self._due[resource.name] = (ends, due_s)
            heapq.heappush(self._alarms, (due_s, resource.name))
        return due_s <= now_s

    # -- what is written down ------------------------------------------------------------------

    def _assign(self, draft: Draft, name: str, node: Node, now_ns: int) -> None:
        """Write into the draft that a task was placed. The next pass looks at a task that another
        program wrote in the middle of this one."""
        resource = draft.get(name)
        if resource is not None and self._cluster_state.is_reserved(name, node):
            draft.put_placed(resource, assigned(self._poison.judged(resource), node, now_ns))
            self._due.pop(name, None)
            self._set_aside.forget(name)

    def _give_up(
        self, draft: Draft, workers: WorkerSnapshot, name: str, error: Exception, now_s: float
    ) -> None:
        """Set a task aside whose placement raised, and write down why."""
        self.backlog.withdraw(name)
        resource = draft.get(name)
        if resource is None:
            return
        reason = self.set_aside(resource, error, now_s)
        try:
            self._let_wait(draft, workers, name, reason)
            self._cluster_state.see(name, draft.get(name))
        except Exception as another:  # the reason is in the log
            self._set_aside.tell(name, another)

    def _let_wait(self, draft: Draft, workers: WorkerSnapshot, name: str, reason: str) -> None:
        """Write into the draft why a task waits. A task that should move stays with its worker
        until it can."""
        resource = draft.get(name)
        if resource is None or (resource.owner and workers.stands_by(resource.owner)):
            return
        settled = waiting(self._poison.judged(resource), reason)
        if settled != resource:
            draft.put(settled)


def _groups(settings: SchedulerSettings) -> Mapping[str, Group]:
    shares, most = settings.shares, settings.most
    return {
        name: Group(shares.get(name, shares.get("*", 1.0)), most.get(name, most.get("*", 0)))
        for name in {"*"} | shares.keys() | most.keys()
    }
