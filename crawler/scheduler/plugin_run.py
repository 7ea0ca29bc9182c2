"""The questions to all plugins about tasks of one shape, in one pass of the scheduler.

A plugin that fails is named in the log, counted, and left out for the rest of the pass. A faulty
plugin thus loses only its own opinion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from crawler.logs import get_logger
from crawler.model.policy import STRATEGY, Fault
from crawler.scheduler.hookspecs import Candidate, Cluster, Place, Strategy, Task
from crawler.scheduler.loader import Plugin

log = get_logger(__name__)

MOST_ERROR = 300
"""The longest description of a plugin's fault, in characters."""

Points = tuple[str, float, Sequence[float]]
"""The answer of a plugin: its name, its weight, and its points for each object in question."""

Faults = dict[str | None, Fault]
"""Plugin → its fault; the strategy has the key None."""


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
        self._slow_s = slow_s
        self._failed = failed
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
        """The plugins that failed in this pass so far, and are left out for the rest of it."""
        return list(self._failed.values())

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
        return self._scored("score_nodes", self._scores, (nodes,), len(nodes)) if nodes else []

    def room_points(self, nodes: Sequence[Candidate]) -> list[Points]:
        """Return the points of each plugin for each worker with its present load."""
        if not self._room_scores:
            return []
        return self._scored("score_room", self._room_scores, (nodes,), len(nodes))

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
        return self._filtered("filter_domains", filters, key, domains, self._cluster)

    def place_points(self, key: str, domains: Sequence[Place]) -> list[Points]:
        """Return the points of each plugin for each domain."""
        scores = self._domain_scores[key]
        return self._scored("score_domains", scores, (key, domains), len(domains))

    def rated(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """Return the strategy's ratings. After it failed in a pass, all workers are rated alike, so
        that tasks are still placed."""
        if None not in self._failed:
            try:
                ratings = self._strategy.rate(task, nodes)
                if not _are_numbers(ratings, len(nodes)):
                    raise TypeError(f"its ratings of {len(nodes)} workers are {ratings!r:.200}")
                return ratings
            except Exception as error:
                self._strategy_failed(task, error)
        return [0.0] * len(nodes)

    def _strategy_failed(self, task: Task, error: Exception) -> None:
        self._failed[None] = Fault(self._author.name, STRATEGY, _told(error))
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
                    self._ask(plugin, "topology", _are_texts, self.task, self._cluster) or ()
                ):
                    keys[key] = None
        return list(keys)

    def _filtered(
        self, hook: str, plugins: list[Plugin], *arguments: Any
    ) -> dict[str, dict[str, str]]:
        verdicts = {}
        for plugin in list(plugins):
            found = self._ask(plugin, hook, _is_mapping, self.task, *arguments)
            if found is None:
                plugins.remove(plugin)
            elif found:
                verdicts[plugin.name] = dict(found)
        return verdicts

    def _scored(
        self, hook: str, plugins: list[Plugin], arguments: tuple[Any, ...], count: int
    ) -> list[Points]:
        given = []
        for plugin in list(plugins):
            points = self._ask(
                plugin, hook, lambda answer: _are_points(answer, count), self.task, *arguments
            )
            if points is None:
                plugins.remove(plugin)
            else:
                given.append((plugin.name, plugin.weight, points))
        return given

    def _ask(self, plugin: Plugin, hook: str, sound: Callable[[Any], bool], *arguments: Any) -> Any:
        """Return the answer of one plugin, or None if it failed now or earlier in this pass."""
        if plugin.name in self._failed:
            return None
        fault: Exception | None = None
        started_s = perf_counter()
        try:
            answer = plugin.hooks[hook](*arguments)
            if answer is not None and not sound(answer):
                raise TypeError(f"{hook} returned {answer!r:.200}")
        except Exception as error:
            answer, fault = None, error
        took_s = perf_counter() - started_s  # measured first, because logging a fault takes time
        if fault is not None:
            self._fault(plugin, hook, fault)
        plugin.calls += 1
        plugin.seconds += took_s
        if took_s > self._slow_s:
            self._tell_slow(plugin, hook, took_s)
        return answer

    def _fault(self, plugin: Plugin, hook: str, error: Exception) -> None:
        plugin.failures += 1
        self._failed[plugin.name] = Fault(plugin.name, hook, _told(error))
        log.error(
            "a plugin failed; the pass goes on without it",
            exc_info=error,
            hook=hook,
            plugin=plugin.name,
            task=self.task.name,
            error=str(error),
        )

    def _tell_slow(self, plugin: Plugin, hook: str, took_s: float) -> None:
        plugin.slow += 1
        if plugin.slow & (plugin.slow - 1) == 0:  # the 1st, 2nd, 4th, 8th … time
            log.warning(
                "a plugin is slow and delays all placements; "
                f"it can be turned off: crawler plugins --disable {plugin.name}",
                plugin=plugin.name,
                hook=hook,
                took_s=round(took_s, 3),
                slow_calls=plugin.slow,
            )


def _having(plugins: Sequence[Plugin], hook: str) -> list[Plugin]:
    return [plugin for plugin in plugins if hook in plugin.hooks]


def _weighing(plugins: Sequence[Plugin], hook: str) -> list[Plugin]:
    return [plugin for plugin in plugins if hook in plugin.hooks and plugin.weight]


def _told(error: Exception) -> str:
    """Return the text of an error with its class, because the text of a KeyError is only a key."""
    return f"{type(error).__name__}: {error}"[:MOST_ERROR]


def _is_mapping(answer: Any) -> bool:
    return isinstance(answer, Mapping)


def _are_texts(answer: Any) -> bool:
    return not isinstance(answer, str) and all(isinstance(each, str) for each in answer)


def _are_numbers(answer: Any, count: int) -> bool:
    """Whether these are `count` finite numbers. A sum is finite only if all its terms are; no
    quicker test sees them all."""
    try:
        return len(answer) == count and math.isfinite(sum(answer))
    except TypeError:
        return False


def _are_points(answer: Any, count: int) -> bool:
    if not _are_numbers(answer, count):
        return False
    return not count or (min(answer) >= 0 and max(answer) <= 1)
