"""The tasks that wait for a worker, and the order in which groups and tasks have their turns.

Tasks of the same shape and group are in one queue. The groups take turns. The group with the fewest
tasks in proportion to its share goes first. Within a group the priority decides. A task rises by
one priority for each `ageing_s` seconds that it has waited. A queue that no worker suits is parked:
its tasks are not tried again until something happens that could help.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from crawler.scheduler.shape_queue import Key, Place, Queue
from crawler.scheduler.task import Shape, Task

TURN = 16
"""How many tasks a group places before the next group has its turn, if several groups have
tasks."""


ENDLESS = 2**62

LAST = float(2**53)
"""The last level of all. A very small `ageing_s` would otherwise give levels beyond all numbers."""


@dataclass(frozen=True, slots=True)
class Group:
    """The limits of a group of tasks."""

    share: float = 1.0
    """The share of the workers, in proportion to the shares of the other groups."""
    most: int = 0
    """How many unfinished tasks it may have on workers at once; 0 means no limit."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The queue whose turn it is, and the limits of the turn."""

    queue: Queue
    most: int
    """How many tasks may be placed in this turn."""
    level: int
    """The turn ends before a task of a later level than this."""

    def __iter__(self) -> Iterator[str]:
        """Yield the name of each task in turn. The caller pops each task that it places."""
        for _ in range(self.most):
            head = self.queue.head()
            if head is None or head[0] > self.level:
                return
            yield head[2]


class Backlog:
    """All tasks that wait."""

    def __init__(self, ageing_s: float = 0.0, groups: Mapping[str, Group] | None = None) -> None:
        """`ageing_s` is the waiting time in seconds that counts as one more priority; 0 means no
        ageing. In `groups`, "*" stands for the groups that are not named."""
        self._ageing_s = ageing_s
        self._groups = groups or {}
        self._queues: dict[Key, Queue] = {}
        self._where: dict[str, Queue] = {}
        self._order: dict[str, list[tuple[Place, int, Queue]]] = {}
        """Group → its queues by their first tasks. Stale entries stay in the heap. `_first` drops a
        stale entry when it reaches it."""
        self._entries = 0
        self._parkings = 0

    def emptied(self) -> Backlog:
        """Return another backlog with the same rules, and no task yet."""
        return Backlog(self._ageing_s, self._groups)

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
        """The queues that no worker suits."""
        return [queue for queue in self._queues.values() if queue.reasons is not None]

    def count_parked(self) -> int:
        """Count the parked tasks."""
        return sum(len(queue) for queue in self.parked)

    def queue_of(self, name: str) -> Queue | None:
        """Return the queue in which a task waits, or None."""
        return self._where.get(name)

    def offer(self, name: str, task: Task, shape: Shape, group: str, since_s: float) -> None:
        """Put in a task that waits since that time. A task that waits already moves to its present
        place."""
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
        """Remove a task: it no longer waits."""
        queue = self._where.pop(name, None)
        if queue is not None:
            queue.drop(name)
            self._go_on(queue)

    def pop(self, name: str) -> None:
        """Take out a task whose turn it is."""
        self._where.pop(name).drop(name)

    def park(self, queue: Queue, reasons: Mapping[str, str], by_places: bool = False) -> None:
        """Park a queue that no worker suits, until `wake`.

        `by_places` means that a change of one worker may open another worker to these tasks.
        """
        queue.reasons = reasons
        queue.by_places = by_places
        self._parkings += 1
        queue.tried = self._parkings

    def wake(self, queue: Queue) -> None:
        """Try a queue again."""
        queue.reasons = None
        self._go_on(queue)

    def turns(self, owned: Mapping[str, int]) -> Iterator[Turn]:
        """Yield the next turn while any task may be placed. The caller pops tasks, or parks the
        queue.

        `owned` is the number of unfinished tasks of each group. It is read for each turn.
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
            finally:  # the caller may stop after any turn
                self._go_on(queue)
            heapq.heappush(waiting, (self._part(group, owned), group))

    def _part(self, group: str, owned: Mapping[str, int]) -> float:
        """Return the tasks of a group in proportion to its share."""
        return owned.get(group, 0) / self.group(group).share

    def group(self, name: str) -> Group:
        """Return the limits of a group."""
        return self._groups.get(name) or self._groups.get("*") or Group()

    def room(self, group: str, owned: Mapping[str, int]) -> int:
        """Return how many more tasks a group may have on workers."""
        most = self.group(group).most
        return max(0, most - owned.get(group, 0)) if most else ENDLESS

    def _level(self, priority: int, since_s: float) -> int:
        if not self._ageing_s:
            return -priority
        return math.floor(max(-LAST, min(since_s / self._ageing_s - priority, LAST)))

    def _go_on(self, queue: Queue) -> None:
        """Note a queue's new first task."""
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
        """Return the queue of a group whose first task goes first."""
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
        """Return the level of the second queue. If its level equals that of the first queue, all
        tasks of the first queue go together, because placing tasks of one shape costs least."""
        first = heapq.heappop(self._order[group])
        next = self._first(group)
        heapq.heappush(self._order.setdefault(group, []), first)
        head = next.head() if next is not None else None
        return head[0] if head is not None else ENDLESS
