"""The waiting tasks of one shape and one group, in their order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from itertools import takewhile

from crawler.scheduler.task import Shape, Task

FEW = 16
"""The newcomers are few if the sorted tasks are at least this many times as many."""
Key = tuple[str, Shape]
"""What the tasks of a queue share: their group and their shape."""
Place = tuple[int, float, str]
"""Where a task is in its queue: its level (a lower one goes first), since when it waits, its name.
Levels are whole priorities, so that tasks of the same shape stay together."""


class Queue:
    """The tasks of one shape and one group, in their order."""

    def __init__(self, key: Key, task: Task) -> None:
        self.key = key
        self.task = task
        """Any task of the queue. The plugins judge it for all of them."""
        self.announced: Place | None = None
        """The first place of this queue, as the backlog last noted it."""
        self.reasons: Mapping[str, str] | None = None
        """Worker id → why it gets none of these tasks; None while the queue is not parked."""
        self._places: dict[str, Place] = {}
        self._line: list[Place] = []
        """The tasks that arrived together, the first at the end. All three lists may contain stale
        entries, of tasks that are gone or moved to another place. `head` drops a stale entry when
        it reaches it."""
        self._heap: list[Place] = []
        """A heap of the tasks that arrived one by one while many waited."""
        self._newcomers: list[Place] = []
        """The tasks that arrived since `head` was last called."""
        self._told: set[str] = set()
        """The tasks whose reason was already reported. In `_places` they precede the others."""
        self.lost = False
        """Whether the queue was parked because the only worker for its tasks was not registered."""
        self.by_places = False
        """Whether the queue was parked while domains mattered to it."""
        self.tried = 0
        """The number of the parking, to order queues by the time of their last try."""
        self._kind = ""

    @property
    def group(self) -> str:
        """The group of all its tasks."""
        return self.key[0]

    @property
    def shape(self) -> Shape:
        """The shape of all its tasks."""
        return self.key[1]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def add(self, place: Place) -> None:
        """Put a task into its place."""
        name = place[2]
        present = self._places.get(name)
        if present != place:
            if present is not None:
                self.drop(name)
            self._places[name] = place
            self._newcomers.append(place)

    def drop(self, name: str) -> None:
        """Remove a task, wherever it is."""
        self._places.pop(name, None)
        self._told.discard(name)

    def head(self) -> Place | None:
        """Return the place of the first task, or None if the queue is empty."""
        if self._newcomers:
            self._line_up()
        line, heap, places = self._line, self._heap, self._places
        while line and places.get(line[-1][2]) is not line[-1]:
            line.pop()
        while heap and places.get(heap[0][2]) is not heap[0]:
            heapq.heappop(heap)
        if line and heap:
            return min(line[-1], heap[0])
        return line[-1] if line else heap[0] if heap else None

    def _line_up(self) -> None:
        """Put the newcomers in order: sort them in if they are many, else push them on the heap.

        To take a task from a sorted list costs a tenth of taking it from a heap. To sort for each
        newcomer would cost more than that saves.
        """
        if len(self._newcomers) * FEW > len(self._line):
            self._line += self._newcomers
            self._line.sort(reverse=True)
        else:
            for place in self._newcomers:
                heapq.heappush(self._heap, place)
        self._newcomers = []

    def tell(self, kind: str) -> list[str]:
        """Return the tasks whose reason was not reported yet. If the kind of reason changed, return
        all tasks."""
        if kind != self._kind:
            self._kind = kind
            self._told.clear()
        names = list(takewhile(lambda name: name not in self._told, reversed(self._places)))
        self._told.update(names)
        return names[::-1]
