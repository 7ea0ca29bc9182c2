"""The typed face of the plugins: who is loaded, and what they say of a task and its candidates.

One `Framework` per node; it alone touches pluggy. An implementation that raises is named in the log
and left out of that call, so a faulty plugin costs its own opinion and nothing else.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import pluggy

from crawler.errors import ConfigError
from crawler.logs import get_logger
from crawler.records import Spec
from crawler.scheduler import hookspecs
from crawler.scheduler.hookspecs import Strategy
from crawler.scheduler.snapshot import Candidate

log = get_logger(__name__)

BUILT_IN = (
    "crawler.plugins.least_load",
    "crawler.plugins.spider_available",
    "crawler.plugins.gpu",
)
"""Plugins that every scheduler loads."""

ENTRY_POINTS = "crawler.plugins"
"""Group under which an installed package announces its plugins."""


class Framework:
    """The loaded plugins and the chosen strategy."""

    def __init__(self, strategy: str, plugins: Sequence[str] = ()) -> None:
        """Load the built-in, the installed and the named plugins. Raises ConfigError."""
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        for name in (*BUILT_IN, *plugins):
            self._register(name)
        self._load_installed()
        self._check_names()
        self._strategies = dict(self._named_strategies())
        self._strategy = self._choose(strategy)

    @property
    def plugins(self) -> Sequence[str]:
        """Names of the loaded plugins."""
        return sorted(name for name, _ in self._manager.list_name_plugin())

    def refusals(self, task: Spec, nodes: Sequence[Candidate]) -> dict[str, str]:
        """Node id → why it must not get the task."""
        refused: dict[str, str] = {}
        for verdicts in self._ask("filter_nodes", task, nodes, _is_mapping):
            refused |= verdicts
        return refused

    def ratings(self, task: Spec, nodes: Sequence[Candidate]) -> Sequence[float]:
        """The strategy's rating of each node, plus the points of all scoring plugins."""
        totals = self._rated(task, nodes)
        for points in self._ask("score_nodes", task, nodes, partial(_are_scores, nodes)):
            totals = [total + more for total, more in zip(totals, points)]
        return totals

    def _rated(self, task: Spec, nodes: Sequence[Candidate]) -> Sequence[float]:
        """The strategy's ratings; if it fails all are rated alike, so that tasks are placed."""
        try:
            ratings = list(self._strategy(task, nodes))
            if _are_scores(nodes, ratings):
                return ratings
            log.error("strategy returned no rating for each node", task=task.name)
        except Exception:
            log.error("strategy failed, all are rated alike", exc_info=True, task=task.name)
        return [0.0] * len(nodes)

    def _ask(
        self, hook: str, task: Spec, nodes: Sequence[Candidate], sound: Callable[[Any], bool]
    ) -> Iterator[Any]:
        """The answers of each plugin apart, as pluggy's own call ends at the first that raises."""
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            arguments = {"task": task, "nodes": nodes}
            try:
                answer = implementation.function(
                    *(arguments[name] for name in implementation.argnames)
                )
                if answer is None:
                    continue
                if not sound(answer):
                    raise TypeError(f"{hook} returned {answer!r}")
                yield answer
            except Exception as error:
                log.error(
                    "plugin failed, going on without it",
                    exc_info=True,
                    hook=hook,
                    plugin=implementation.plugin_name,
                    task=task.name,
                    error=str(error),
                )

    def _register(self, name: str) -> None:
        try:
            self._manager.register(importlib.import_module(name), name)
        except ImportError as error:
            raise ConfigError(
                f"scheduler.plugins: {name!r} cannot be imported ({error}); "
                "give the dotted name of an installed Python module"
            ) from error
        except pluggy.PluginValidationError as error:
            raise ConfigError(f"scheduler.plugins: {error}") from error

    def _load_installed(self) -> None:
        try:
            self._manager.load_setuptools_entrypoints(ENTRY_POINTS)
        except (ImportError, pluggy.PluginValidationError) as error:
            raise ConfigError(f"an installed plugin cannot be loaded: {error}") from error

    def _check_names(self) -> None:
        """A misspelt hook would be silent otherwise."""
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise ConfigError(f"plugin {error.plugin!r}: {error}") from error

    def _named_strategies(self) -> Iterable[tuple[str, Strategy]]:
        seen: set[str] = set()
        for brought in self._manager.hook.strategies():
            for name, strategy in brought.items():
                if name in seen:
                    raise ConfigError(f"two plugins bring a strategy named {name!r}; rename one")
                seen.add(name)
                yield name, strategy

    def _choose(self, name: str) -> Strategy:
        if name not in self._strategies:
            known = ", ".join(sorted(self._strategies))
            raise ConfigError(f"scheduler.strategy: {name!r} is unknown; allowed: {known}")
        return self._strategies[name]


def _is_mapping(answer: Any) -> bool:
    return hasattr(answer, "keys")


def _are_scores(nodes: Sequence[Candidate], answer: Any) -> bool:
    return len(answer) == len(nodes) and all(
        isinstance(points, int | float) and math.isfinite(points) for points in answer
    )
