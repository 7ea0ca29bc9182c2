"""The plugins that judge tasks of one shape, in one pass of the scheduler.

Whoever fails is named in the log, counted, and left out for the rest of the pass, so a faulty
plugin costs its own opinion and nothing else.
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
"""Longest account of what a plugin did wrong, in characters."""

Points = tuple[str, float, Sequence[float]]
"""Of a plugin: its name, its weight, and its points for each of those it was asked about."""

Faults = dict[str | None, Fault]
"""Plugin → what it did wrong; the strategy stands under None."""


class PluginRun:
    """The plugins that judge tasks of one shape, in one pass.

    Who answers None, or fails, is not asked again.
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
        """`author` is the plugin that brings the strategy. `failed` are the faults of this pass,
        on any plugin run of it."""
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
        """The labels of workers over whose places there is something to judge."""
        self._domain_filters = {key: _having(plugins, "filter_domains") for key in self.keys}
        self._domain_scores = {key: _weighing(plugins, "score_domains") for key in self.keys}
        self._fixed: dict[str, float] = {}
        """Worker id → the sum of those points that no placement changes."""

    @property
    def faults(self) -> Sequence[Fault]:
        """What failed in this pass so far, and is left out for the rest of it."""
        return list(self._failed.values())

    @property
    def judges_room(self) -> bool:
        """Whether any filter looks at what a worker has to do."""
        return bool(self._room_filters)

    def refusals(self, nodes: Sequence[Candidate]) -> dict[str, dict[str, str]]:
        """Plugin → worker id → why it must not get such tasks."""
        return self._filtered("filter_nodes", self._filters, nodes)

    def without_room(self, nodes: Sequence[Candidate]) -> dict[str, dict[str, str]]:
        """Plugin → worker id → why it has no room now."""
        if not self._room_filters:
            return {}
        return self._filtered("filter_room", self._room_filters, nodes, self._cluster)

    def weigh(self, nodes: Sequence[Candidate]) -> None:
        """Ask once for the points that no placement changes; `ratings` adds them."""
        for _, weight, points in self.points(nodes):
            for node, point in zip(nodes, points):
                self._fixed[node.id] = self._fixed.get(node.id, 0.0) + weight * point

    def ratings(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """The strategy's rating of each worker for that task, plus the points of all plugins."""
        totals: Sequence[float] = self.rated(task, nodes)
        if self._fixed:
            fixed = self._fixed
            totals = [total + fixed[node.id] for total, node in zip(totals, nodes)]
        if self._room_scores:
            for _, weight, points in self.room_points(nodes):
                totals = [total + weight * point for total, point in zip(totals, points)]
        return totals

    def points(self, nodes: Sequence[Candidate]) -> list[Points]:
        """What each plugin thinks of each worker, whatever the worker has to do."""
        return self._scored("score_nodes", self._scores, (nodes,), len(nodes)) if nodes else []

    def room_points(self, nodes: Sequence[Candidate]) -> list[Points]:
        """What each plugin thinks of each worker with what it has to do now."""
        if not self._room_scores:
            return []
        return self._scored("score_room", self._room_scores, (nodes,), len(nodes))

    def chose(self, task: Task, node: Candidate) -> None:
        """Tell the strategy who was chosen."""
        if None not in self._failed:
            try:
                self._strategy.chose(task, node)
            except Exception as error:
                self._strategy_failed(task, error)

    def closed(self, key: str, domains: Sequence[Place]) -> dict[str, dict[str, str]]:
        """Plugin → value of the key → why that place must not get such tasks now."""
        filters = self._domain_filters[key]
        return self._filtered("filter_domains", filters, key, domains, self._cluster)

    def place_points(self, key: str, domains: Sequence[Place]) -> list[Points]:
        """What each plugin thinks of each place."""
        scores = self._domain_scores[key]
        return self._scored("score_domains", scores, (key, domains), len(domains))

    def rated(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """The strategy's ratings; once it failed in a pass all are rated alike, so that tasks are
        placed."""
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
            "strategy failed; all workers count alike for the rest of the pass",
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
        """The answer of one plugin; None also when it failed, now or earlier in this pass."""
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
        took_s = perf_counter() - started_s  # to tell a fault takes time of its own
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
            "plugin failed; the pass goes on without it",
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
                "plugin is slow and delays all placements; "
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
    """An error that says which kind it is, as a KeyError alone is but a key."""
    return f"{type(error).__name__}: {error}"[:MOST_ERROR]


def _is_mapping(answer: Any) -> bool:
    return isinstance(answer, Mapping)


def _are_texts(answer: Any) -> bool:
    return not isinstance(answer, str) and all(isinstance(each, str) for each in answer)


def _are_numbers(answer: Any, count: int) -> bool:
    """A sum is finite if all its terms are; there is no quicker way to look at them all."""
    try:
        return len(answer) == count and math.isfinite(sum(answer))
    except TypeError:
        return False


def _are_points(answer: Any, count: int) -> bool:
    if not _are_numbers(answer, count):
        return False
    return not count or (min(answer) >= 0 and max(answer) <= 1)
