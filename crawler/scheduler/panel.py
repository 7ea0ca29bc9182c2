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
from crawler.scheduler.hookspecs import Candidate, Cluster, Place, Strategy, Task
from crawler.scheduler.loader import Plugin

log = get_logger(__name__)

Points = tuple[str, float, Sequence[float]]
"""Of a plugin: its name, its weight, and its points for each of those it was asked about."""


class Panel:
    """The plugins that judge tasks of one shape, in one pass.

    Who answers None, or fails, is not asked again.
    """

    def __init__(
        self,
        task: Task,
        cluster: Cluster,
        plugins: Sequence[Plugin],
        strategy: Strategy,
        slow_s: float,
    ) -> None:
        self.task = task
        self._strategy = strategy
        self._slow_s = slow_s
        self._failed: set[str] = set()
        self._room = [plugin for plugin in plugins if "filter_room" in plugin.hooks]
        self._scores = _weighing(plugins, "score_nodes")
        self._domain_filters = [plugin for plugin in plugins if "filter_domains" in plugin.hooks]
        self._domain_scores = _weighing(plugins, "score_domains")
        self._static = [plugin for plugin in plugins if "filter_nodes" in plugin.hooks]
        self.keys = self._topology(plugins, cluster)

    def refusals(self, nodes: Sequence[Candidate]) -> dict[str, dict[str, str]]:
        """Plugin → worker id → why it must not get such tasks."""
        return self._filtered("filter_nodes", self._static, nodes)

    def without_room(self, nodes: Sequence[Candidate]) -> dict[str, dict[str, str]]:
        """Plugin → worker id → why it has no room now."""
        return self._filtered("filter_room", self._room, nodes) if self._room else {}

    def ratings(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """The strategy's rating of each worker for that task, plus the points of all plugins."""
        totals: Sequence[float] = self._rated(task, nodes)
        for _, weight, points in self.points(nodes):
            totals = [total + weight * point for total, point in zip(totals, points)]
        return totals

    def points(self, nodes: Sequence[Candidate]) -> list[tuple[str, float, Sequence[float]]]:
        """Plugin, weight, and its points for each worker."""
        if not self._scores:
            return []
        return self._scored("score_nodes", self._scores, (nodes,), len(nodes))

    def chose(self, task: Task, node: Candidate) -> None:
        """Tell the strategy who was chosen."""
        try:
            self._strategy.chose(task, node)
        except Exception:
            log.error("strategy failed at what was chosen", exc_info=True, task=task.name)

    def closed(self, key: str, domains: Sequence[Place]) -> dict[str, dict[str, str]]:
        """Plugin → value of the key → why that place must not get such tasks now."""
        return self._filtered("filter_domains", self._domain_filters, key, domains)

    def place_points(
        self, key: str, domains: Sequence[Place]
    ) -> list[tuple[str, float, Sequence[float]]]:
        """Plugin, weight, and its points for each place."""
        return self._scored("score_domains", self._domain_scores, (key, domains), len(domains))

    def _rated(self, task: Task, nodes: Sequence[Candidate]) -> Sequence[float]:
        """The strategy's ratings; if it fails all are rated alike, so that tasks are placed."""
        try:
            ratings = self._strategy.rate(task, nodes)
            if _are_numbers(ratings, len(nodes)):
                return ratings
            log.error("strategy returned no rating for each node", task=task.name)
        except Exception:
            log.error("strategy failed, all are rated alike", exc_info=True, task=task.name)
        return [0.0] * len(nodes)

    def _topology(self, plugins: Sequence[Plugin], cluster: Cluster) -> Sequence[str]:
        keys: dict[str, None] = {}
        for plugin in plugins:
            if "topology" in plugin.hooks:
                for key in self._ask(plugin, "topology", _are_texts, self.task, cluster) or ():
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
    ) -> list[tuple[str, float, Sequence[float]]]:
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
        started_s = perf_counter()
        try:
            answer = plugin.hooks[hook](*arguments)
            if answer is not None and not sound(answer):
                raise TypeError(f"{hook} returned {answer!r:.200}")
        except Exception as error:
            self._fault(plugin, hook, error)
            answer = None
        took_s = perf_counter() - started_s
        plugin.calls += 1
        plugin.seconds += took_s
        if took_s > self._slow_s:
            self._tell_slow(plugin, hook, took_s)
        return answer

    def _fault(self, plugin: Plugin, hook: str, error: Exception) -> None:
        plugin.failures += 1
        self._failed.add(plugin.name)
        log.error(
            "plugin failed, going on without it",
            exc_info=True,
            hook=hook,
            plugin=plugin.name,
            task=self.task.name,
            error=str(error),
        )

    def _tell_slow(self, plugin: Plugin, hook: str, took_s: float) -> None:
        plugin.slow += 1
        if plugin.slow & (plugin.slow - 1) == 0:  # the 1st, 2nd, 4th, 8th … time
            log.warning(
                "plugin is slow and holds up all placements; "
                f"it can be turned off: crawler plugins --disable {plugin.name}",
                plugin=plugin.name,
                hook=hook,
                took_s=round(took_s, 3),
                slow_calls=plugin.slow,
            )


def _weighing(plugins: Sequence[Plugin], hook: str) -> list[Plugin]:
    return [plugin for plugin in plugins if hook in plugin.hooks and plugin.weight]


def _is_mapping(answer: Any) -> bool:
    return isinstance(answer, Mapping)


def _are_texts(answer: Any) -> bool:
    return not isinstance(answer, str) and all(isinstance(each, str) for each in answer)


def _are_numbers(answer: Any, count: int) -> bool:
    return len(answer) == count and all(
        isinstance(each, int | float) and math.isfinite(each) for each in answer
    )


def _are_points(answer: Any, count: int) -> bool:
    return _are_numbers(answer, count) and all(0 <= each <= 1 for each in answer)
