"""The tasks that wait for a worker, and whose turn it is.

Tasks that ask the same and belong to the same group stand in one queue. The groups take turns, the
one that has least beside its share first; within a group priority counts, and a task rises by one
priority for each `ageing_s` that it has waited. A queue for which no worker suits is parked:
nothing of it is tried again until something happens that could help it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile

from crawler.scheduler.task import Shape, Task

TURN = 16
"""Tasks that a group places before the next group has its turn, while several have tasks."""

FEW = 16
"""Newcomers are few when those in line are more than so many times as many."""

ENDLESS = 2**62

Key = tuple[str, Shape]
"""What the tasks of a queue have in common: their group and their shape."""

Place = tuple[int, float, str]
"""Where a task stands in its queue: its level (a lower one is served first), since when, its name.
Levels are whole priorities, so that tasks that ask the same stand together."""


@dataclass(frozen=True, slots=True)
class Group:
    """What a group of tasks may have."""

    share: float = 1.0
    """How much of the workers beside the shares of the others."""
    most: int = 0
    """Unfinished tasks that it may have on workers at once; 0 is without limit."""


class Queue:
    """Tasks that ask the same and belong to one group, in their order."""

    def __init__(self, key: Key, task: Task) -> None:
        self.key = key
        self.task = task
        """Any one of them, to be asked about."""
        self.announced: Place | None = None
        """The first place by which the backlog knows this queue."""
        self.reasons: Mapping[str, str] | None = None
        """Worker id → why it gets none of these tasks; None while they are not parked."""
        self._places: dict[str, Place] = {}
        self._line: list[Place] = []
        """Those that came together, the first at the end. Entries of tasks that are gone, or stand
        elsewhere by now, are left in all three and recognised when they come up."""
        self._heap: list[Place] = []
        """Those that came one by one while many waited."""
        self._newcomers: list[Place] = []
        """Those that came since the head was asked for."""
        self._told: set[str] = set()
        """The tasks that were told why they wait; among the places they come before the others."""
        self.lost = False
        """Whether it was parked while the only worker that its tasks may run on was not there."""
        self.by_places = False
        """Whether it was parked while places mattered to it."""
        self.tried = 0
        """When it was parked, counted in parkings."""
        self._kind = ""

    @property
    def group(self) -> str:
        """The group of all its tasks."""
        return self.key[0]

    @property
    def shape(self) -> Shape:
        """What all its tasks have in common."""
        return self.key[1]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def add(self, place: Place) -> None:
        """Put a task where it belongs."""
        name = place[2]
        present = self._places.get(name)
        if present != place:
            if present is not None:
                self.drop(name)
            self._places[name] = place
            self._newcomers.append(place)

    def drop(self, name: str) -> None:
        """Take a task out, wherever it stands."""
        self._places.pop(name, None)
        self._told.discard(name)

    def head(self) -> Place | None:
        """Where the first task stands."""
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
        """Taken from a sorted list a task costs a tenth of what it does from a heap, but to sort
        for each newcomer would cost more than that saves."""
        if len(self._newcomers) * FEW > len(self._line):
            self._line += self._newcomers
            self._line.sort(reverse=True)
        else:
            for place in self._newcomers:
                heapq.heappush(self._heap, place)
        self._newcomers = []

    def tell(self, kind: str) -> list[str]:
        """The tasks that were not told yet why they wait; all of them, if it is for another kind of
        reason now."""
        if kind != self._kind:
            self._kind = kind
            self._told.clear()
        names = list(takewhile(lambda name: name not in self._told, reversed(self._places)))
        self._told.update(names)
        return names[::-1]


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is, and for how long."""

    queue: Queue
    most: int
    """Tasks at most."""
    level: int
    """The turn ends before tasks of a later level than this."""

    def __iter__(self) -> Iterator[str]:
        """The name of each task in turn, which the caller pops if it is placed."""
        for _ in range(self.most):
            head = self.queue.head()
            if head is None or head[0] > self.level:
                return
            yield head[2]


class Backlog:
    """All that waits."""

    def __init__(self, ageing_s: float = 0.0, groups: Mapping[str, Group] | None = None) -> None:
        """`ageing_s` is the time of waiting that counts as much as one more priority, 0 is without
        ageing; in `groups`, "*" stands for those not named."""
        self._ageing_s = ageing_s
        self._groups = groups or {}
        self._queues: dict[Key, Queue] = {}
        self._where: dict[str, Queue] = {}
        self._order: dict[str, list[tuple[Place, int, Queue]]] = {}
        """Group → its queues by their first tasks; entries that do not hold any more are left in,
        and recognised when they come up."""
        self._entries = 0
        self._parkings = 0

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, name: str) -> bool:
        return name in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    @property
    def queues(self) -> Collection[Queue]:
        """All queues that have tasks."""
        return self._queues.values()

    @property
    def parked(self) -> list[Queue]:
        """The queues for which no worker suits."""
        return [queue for queue in self._queues.values() if queue.reasons is not None]

    def count_parked(self) -> int:
        """How many tasks are parked."""
        return sum(len(queue) for queue in self.parked)

    def queue_of(self, name: str) -> Queue | None:
        """The queue in which a task waits."""
        return self._where.get(name)

    def offer(self, name: str, task: Task, shape: Shape, group: str, since_s: float) -> None:
        """A task waits, since that time; one that waits already stands where it should now."""
        key = (group, shape)
        present = self._where.get(name)
        if present is not None and present.key != key:
            self.withdraw(name)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = Queue(key, task)
        place = (self._level(task.priority, since_s), since_s, name)
        queue.add(place)
        self._where[name] = queue
        first = queue.announced
        if queue.reasons is None and (first is None or place < first or first[2] == name):
            self._announce(queue)

    def withdraw(self, name: str) -> None:
        """A task does not wait any more."""
        queue = self._where.pop(name, None)
        if queue is not None:
            queue.drop(name)
            self._go_on(queue)

    def pop(self, name: str) -> None:
        """Take out a task whose turn it is."""
        self._where.pop(name).drop(name)

    def park(self, queue: Queue, reasons: Mapping[str, str], by_places: bool = False) -> None:
        """No worker suits; `wake` ends it. `by_places`: whatever happens to one worker may open
        another one to these tasks."""
        queue.reasons = reasons
        queue.by_places = by_places
        self._parkings += 1
        queue.tried = self._parkings

    def wake(self, queue: Queue) -> None:
        """Try a queue again."""
        queue.reasons = None
        self._go_on(queue)

    def turns(self, owned: Mapping[str, int]) -> Iterator[Turn]:
        """Whose turn it is, as long as there is anybody; the caller pops tasks, or parks the queue.

        `owned` tells how many unfinished tasks each group has, and is looked at for each turn.
        """
        waiting = [(self._part(name, owned), name) for name in self._order]
        heapq.heapify(waiting)
        while waiting:
            _, group = heapq.heappop(waiting)
            queue = self._first(group)
            room = self.room(group, owned)
            if queue is None or not room:
                continue
            try:
                most = min(room, TURN if waiting else ENDLESS)
                yield Turn(queue, most, self._level_of_next(group))
            finally:  # the caller may want no further turn
                self._go_on(queue)
            heapq.heappush(waiting, (self._part(group, owned), group))

    def _part(self, group: str, owned: Mapping[str, int]) -> float:
        """What a group has, beside its share."""
        return owned.get(group, 0) / self.group(group).share

    def group(self, name: str) -> Group:
        """What a group may have."""
        return self._groups.get(name) or self._groups.get("*") or Group()

    def room(self, group: str, owned: Mapping[str, int]) -> int:
        """How many more tasks a group may have."""
        most = self.group(group).most
        return max(0, most - owned.get(group, 0)) if most else ENDLESS

    def _level(self, priority: int, since_s: float) -> int:
        return math.floor(since_s / self._ageing_s - priority) if self._ageing_s else -priority

    def _go_on(self, queue: Queue) -> None:
        """The first task of a queue is another one now."""
        if not len(queue):
            self._queues.pop(queue.key, None)
        elif queue.reasons is None:
            self._announce(queue)

    def _announce(self, queue: Queue) -> None:
        head = queue.head()
        if head is not None and head != queue.announced:
            queue.announced = head
            self._entries += 1
            entry = (head, self._entries, queue)
            heapq.heappush(self._order.setdefault(queue.group, []), entry)

    def _first(self, group: str) -> Queue | None:
        """The queue of a group whose first task comes first."""
        order = self._order.get(group)
        while order:
            head, _, queue = order[0]
            if queue.reasons is None and queue.head() == head:
                return queue
            heapq.heappop(order)
            if queue.announced == head:
                queue.announced = None
        self._order.pop(group, None)
        return None

    def _level_of_next(self, group: str) -> int:
        """The level of the queue that comes after the first: of equal levels the first one's tasks
        go together, as placing what asks the same costs least."""
        first = heapq.heappop(self._order[group])
        next = self._first(group)
        heapq.heappush(self._order.setdefault(group, []), first)
        head = next.head() if next is not None else None
        return head[0] if head is not None else ENDLESS
