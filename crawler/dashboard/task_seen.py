"""Gathers what the page of one task shows: from the leader, and from the workers that crawl it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from crawler.api.backend import Backend, Call, NodeLoad
from crawler.api.task_statistics import TaskCounts
from crawler.api.workers import brief
from crawler.dashboard.asked import Shared
from crawler.dashboard.rates import NOTHING, Chart, Rates
from crawler.dashboard.run_bars import RunBar, bars
from crawler.dashboard.standing import Standing, is_missing, standing
from crawler.errors import CrawlerError, NotFound
from crawler.model.history import Event
from crawler.model.policy import Explanation
from crawler.model.records import Resource
from crawler.model.task_statistics import TaskStatistics

MOST_EVENTS = 300
MOST_RUNS = 20
RARE = 5
"""What costs more is asked with every so many looks: the history and the explanation."""


@dataclass(frozen=True)
class TaskSeen:
    """What a page of one task shows at one moment."""

    task: Resource
    standing: Standing
    counted: TaskStatistics | None
    """What the workers tell; None if none could be asked."""
    chart: Chart
    events: Sequence[Event]
    runs: Sequence[RunBar]
    has_history: bool
    explained: Explanation | None
    why_not_explained: str = ""


class TaskWatch:
    """Looks at one task, again and again."""

    def __init__(self, shared: Shared, name: str) -> None:
        self._shared = shared
        self._name = name
        self._rates = Rates()
        self._looks = 0
        self._missed_ns = 0
        """When the worker of the task was first missed; 0 while it is there."""
        self._rare: tuple[object, list[Event], bool, Explanation | None, str] | None = None

    def look(self, call: Call) -> TaskSeen:
        """Return what there is to see now. Raises NotFound, and whatever calls raise."""
        asked, clock = self._shared.service.backend(call), self._shared.clock
        task, nodes = asked.get(self._name, call), asked.nodes(call)
        self._rates.add(clock.monotonic(), task.counts.pages, task.counts.items)
        events, has_history, explained, why = self._rarely(asked, task, call)
        return TaskSeen(
            task,
            self._standing(task, nodes, call),
            self._counted(call),
            self._rates.chart() if self._looks > 1 else NOTHING,
            list(reversed(events)),
            bars(events, task, clock.time_ns(), MOST_RUNS),
            has_history,
            explained,
            why,
        )

    def _standing(self, task: Resource, nodes: Sequence[NodeLoad], call: Call) -> Standing:
        if not is_missing(task, nodes):
            self._missed_ns = 0
        elif not self._missed_ns:
            self._missed_ns = self._shared.clock.time_ns()
        runs_on = self._runs_on(task, nodes, call)
        return standing(task, nodes, runs_on=runs_on, since_ns=self._missed_ns)

    def _runs_on(self, task: Resource, nodes: Sequence[NodeLoad], call: Call) -> str:
        """Return the worker that still crawls a task that is to rest, or to end."""
        had = task.paused.node if task.paused else ""
        if task.stopped and task.owner is not None:
            had = task.owner.node_id
        worker = next((each.node for each in nodes if had and each.node.id == had), None)
        if worker is None or self._shared.reach is None:
            return ""
        try:
            with closing(self._shared.reach(worker.address)) as client:
                found = client.statistics(self._name, brief(call))
        except CrawlerError:
            return ""
        return worker.id if found.began_ns and not found.ended_ns else ""

    def _counted(self, call: Call) -> TaskStatistics | None:
        if self._shared.reach is None:
            return None
        service = self._shared.service
        return TaskCounts(service.backend, self._shared.reach, self._name, call).whole()

    def _rarely(
        self, asked: Backend, task: Resource, call: Call
    ) -> tuple[list[Event], bool, Explanation | None, str]:
        """Return what is asked now and then, and as soon as the task is another."""
        key = (task.id, task.run, task.epoch, task.told_state, task.reason)
        if self._rare is None or self._rare[0] != key or self._looks % RARE == 0:
            self._rare = (key, *self._history(asked, call), *self._explained(asked, call))
        self._looks += 1
        return self._rare[1:]

    def _history(self, asked: Backend, call: Call) -> tuple[list[Event], bool]:
        try:
            return list(asked.history(self._name, MOST_EVENTS, call)), True
        except NotFound:
            return [], False

    def _explained(self, asked: Backend, call: Call) -> tuple[Explanation | None, str]:
        try:
            return asked.explain(self._name, call), ""
        except CrawlerError as error:
            return None, str(error)
