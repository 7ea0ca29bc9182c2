"""Tells people what the scheduler would do under another policy. It works on copies alone.

First it places the tasks that wait, as the next pass would. Then it takes one task after the other
from its worker and places it again. So a task can always get its present worker back, and the
answer for each is that of `explain`, after the tasks before it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from crawler.logs import get_logger
from crawler.model.policy import DryRun, Fault, Move, Share
from crawler.model.records import Resource, State
from crawler.scheduler.backlog import Backlog
from crawler.scheduler.candidate import Candidate
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.cycle import Cycle
from crawler.scheduler.framework import Framework
from crawler.scheduler.ranking import Ranking
from crawler.scheduler.reasons import summary
from crawler.scheduler.task import Shape, Task

log = get_logger(__name__)

MOST_EXAMPLES = 100
"""How many tasks of a kind are told by name."""

PASS = 4_000
"""How many waiting tasks are placed at once."""

EVERY = 50
"""After how many small steps the time is looked at: less than a millisecond."""

T = TypeVar("T")

Step = Callable[[], bool]
"""Lets other greenlets run from time to time. It returns False if there is no time left."""


class Trial:
    """A dry run at work."""

    def __init__(
        self,
        framework: Framework,
        cluster_state: ClusterState,
        backlog: Backlog,
        step: Step,
    ) -> None:
        """These must be copies: the trial changes them. `cluster_state` has the workers and no
        task, and `backlog` is empty."""
        self._framework = framework
        self._cluster_state = cluster_state
        self._backlog = backlog
        self._resources: dict[str, Resource] = {}
        self._step = step
        self._faults: dict[tuple[str, str, str], Fault] = {}

    def run(self, resources: Iterable[Resource], waiting: Collection[str], now_ns: int) -> DryRun:
        """Place the tasks with the names in `waiting`, and then all others that have a worker."""
        for resource in self._unhurried(resources):
            self._resources[resource.name] = resource
            self._cluster_state.see(resource.name, resource)
        waiting = [name for name in waiting if name in self._resources]
        now = self._unfinished()
        placed, left = self._place(waiting, now_ns)
        after_pass = self._unfinished()
        owned = self._owned(placed.keys() | set(waiting))
        checked, moved, moves = self._place_again(owned)
        anew = self._unfinished()
        return DryRun(
            policy=self._framework.policy,
            waiting=len(waiting),
            placed=len(placed),
            placements=list(placed.values())[:MOST_EXAMPLES],
            left=left,
            owned=len(owned),
            checked=checked,
            moved=moved,
            moves=moves,
            workers=[Share(id, now[id], after_pass[id], anew[id]) for id in sorted(now)],
            faults=list(self._faults.values()),
        )

    def _unhurried(self, each: Iterable[T]) -> Iterator[T]:
        """Yield all of these, and let others run in between."""
        for count, one in enumerate(each, 1):
            yield one
            if count % EVERY == 0:
                self._step()

    def _unfinished(self) -> Mapping[str, int]:
        return {each.id: each.unfinished for each in self._cluster_state.candidates.values()}

    # -- the tasks that wait -------------------------------------------------------------------

    def _place(
        self, waiting: Sequence[str], now_ns: int
    ) -> tuple[Mapping[str, Move], Sequence[Move]]:
        """Place the tasks that wait. Return those that get a worker, and the first of those that
        get none."""
        owners = {name: self._worker_of(name) for name in waiting}
        for name in self._unhurried(waiting):
            self._offer(self._resources[name], now_ns)
        placed: dict[str, Move] = {}
        reasons: dict[str, str] = {}
        more = True
        while more:
            cycle = Cycle(
                self._framework, self._cluster_state, self._backlog, self._resources.get, self._turn
            )
            plan = cycle.run(PASS)
            self._note_faults()
            for name, node in plan.placed.items():
                placed[name] = Move(name, owners[name], node.id)
            reasons |= plan.waiting
            reasons |= {name: str(error) for name, error in plan.failed.items()}
            more = plan.more and self._step()
        left = (name for name in waiting if name not in placed)
        first = [name for name, _ in zip(left, range(MOST_EXAMPLES))]
        return placed, [Move(name, owners[name], "", reasons.get(name, "")) for name in first]

    def _offer(self, resource: Resource, now_ns: int) -> None:
        task = Task.of(resource)
        shape = self._framework.shape(task, self._cluster_state.relevant_labels)
        since_ns = now_ns if resource.owner else resource.creation_time or now_ns
        group = self._cluster_state.group_of(resource)
        self._backlog.offer(resource.name, task, shape, group, since_ns / 1e9)

    def _turn(self) -> None:
        self._step()

    # -- the tasks that have a worker ----------------------------------------------------------

    def _owned(self, others: Collection[str]) -> Sequence[str]:
        """Return the unfinished tasks that a live worker has, without those others."""
        return [
            name
            for name in self._unhurried(self._resources)
            if name not in others and not self._resources[name].has_ended and self._worker_of(name)
        ]

    def _place_again(self, owned: Sequence[str]) -> tuple[int, int, Sequence[Move]]:
        """Place tasks again that have a worker. Return how many were asked about, how many would
        move, and the first of these."""
        shapes: dict[Shape, list[str]] = {}
        for name in self._unhurried(owned):
            task = Task.of(self._resources[name])
            shape = self._framework.shape(task, self._cluster_state.relevant_labels)
            shapes.setdefault(shape, []).append(name)
        checked, moved, moves = 0, 0, list[Move]()
        self._framework.begin_pass()
        for names in shapes.values():
            if not self._step():
                break
            try:
                for move in self._placed_again(names):
                    checked += 1
                    if move.before != move.after:
                        moved += 1
                        if moved <= MOST_EXAMPLES:
                            moves.append(move)
            except Exception as error:  # one odd task must not keep the answer about all others
                log.error("a task cannot be placed in a dry run", task=names[0], exc_info=error)
        self._note_faults()
        return checked, moved, moves

    def _placed_again(self, names: Sequence[str]) -> Iterator[Move]:
        """Take each task of one shape from its worker, and place it again, while there is time."""
        task = Task.of(self._resources[names[0]])
        ranking = Ranking(self._framework, self._cluster_state, task)
        for count, name in enumerate(names, 1):
            resource = self._resources[name]
            if self._framework.per_task:
                task = Task.of(resource)
            before = self._cluster_state.candidates[self._worker_of(name)]
            without = resource.replace(owner=None, state=State.PENDING)
            self._cluster_state.see(name, without)
            self._look_again(ranking, task, before)
            after = ranking.best(task)
            if after is None:
                self._cluster_state.see(name, resource)
                self._look_again(ranking, task, before)
                yield Move(name, before.id, "", self._why(ranking))
            else:
                self._cluster_state.reserve(name, after.node)
                ranking.chose(task, after)
                yield Move(name, before.id, after.id)
            if count % EVERY == 0 and not self._step():
                return

    def _look_again(self, ranking: Ranking, task: Task, candidate: Candidate) -> None:
        """Rate a worker again that has one task less, or has it back."""
        if candidate.schedulable:
            ranking.refresh(task, [candidate])

    def _why(self, ranking: Ranking) -> str:
        return f"no worker suits: {summary(ranking.reasons(), self._cluster_state, '')}"

    def _worker_of(self, name: str) -> str:
        """Return the id of the live worker that has a task; empty if none has it."""
        owner = self._resources[name].owner
        candidate = self._cluster_state.candidates.get(owner.node_id) if owner else None
        return candidate.id if owner and candidate and candidate.node.owns(owner) else ""

    def _note_faults(self) -> None:
        for each in self._framework.faults:
            self._faults[each.plugin, each.hook, each.worker] = each
