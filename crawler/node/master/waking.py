"""Wakes parked tasks, which no worker suited, when something happened that may help."""

from __future__ import annotations

import heapq
from collections.abc import Collection

from crawler.scheduler.backlog import Backlog
from crawler.scheduler.changes import Changes
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.framework import Framework
from crawler.scheduler.task import Task

SOME = 20
"""How many kinds of parked tasks are tried again if nothing has happened."""


class Waking:
    """Wakes the parked tasks of a backlog, so that the next pass tries them."""

    def __init__(self, cluster_state: ClusterState, framework: Framework, backlog: Backlog) -> None:
        self._cluster_state = cluster_state
        self._framework = framework
        self._backlog = backlog

    def wake(self, changes: Changes) -> None:
        """Wake parked tasks that a changed worker would take now."""
        if changes.left:  # without the only worker with its spider, a task may go to any
            return self.wake_all()
        for queue in self._backlog.parked:
            if queue.by_places:
                helps = bool(changes.freed or changes.grown)
            else:
                helps = self._may_take(queue.task, changes.freed)
            if helps:
                self._backlog.wake(queue)

    def wake_all(self) -> None:
        """Wake all parked tasks."""
        for queue in self._backlog.parked:
            self._backlog.wake(queue)

    def _may_take(self, task: Task, ids: Collection[str]) -> bool:
        """Whether one of these workers takes such tasks. If that cannot be said, the pass tries,
        and finds the task that is at fault."""
        try:
            return self._would_take(task, ids)
        except Exception:
            return True

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

    def try_some(self) -> None:
        """Wake some parked tasks, those tried longest ago first, because a plugin's answer may
        depend on the time."""
        for queue in heapq.nsmallest(SOME, self._backlog.parked, key=lambda queue: queue.tried):
            self._backlog.wake(queue)
