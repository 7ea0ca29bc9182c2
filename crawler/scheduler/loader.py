"""Finds and checks plugins: the built-in ones, those of the settings, those that are installed.

It alone touches pluggy. A misspelt hook, an unknown argument, or a module that cannot be imported
is an error when the node starts, not a silence later.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pluggy

from crawler.errors import ConfigError
from crawler.scheduler import hookspecs

BUILT_IN: Mapping[str, float] = {
    "least-load": 1.0,
    "round-robin": 1.0,
    "random": 1.0,
    "consistent-hash": 1.0,
    "pinned": 1.0,
    "labels": 10.0,
    "taints": 10.0,
    "spider-available": 1.0,
    "retry-elsewhere": 10_000_000.0,
    "gpu": 1_000_000.0,
    "resources": 1.0,
    "affinity": 10.0,
    "spread": 10.0,
    "real-load": 0.0,
}
"""The plugins that every scheduler loads, in the order in which they are asked, with what their
points count. A score of 10 outweighs ten tasks under `least-load`; those of `gpu` and, above it,
`retry-elsewhere` outweigh all."""

ENTRY_POINTS = "crawler.plugins"
"""Group under which an installed package announces its plugins."""

ASKED = (
    "filter_nodes",
    "score_nodes",
    "filter_room",
    "score_room",
    "topology",
    "filter_domains",
    "score_domains",
)
"""The hooks about a task."""

ALL_LABELS = None
"""Said of plugins that may look at any label of a task."""


@dataclass(slots=True)
class Plugin:
    """A loaded plugin, and how it has done so far."""

    name: str
    source: str
    """`built in`, `settings`, or the package that announced it."""
    hooks: Mapping[str, Callable[..., Any]]
    """The hooks it has, each called with all arguments of its specification in their order."""
    labels: frozenset[str] | None
    """The labels of tasks it looks at; None is all of them."""
    weight: float = 1.0
    on: bool = True
    calls: int = 0
    failures: int = 0
    seconds: float = 0.0
    """Time it has taken in all."""
    slow: int = 0
    """How many of its calls took longer than they should."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """All plugins in the order in which they are asked, and the strategies they bring."""

    plugins: Sequence[Plugin]
    strategies: Mapping[str, Any] = field(default_factory=dict)


def load(modules: Sequence[str] = ()) -> Loaded:
    """Load the built-in plugins, those of these modules, and the installed. Raises ConfigError."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    sources: dict[str, str] = {}
    for name in BUILT_IN:
        _register(manager, f"crawler.plugins.{name.replace('-', '_')}", name)
        sources[name] = "built in"
    for name in modules:
        _register(manager, name, name)
        sources[name] = "settings"
    _load_installed(manager)
    _check_names(manager)
    plugins = [_plugin(manager, name, sources) for name, _ in manager.list_name_plugin()]
    return Loaded(plugins, dict(_strategies(manager)))


def _register(manager: pluggy.PluginManager, module: str, name: str) -> None:
    try:
        manager.register(importlib.import_module(module), name)
    except ImportError as error:
        raise ConfigError(
            f"scheduler.plugins: {module!r} cannot be imported ({error}); "
            "give the dotted name of an installed Python module"
        ) from error
    except (pluggy.PluginValidationError, ValueError) as error:
        raise ConfigError(f"scheduler.plugins: {error}") from error


def _load_installed(manager: pluggy.PluginManager) -> None:
    try:
        manager.load_setuptools_entrypoints(ENTRY_POINTS)
    except (ImportError, ValueError, pluggy.PluginValidationError) as error:
        raise ConfigError(f"an installed plugin cannot be loaded: {error}") from error


def _check_names(manager: pluggy.PluginManager) -> None:
    """A misspelt hook would be silent otherwise."""
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise ConfigError(f"plugin {error.plugin!r}: {error}") from error


def _plugin(manager: pluggy.PluginManager, name: str, sources: Mapping[str, str]) -> Plugin:
    module = manager.get_plugin(name)
    implementations = {
        hook.name: each
        for hook in manager.get_hookcallers(module) or ()
        for each in hook.get_hookimpls()
        if each.plugin is module
    }
    hooks = {hook: _adapted(manager, hook, each) for hook, each in implementations.items()}
    return Plugin(
        name,
        sources.get(name) or _package(manager, module),
        hooks,
        _labels(name, implementations),
        BUILT_IN.get(name, 1.0),
    )


def _adapted(manager: pluggy.PluginManager, hook: str, implementation: Any) -> Callable[..., Any]:
    """The implementation, called by position with all that the specification has."""
    spec = getattr(manager.hook, hook).spec
    wanted = tuple(implementation.argnames)
    function: Callable[..., Any] = implementation.function
    if wanted == tuple(spec.argnames):
        return function
    places = [spec.argnames.index(argument) for argument in wanted]
    return lambda *arguments: function(*(arguments[place] for place in places))


def _labels(name: str, implementations: Mapping[str, Any]) -> frozenset[str] | None:
    if "task_labels" not in implementations:
        return ALL_LABELS if any(hook in implementations for hook in ASKED) else frozenset()
    labels = implementations["task_labels"].function()
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise ConfigError(f"plugin {name!r}: task_labels returned {labels!r}; texts are allowed")
    return frozenset(labels)


def _package(manager: pluggy.PluginManager, module: Any) -> str:
    for plugin, distribution in manager.list_plugin_distinfo():
        if plugin is module:
            return f"{distribution.metadata['name']} {distribution.version}"
    return "settings"


def _strategies(manager: pluggy.PluginManager) -> Iterable[tuple[str, Any]]:
    seen: set[str] = set()
    for brought in reversed(manager.hook.strategies()):  # pluggy asks the last one first
        for name, strategy in brought.items():
            if name in seen:
                raise ConfigError(f"two plugins bring a strategy named {name!r}; rename one")
            seen.add(name)
            yield name, strategy
