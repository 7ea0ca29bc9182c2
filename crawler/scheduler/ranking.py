"""The workers for tasks of one shape, the best first, kept in order while tasks are placed.

All workers are filtered and rated once. After a placement only the chosen worker is rated again,
because nothing else has changed. If domains matter, the domains are judged again, and the best
worker of each is known. The choice is always the same as if all workers were filtered and rated for
each task.
"""

from __future__ import annotations

import heapq
import operator
from collections.abc import Iterable, Mapping, Sequence

from crawler.scheduler.candidate import Candidate, Place, place_of
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.framework import Framework
from crawler.scheduler.plugin_run import PluginRun
from crawler.scheduler.task import Task

Entry = tuple[float, int, str, Candidate]
"""The best first: the highest rating, then the fewest tasks in all, then the lowest id."""


class Cell:
    """The workers that belong to the same domain over every label that matters; the best on top."""

    __slots__ = ("heap", "values")

    def __init__(self, values: tuple[str, ...]) -> None:
        self.values = values
        self.heap: list[Entry] = []


class Ranking:
    """The candidates for tasks of one shape."""

    def __init__(
        self,
        framework: Framework,
        cluster_state: ClusterState,
        task: Task,
    ) -> None:
        nodes = cluster_state.schedulable
        self._plugin_run = framework.plugin_run(task, cluster_state)
        self._per_task = framework.per_task
        self._refusals = self._plugin_run.refusals(nodes)
        refused = _ids(self._refusals)
        suitable = [each for each in nodes if each.id not in refused]
        self._full: dict[str, dict[str, str]] = {}
        self._places = {
            key: _standing(cluster_state, key, suitable) for key in self._plugin_run.keys
        }
        self._cells: dict[tuple[str, ...], Cell] = {}
        self._cell_of: dict[str, Cell] = {}
        self._entries: dict[str, Entry] = {}
        """The current entry of each worker that has room. Any other entry in a heap is stale."""
        self._suitable = {each.id: each for each in suitable}
        self._plugin_run.weigh(suitable)
        self._enter(task, self._with_room(suitable))

    @property
    def plugin_run(self) -> PluginRun:
        """The plugin run of this shape."""
        return self._plugin_run

    def best(self, task: Task) -> Candidate | None:
        """Return the worker for this task, or None if no worker may get it."""
        if self._per_task:
            everyone = [entry[3] for entry in self._entries.values()]
            if not self._places:
                return self._best_of(task, everyone)
            self._enter(task, everyone)
        if not self._places:
            cell = self._cells.get(())
            top = None if cell is None else self._top(cell)
            return None if top is None else top[3]
        return self._best_of_places()

    def chose(self, task: Task, candidate: Candidate) -> None:
        """Rate the worker again that got this task."""
        self._plugin_run.chose(task, candidate)
        if self._plugin_run.judges_room:
            self.refresh(task, [candidate])
        else:
            self._push(candidate, self._plugin_run.ratings(task, (candidate,))[0])

    def refresh(self, task: Task, candidates: Iterable[Candidate]) -> None:
        """Filter and rate these workers again, because their load changed."""
        mine = [each for each in candidates if each.id in self._suitable]
        if mine:
            for each in mine:
                self._entries.pop(each.id, None)
            self._enter(task, self._with_room(mine))

    def forget(self, candidate: Candidate) -> None:
        """Remove a worker that left or changed."""
        self._suitable.pop(candidate.id, None)
        self._entries.pop(candidate.id, None)

    @property
    def by_places(self) -> bool:
        """Whether the domains of some label matter. Then a change of one worker may open another
        worker."""
        return bool(self._places)

    def reasons(self) -> dict[str, str]:
        """Return worker id → why it does not get such tasks now."""
        found: dict[str, str] = {}
        for verdicts in (*self._full.values(), *self._refusals.values()):
            found |= verdicts
        for key, places in self._places.items():
            for closed in self._plugin_run.closed(key, places).values():
                for candidate in self._suitable.values():
                    why = closed.get(place_of(candidate.node, key))
                    if why is not None:
                        found.setdefault(candidate.id, why)
        return found

    def _with_room(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        full = self._plugin_run.without_room(candidates)
        if not full and not self._full:
            return candidates
        for before in self._full.values():
            for each in candidates:
                before.pop(each.id, None)
        if not full:
            return candidates
        for name, verdicts in full.items():
            self._full.setdefault(name, {}).update(verdicts)
        none = _ids(full)
        return [each for each in candidates if each.id not in none]

    def _enter(self, task: Task, candidates: Sequence[Candidate]) -> None:
        """Rate these workers and put them in order."""
        if not candidates:
            return
        ratings = self._plugin_run.ratings(task, candidates)
        if len(candidates) == 1:
            self._push(candidates[0], ratings[0])
            return
        touched: dict[tuple[str, ...], Cell] = {}
        for candidate, rating in zip(candidates, ratings):
            entry = (-rating, candidate.owned, candidate.id, candidate)
            self._entries[candidate.id] = entry
            cell = self._cell(candidate)
            cell.heap.append(entry)
            touched[cell.values] = cell
        for cell in touched.values():
            cell.heap = [entry for entry in cell.heap if self._entries.get(entry[2]) is entry]
            heapq.heapify(cell.heap)

    def _push(self, candidate: Candidate, rating: float) -> None:
        entry = (-rating, candidate.owned, candidate.id, candidate)
        self._entries[candidate.id] = entry
        heap = self._cell(candidate).heap
        if heap and heap[0][3] is candidate:  # the usual case: it was the best, and was chosen
            heapq.heapreplace(heap, entry)
        else:
            heapq.heappush(heap, entry)

    def _cell(self, candidate: Candidate) -> Cell:
        cell = self._cell_of.get(candidate.id)
        if cell is None:
            values = tuple([place_of(candidate.node, key) for key in self._places])
            cell = self._cells.setdefault(values, Cell(values))
            self._cell_of[candidate.id] = cell
        return cell

    def _top(self, cell: Cell) -> Entry | None:
        """Return the best worker of a cell that has room."""
        heap = cell.heap
        while heap:
            if self._entries.get(heap[0][2]) is heap[0]:
                return heap[0]
            heapq.heappop(heap)
        return None

    def _best_of(self, task: Task, candidates: Sequence[Candidate]) -> Candidate | None:
        """Return the best of these workers for this exact task. A strategy that rates per task
        needs no order, because the order would not last until the next task."""
        if not candidates:
            return None
        ratings = self._plugin_run.ratings(task, candidates)
        highest = max(ratings)
        equal = [each for each, rating in zip(candidates, ratings) if rating == highest]
        return min(equal, key=lambda candidate: (candidate.owned, candidate.id))

    def _best_of_places(self) -> Candidate | None:
        closed = []
        points = []
        for key, places in self._places.items():
            closed.append(_ids(self._plugin_run.closed(key, places)))
            points.append(self._points(key, places))
        scored = any(points)
        best: Entry | None = None
        for cell in self._cells.values():
            if any(map(operator.contains, closed, cell.values)):
                continue
            top = self._top(cell)
            if top is None:
                continue
            if scored:
                bonus = sum(given.get(value, 0.0) for value, given in zip(cell.values, points))
                top = (top[0] - bonus, *top[1:])
            if best is None or top < best:  # ids differ, so candidates are never compared
                best = top
        return None if best is None else best[3]

    def _points(self, key: str, places: Sequence[Place]) -> Mapping[str, float]:
        totals: dict[str, float] = {}
        for _, weight, points in self._plugin_run.place_points(key, places):
            for place, point in zip(places, points):
                totals[place.value] = totals.get(place.value, 0.0) + weight * point
        return totals


def _standing(
    cluster_state: ClusterState, key: str, suitable: Sequence[Candidate]
) -> Sequence[Place]:
    """Return the domains of suitable workers. No other domain can ever get such a task."""
    values = {place_of(candidate.node, key) for candidate in suitable}
    return [place for place in cluster_state.places(key) if place.value in values]


def _ids(verdicts: Mapping[str, Mapping[str, str]]) -> set[str]:
    return {id for refused in verdicts.values() for id in refused}
