"""Moves tasks from workers with too many to workers with too few, at intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from crawler.logs import get_logger
from crawler.model.records import Node, Resource
from crawler.scheduler.candidate import Candidate
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.framework import Framework
from crawler.scheduler.ranking import Ranking
from crawler.scheduler.rebalance import Band
from crawler.scheduler.task import Task
from crawler.settings.scheduler import SchedulerSettings

log = get_logger(__name__)

TRIES = 10
"""How many tasks are tried for each allowed move, because not every task suits every worker."""

Find = Callable[[str], Resource | None]


class Rebalancing:
    """Chooses the moves of a term. It is off unless the settings allow moves."""

    def __init__(
        self,
        cluster_state: ClusterState,
        framework: Framework,
        settings: SchedulerSettings,
        tell: Callable[[str, Exception], None] = lambda name, error: None,
    ) -> None:
        """`tell` is called for each task that cannot be judged because that raised."""
        self._tell = tell
        self._cluster_state = cluster_state
        self._framework = framework
        self._moves = settings.rebalance_moves
        self._every_s = settings.rebalance_s
        self._band = Band(settings.rebalance_band)
        self._cooldown_ns = int(settings.cooldown_s * 1e9)
        self._due_s = -math.inf if self._moves else math.inf

    def idle_s(self, now_s: float) -> float:
        """Return the seconds until the next move may be due; infinite if rebalancing is off."""
        return max(0.0, self._due_s - now_s)

    def moves(self, find: Find, now_s: float, now_ns: int) -> Iterator[tuple[Resource, Node]]:
        """Yield each task to move with its new worker, for which the task is already reserved."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + self._every_s
        left, tries = self._moves, self._moves * TRIES
        while left and tries:
            above, below = self._band.outside(self._cluster_state.schedulable)
            if not above or not below:
                return
            move = None
            for resource in islice(self._movable(above, find, now_ns), tries):
                tries -= 1
                node = self._better_place(resource, below)
                if node is not None:
                    move = resource, node
                    break
            if move is None:
                return
            log.info("moving a task to even out the load", task=move[0].name, to=move[1].id)
            yield move
            left -= 1

    def _movable(self, donors: Sequence[Candidate], find: Find, now_ns: int) -> Iterator[Resource]:
        """Yield the tasks that may move, those of the fullest worker first."""
        for donor in donors:
            yield from self._movable_from(donor, find, now_ns)

    def _movable_from(self, donor: Candidate, find: Find, now_ns: int) -> Iterator[Resource]:
        """Yield the tasks of a worker that may move, the latest assigned first: they lose least."""
        found = filter(None, map(find, self._cluster_state.holdings.names_on(donor.id)))
        tasks = [
            task
            for task in found
            if not task.state.finished and now_ns - task.assigned_time >= self._cooldown_ns
        ]
        yield from sorted(tasks, key=lambda task: (-task.assigned_time, task.name))

    def _better_place(self, resource: Resource, below: Sequence[Candidate]) -> Node | None:
        """Return the worker that the scheduler would choose now, if its load is below the band, and
        reserve it. Return None otherwise."""
        self._cluster_state.see(resource.name, resource.replace(owner=None))
        best = self._best(Task.of(resource))
        if best is None or best not in below:
            self._cluster_state.see(resource.name, resource)
            return None
        self._cluster_state.reserve(resource.name, best.node)
        return best.node

    def _best(self, task: Task) -> Candidate | None:
        """Return the worker that the scheduler would choose. A task at fault stays where it is."""
        try:
            return Ranking(self._framework, self._cluster_state, task).best(task)
        except Exception as error:
            self._tell(task.name, error)
            return None
