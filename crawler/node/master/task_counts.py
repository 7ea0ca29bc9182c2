"""How many tasks are in each state, counted with each change, so that nobody looks at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from crawler.model.records import Resource, State, ToldState
from crawler.model.sorting import TOLD_STATES


class TaskCounts:
    """Counts resources by state."""

    def __init__(self) -> None:
        self._tasks: Counter[tuple[State, str]] = Counter()
        """The stored state, and the one that is told → how many tasks are in both."""
        self._shards: Counter[tuple[State, str]] = Counter()
        """The same for what is a shard of a task, and counts with its task."""

    def changed(self, before: Resource | None, after: Resource | None) -> None:
        """Note that a resource changed. None stands for one that was absent, or is."""
        if before is not None:
            self._of(before)[before.state, before.told_state] -= 1
        if after is not None:
            self._of(after)[after.state, after.told_state] += 1

    def of(self, state: State | ToldState | None, shards: bool = False) -> int:
        """Count the tasks in that state, or all; on demand their shards too. A paused task is
        pending, too, and a stopped one has failed."""
        return sum(
            number
            for (stored, told), number in self._counted(shards).items()
            if state is None or state is stored or state.value == told
        )

    def told(self, shards: bool = False) -> Mapping[str, int]:
        """Count the tasks by the state that is told of them; on demand their shards too."""
        found = dict.fromkeys(TOLD_STATES, 0)
        for (_, told), number in self._counted(shards).items():
            found[told] += number
        return found

    def _of(self, resource: Resource) -> Counter[tuple[State, str]]:
        return self._shards if resource.spec.shard else self._tasks

    def _counted(self, shards: bool) -> Counter[tuple[State, str]]:
        return self._tasks + self._shards if shards else self._tasks
