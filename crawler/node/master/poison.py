"""Which tasks kill their workers: whoever dies takes the blame to what it was given last.

A worker that dies says not of what. So all tasks it was given lately are suspected; of those only
the ones that were suspected most before are blamed again. Tasks of a dead worker are spread over
the others, so one that kills is soon alone with its count, and is parked before it has killed all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from crawler.model.records import Resource
from crawler.node.master.workers import Incarnation, incarnation_of
from crawler.plural import counted


class PoisonWatch:
    """Counts the workers that died of each task; the counts are stored with the tasks."""

    def __init__(self, most: int, window_s: float) -> None:
        """`most` workers may die of a task before it is parked, 0 is without limit; only a worker
        that dies within `window_s` after it was given a task can have died of it."""
        self._most = most
        self._window_ns = int(window_s * 1e9)
        self._blamed: dict[str, tuple[Incarnation, int]] = {}
        """Task → the life that ended, and the count that is to be stored."""

    def blame(
        self,
        orphaned: Mapping[Incarnation, Sequence[Resource]],
        left_in_order: Callable[[Incarnation], bool],
        now_ns: int,
    ) -> None:
        """Judge the tasks of workers that were found dead in one pass.

        If several died at once, what they have in common is more likely their etcd or their network
        than a task; whoever took leave before it went died of nothing.
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
                self._blamed[task.name] = (life, task.kills + more)

    def kills(self, resource: Resource) -> int:
        """How many workers died of a task, the last one included."""
        if not self._blamed or resource.name not in self._blamed:
            return resource.kills
        life, kills = self._blamed[resource.name]
        if resource.owner is not None and incarnation_of(resource.owner) == life:
            return kills
        del self._blamed[resource.name]  # it was stored, and has another owner by now
        return resource.kills

    def forget(self, name: str) -> None:
        """A task is gone."""
        self._blamed.pop(name, None)

    def verdict(self, resource: Resource) -> str:
        """Why a task is not to be placed again; empty if it may."""
        if not self._most or resource.kills < self._most:
            return ""
        return (
            f"parked: {counted(resource.kills, 'worker')} died soon after they were given it; "
            "mend its spider, then update it or delete it and add it again"
        )

    def _knows(self, task: Resource, life: Incarnation) -> bool:
        return self._blamed.get(task.name, (None, 0))[0] == life
