"""Finds the tasks that kill their workers.

A dead worker does not say which task killed it. The leader therefore suspects all tasks that the
worker got lately. Of these it blames only the ones with the highest count so far. The tasks of a
dead worker are spread over the other workers. A task that kills is therefore soon the only one with
its count, and is parked before it has killed all workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from crawler.coordination.codec import MOST_KILLS
from crawler.model.records import Resource
from crawler.node.master.workers import Incarnation, incarnation_of
from crawler.plural import counted


class PoisonWatch:
    """Counts the workers that each task killed. The counts are stored with the tasks."""

    def __init__(self, most: int, window_s: float) -> None:
        """`most` is the number of workers that a task may kill before it is parked; 0 means no
        limit. A task can have killed a worker only if the worker died within `window_s` seconds
        after it got the task."""
        self._most = most
        self._window_ns = int(window_s * 1e9)
        self._blamed: dict[str, tuple[Incarnation, int]] = {}
        """Task → the life of the worker that ended, and the count to store."""

    def blame(
        self,
        orphaned: Mapping[Incarnation, Sequence[Resource]],
        left_in_order: Callable[[Incarnation], bool],
        now_ns: int,
    ) -> None:
        """Judge the tasks of workers that were found dead in one pass.

        If several workers died at once, their etcd or their network is a more likely cause than a
        task. A worker that left in order died of no task.
        """
        deaths = [life for life in orphaned if not left_in_order(life)]
        for life, tasks in orphaned.items():
            fresh = [task for task in tasks if not self._knows(task, life)]
            recent = [task for task in fresh if now_ns - task.assigned_time < self._window_ns]
            worst = max((task.kills for task in recent), default=0)
            guilty = len(deaths) == 1 and life == deaths[0]
            for task in fresh:
                self._blamed[task.name] = (life, 0)
            for task in recent:
                more = 1 if guilty and task.kills == worst else 0
                self._blamed[task.name] = (life, min(task.kills + more, MOST_KILLS))

    def kills(self, resource: Resource) -> int:
        """Return how many workers the task killed, the latest included."""
        if not self._blamed or resource.name not in self._blamed:
            return resource.kills
        life, kills = self._blamed[resource.name]
        if resource.owner is not None and incarnation_of(resource.owner) == life:
            return kills
        del self._blamed[resource.name]  # the count is stored, and the task has another owner
        return resource.kills

    def forget(self, name: str) -> None:
        """Forget a task that was deleted."""
        self._blamed.pop(name, None)

    def verdict(self, resource: Resource) -> str:
        """Return why a task must not be placed again, or an empty text if it may."""
        if not self._most or resource.kills < self._most:
            return ""
        return (
            f"parked: {counted(resource.kills, 'worker')} died soon after they were given it; "
            "mend its spider, then update it or delete it and add it again"
        )

    def _knows(self, task: Resource, life: Incarnation) -> bool:
        return self._blamed.get(task.name, (None, 0))[0] == life
