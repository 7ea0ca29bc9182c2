"""The questions to all plugins about tasks of one shape, in one pass of the scheduler.

A plugin that fails is named in the log, counted, and left out for the rest of the pass. A faulty
plugin thus loses only its own opinion. If it fails about single workers or domains, each of these
pays for it alone: a filter refuses it, a score gives it no points, and the strategy rates a worker
last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crawler.logs import get_logger
from crawler.model.constraints import NODE
from crawler.model.policy import LAST, STRATEGY, Fault
from crawler.plural import counted
from crawler.scheduler.asking import Asker, are_numbers, are_points, are_texts, is_mapping
from crawler.scheduler.faults import Faults, P, told
from crawler.scheduler.hookspecs import Candidate, Cluster, Place, Strategy, Task
from crawler.scheduler.loader import Plugin

log = get_logger(__name__)

Points = tuple[str, float, Sequence[float]]
"""The answer of a plugin: its name, its weight, and its points for each object in question."""


class PluginRun:
    """Asks the plugins about tasks of one shape, in one pass.

    A plugin that answers None, or fails, is not asked again.
    """

    def __init__(
        self,
        task: Task,
        cluster: Cluster,
        plugins: Sequence[Plugin],
        strategy: Strategy,
        author: Plugin,
        slow_s: float,
        failed: Faults,
    ) -> None:
        """`author` is the plugin that brings the strategy. `failed` has the faults of this pass,
        from all its plugin runs."""
        self.task = task
        self._strategy = strategy
        self._author = author
        self._asker = Asker(task, cluster, failed, slow_s)
        self._faults = failed
        self._failed = failed.plugins
        self._cluster = cluster
        self._filters = _having(plugins, "filter_nodes")
        self._scores = _weighing(plugins, "score_nodes")
        self._room_filters = _having(plugins, "filter_room")
        self._room_scores = _weighing(plugins, "score_room")
        self.keys = self._topology(plugins)
        """The labels over whose domains some plugin wants to judge."""
        self._domain_filters = {key: _having(plugins, "filter_domains") for key in self.keys}
        self._domain_scores = {key: _weighing(plugins, "score_domains") for key in self.keys}
        self._fixed: dict[str, float] = {}
        """Worker id → the sum of the points that no placement changes."""

    @property
    def faults(self) -> Sequence[Fault]:
        """The plugins that failed in this pass so far, as a whole or about a worker, and are left
        out there for the rest of it."""
        return self._faults.told

    @property
    def judges_room(self) -> bool:
        """Whether any filter looks at the load of a worker."""
        return bool(self._room_filters)

    def refusals(self, nodes: Sequence[Candidate]) -> dict[str, dict[str, str]]:
        """Return plugin → worker id → why the worker must not get such tasks."""
        return self._filtered("filter_nodes", self._filters, nodes)

    def without_room(self, nodes: Sequence[Candidate]) -> dict[str, dict[str, str]]:
        """Return plugin → worker id → why the worker has no room now."""
        if not self._room_filters:
            return {}
        return self._filtered("filter_room", self._room_filters, nodes, self._cluster)

    def weigh(self, nodes: Sequence[Candidate]) -> None:
        """Ask once for the points that no placement changes. `ratings` adds them."""
        for _, weight, points in self.points(nodes):
            for node, point in zip(nodes, points):
                self._fixed[node.id] = self._fixed.get(node.id, 0.0) + weight * point

    def ratings(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """Return the strategy's rating of each worker for that task, plus the points of all
        plugins."""
        totals: Sequence[float] = self.rated(task, nodes)
        if self._fixed:
            fixed = self._fixed
            totals = [total + fixed[node.id] for total, node in zip(totals, nodes)]
        if self._room_scores:
            for _, weight, points in self.room_points(nodes):
                totals = [total + weight * point for total, point in zip(totals, points)]
        return totals

    def points(self, nodes: Sequence[Candidate]) -> list[Points]:
        """Return the points of each plugin for each worker, whatever its load."""
        return self._scored("score_nodes", self._scores, nodes) if nodes else []

    def room_points(self, nodes: Sequence[Candidate]) -> list[Points]:
        """Return the points of each plugin for each worker with its present load."""
        if not self._room_scores:
            return []
        return self._scored("score_room", self._room_scores, nodes)

    def chose(self, task: Task, node: Candidate) -> None:
        """Tell the strategy which worker was chosen."""
        if None not in self._failed:
            try:
                self._strategy.chose(task, node)
            except Exception as error:
                self._strategy_failed(task, error)

    def closed(self, key: str, domains: Sequence[Place]) -> dict[str, dict[str, str]]:
        """Return plugin → value of the key → why that domain must not get such tasks now."""
        filters = self._domain_filters[key]
        return self._filtered("filter_domains", filters, domains, self._cluster, over=key)

    def place_points(self, key: str, domains: Sequence[Place]) -> list[Points]:
        """Return the points of each plugin for each domain."""
        scores = self._domain_scores[key]
        return self._scored("score_domains", scores, domains, over=key)

    def rated(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """Return the strategy's ratings. After it failed in a pass, all workers are rated alike, so
        that tasks are still placed. A worker about which it fails is rated last."""
        if None in self._failed:
            return [0.0] * len(nodes)
        try:
            left, ratings = self._asker.spare(
                (None, STRATEGY, NODE), self._author, nodes, lambda some: self._rate(task, some)
            )
        except Exception as error:
            self._strategy_failed(task, error)
            return [0.0] * len(nodes)
        return ratings if left is nodes else _filled(nodes, left, ratings, LAST)

    def _rate(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        ratings = self._strategy.rate(task, nodes)
        if not are_numbers(ratings, len(nodes)):
            raise TypeError(f"its ratings of {counted(len(nodes), 'worker')} are {ratings!r:.200}")
        return ratings

    def _strategy_failed(self, task: Task, error: Exception) -> None:
        self._failed[None] = Fault(self._author.name, STRATEGY, told(error))
        self._author.failures += 1
        log.error(
            "the strategy failed; all workers count alike for the rest of the pass",
            exc_info=True,
            plugin=self._author.name,
            task=task.name,
            error=str(error),
        )

    def _topology(self, plugins: Sequence[Plugin]) -> Sequence[str]:
        keys: dict[str, None] = {}
        for plugin in plugins:
            if "topology" in plugin.hooks:
                for key in (
                    self._asker.ask(plugin, "topology", are_texts, 0, self.task, self._cluster)
                    or ()
                ):
                    keys[key] = None
        return list(keys)

    def _filtered(
        self,
        hook: str,
        plugins: list[Plugin],
        places: Sequence[P],
        *more: Any,
        over: str | None = None,
    ) -> dict[str, dict[str, str]]:
        verdicts = {}
        for plugin in list(plugins):
            left, found = self._asker.ask_about(plugin, hook, is_mapping, places, *more, over=over)
            refused = dict(found or ())
            if left is not places:
                about = self._faults.about((plugin.name, hook, over or NODE))
                refused |= {
                    place.value: _refusal(plugin, about[place.value])
                    for place in places
                    if place.value in about
                }
            elif found is None:
                plugins.remove(plugin)
            if refused:
                verdicts[plugin.name] = refused
        return verdicts

    def _scored(
        self, hook: str, plugins: list[Plugin], places: Sequence[P], over: str | None = None
    ) -> list[Points]:
        given = []
        for plugin in list(plugins):
            left, points = self._asker.ask_about(plugin, hook, are_points, places, over=over)
            if points is None:
                plugins.remove(plugin)
            else:
                filled = points if left is places else _filled(places, left, points, 0.0)
                given.append((plugin.name, plugin.weight, filled))
        return given


def _refusal(plugin: Plugin, fault: Fault) -> str:
    return f"makes the plugin {plugin.name} fail ({fault.error})"


def _having(plugins: Sequence[Plugin], hook: str) -> list[Plugin]:
    return [plugin for plugin in plugins if hook in plugin.hooks]


def _weighing(plugins: Sequence[Plugin], hook: str) -> list[Plugin]:
    return [plugin for plugin in plugins if hook in plugin.hooks and plugin.weight]


def _filled(
    places: Sequence[P], some: Sequence[P], given: Sequence[float], other: float
) -> Sequence[float]:
    """Return a number for each worker or domain: what is given for some, another for the rest."""
    known = {place.value: number for place, number in zip(some, given)}
    return [known.get(place.value, other) for place in places]
