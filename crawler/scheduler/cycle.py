"""One cycle of the scheduler: it chooses a worker for each waiting task, or finds out why none
suits.

order → filter → score → weighted sum → pick → reserve. The cycle reserves each choice in the
cluster state at once, so that the next choice counts it. Whoever commits the plan undoes the
reservations that were not committed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from crawler.model.records import Node, Resource
from crawler.plural import counted
from crawler.scheduler import reasons
from crawler.scheduler.backlog import Backlog, Turn
from crawler.scheduler.candidate import Candidate
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.framework import Framework
from crawler.scheduler.ranking import Ranking
from crawler.scheduler.shape_queue import Queue
from crawler.scheduler.task import Shape, Task

MOST_RANKINGS = 64
"""For how many shapes the cycle keeps rankings at once. Each ranking has one entry per worker."""

TURN_EVERY = 200
"""After how many placements other greenlets get a turn: some 2 ms."""

MOST_JUDGED = 50_000
"""How many workers one pass filters and rates for new shapes: some 100 ms. The next pass goes
on."""

SUITS = "no worker suits"
LOST = "the only worker that it may run on is not there"
FULL = "its group is full"
PINNED = "pinned"
"""The plugin that keeps tasks on their only worker."""

NOBODY = "no worker is registered; it is placed as soon as one joins"
NOBODY_NOW = "no worker takes tasks at present: they are cordoned or about to leave"


@dataclass(slots=True)
class Plan:
    """What a cycle decided."""

    placed: dict[str, Node] = field(default_factory=dict)
    """Task name → the worker that gets it."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Task name → why it waits. Only tasks whose reason was not reported before."""
    failed: dict[str, Exception] = field(default_factory=dict)
    """Task name → the error that placing it raised. These tasks have left the backlog."""
    more: bool = False
    """Whether there is more to place at once."""


Find = Callable[[str], Resource | None]
"""Returns the resource of that name, as the draft of the pass shows it."""


class Cycle:
    """One cycle at work."""

    def __init__(
        self,
        framework: Framework,
        cluster_state: ClusterState,
        backlog: Backlog,
        find: Find,
        give_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._framework = framework
        framework.begin_pass()
        self._cluster_state = cluster_state
        self._backlog = backlog
        self._find = find
        self._give_turn = give_turn
        self._plan = Plan()
        self._chosen: list[Candidate] = []
        """The workers chosen so far, in order. Each ranking notes how many of them it has
        followed."""
        self._rankings: dict[Shape, tuple[Ranking, int]] = {}
        self._judged = 0

    def run(self, most: int) -> Plan:
        """Place up to `most` tasks, or until no more can be placed. If it is interrupted, it undoes
        its reservations."""
        try:
            self._serve_all(most)
        except BaseException:
            for name in self._plan.placed:
                self._cluster_state.see(name, self._find(name))
            raise
        self._tell_waiting()
        return self._plan

    def _serve_all(self, most: int) -> None:
        for turn in self._backlog.turns(self._cluster_state.workers.groups):
            left = most - len(self._plan.placed)
            if left <= 0 or self._judged > MOST_JUDGED:
                self._plan.more = True
                break
            self._serve(turn, left)

    def _serve(self, turn: Turn, most: int) -> None:
        """Place tasks of one queue until its turn is over, or no worker suits and the queue is
        parked. If that raises, the tasks at fault leave the pass."""
        queue = turn.queue
        per_task, present = self._framework.per_task, self._cluster_state.candidates
        at_fault: Iterable[str] = queue  # its tasks share the shape, which is judged first
        try:
            ranking = self._ranking(queue)
            for name in turn:
                if most <= 0:
                    break
                at_fault = [name] if per_task else queue
                task = self._task(queue, name) if per_task else queue.task
                candidate = ranking.best(task)
                if candidate is None:
                    at_fault = queue
                    self._park(queue, ranking)
                    break
                if present.get(candidate.id) is not candidate:
                    ranking.forget(candidate)  # it left or changed while other greenlets ran
                    continue
                at_fault = [name]
                self._backlog.pop(name)
                self._place(name, task, candidate, ranking)
                most -= 1
        except Exception as error:
            self._fail(list(at_fault), error)
        else:
            self._rankings[queue.shape] = (ranking, len(self._chosen))

    def _fail(self, names: Collection[str], error: Exception) -> None:
        """Take tasks out of the pass whose placement raised. The others are placed all the same."""
        for name in names:
            self._backlog.withdraw(name)
            self._plan.placed.pop(name, None)
            self._plan.failed[name] = error
            self._cluster_state.see(name, self._find(name))

    def _place(self, name: str, task: Task, candidate: Candidate, ranking: Ranking) -> None:
        if not self._cluster_state.reserve(name, candidate.node):  # deleted since its offer
            return
        ranking.chose(task, candidate)
        self._chosen.append(candidate)
        self._plan.placed[name] = candidate.node
        if len(self._chosen) % TURN_EVERY == 0:
            self._give_turn()

    def _task(self, queue: Queue, name: str) -> Task:
        """Return the exact task whose turn it is."""
        resource = self._find(name)
        return queue.task if resource is None else Task.of(resource)

    def _ranking(self, queue: Queue) -> Ranking:
        """Return the ranking for a queue, updated for all workers chosen meanwhile."""
        found = self._rankings.pop(queue.shape, None)
        if found is None:
            if len(self._rankings) >= MOST_RANKINGS:
                self._rankings.pop(next(iter(self._rankings)))
            self._judged += len(self._cluster_state.schedulable)
            return Ranking(self._framework, self._cluster_state, queue.task)
        ranking, followed = found
        ranking.refresh(queue.task, dict.fromkeys(self._chosen[followed:]))
        return ranking

    def _park(self, queue: Queue, ranking: Ranking) -> None:
        pinned = self._pinned(queue)
        queue.lost = bool(pinned) and not reasons.registered(self._cluster_state, pinned)
        self._backlog.park(queue, ranking.reasons(), ranking.by_places)
        self._give_turn()

    def _tell_waiting(self) -> None:
        """Report why tasks wait, for those that have no reason yet: their queue may be parked for
        long."""
        for queue in list(self._backlog.queues):
            kind = self._kind(queue)
            names = queue.tell(kind) if kind else ()
            try:
                if names:
                    self._plan.waiting.update(dict.fromkeys(names, self._reason(queue, kind)))
            except Exception as error:
                self._fail(list(queue), error)

    def _kind(self, queue: Queue) -> str:
        """Return what keeps a queue from being placed; empty if it only waits for its turn."""
        if queue.reasons is not None and queue.lost:
            return LOST
        if queue.reasons:
            return SUITS
        if queue.reasons is not None:
            return NOBODY_NOW if self._cluster_state.candidates else NOBODY
        return "" if self._backlog.room(queue.group, self._cluster_state.workers.groups) else FULL

    def _reason(self, queue: Queue, kind: str) -> str:
        if kind == SUITS:
            told = reasons.summary(queue.reasons or {}, self._cluster_state, self._pinned(queue))
            return f"no worker suits: {told}"
        if kind == LOST:
            return reasons.missing(self._cluster_state.candidates, self._pinned(queue))
        if kind == FULL:
            tasks = counted(self._backlog.group(queue.group).most, "task")
            return f"group {queue.group!r} has its {tasks} at work, as many as it may have"
        return kind

    def _pinned(self, queue: Queue) -> str:
        """Return the only worker that its tasks may run on; empty if there is none, or the plugin
        is off."""
        return "" if PINNED in self._framework.policy.disabled else queue.task.constraints.node
