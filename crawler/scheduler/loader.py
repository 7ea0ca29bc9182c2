"""Finds and checks plugins: the built-in ones, those in the settings, and the installed ones.

Only this module uses pluggy. A misspelt hook, an unknown argument, or a module that cannot be
imported is an error when the node starts. It does not go unnoticed.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    "shards": 100.0,
    "real-load": 0.0,
}
"""The plugins that every scheduler loads, in the order in which they are asked, with their default
weights. A score of 10 outweighs ten tasks under `least-load`. The scores of `gpu` outweigh all
others, and those of `retry-elsewhere` outweigh even `gpu`."""

ENTRY_POINTS = "crawler.plugins"
"""The group of entry points under which an installed package announces its plugins."""

ASKED = (
    "filter_nodes",
    "score_nodes",
    "filter_room",
    "score_room",
    "topology",
    "filter_domains",
    "score_domains",
)
"""The hooks that judge a task."""

HOOKS = {*ASKED, "strategies", "task_labels"}
"""All hooks."""

ALL_LABELS = None
"""The `labels` of a plugin that may look at any label of a task."""


@dataclass(slots=True)
class Plugin:
    """A loaded plugin, with statistics of its calls."""

    name: str
    source: str
    """`built in`, `settings`, or the package that announced it."""
    hooks: Mapping[str, Callable[..., Any]]
    """Its hooks. Each is called with all arguments of its specification, in their order."""
    labels: frozenset[str] | None
    """The labels of tasks that it looks at; None means all of them."""
    strategies: Mapping[str, Any]
    """The strategies that it brings, by name."""
    weight: float = 1.0
    on: bool = True
    calls: int = 0
    failures: int = 0
    seconds: float = 0.0
    """How many seconds its calls took in all."""
    slow: int = 0
    """How many of its calls took too long."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """All plugins, in the order in which they are asked."""

    plugins: Sequence[Plugin]
    authors: Mapping[str, Plugin] = field(default_factory=dict)
    """Strategy → the plugin that brings it."""

    def copied(self) -> Loaded:
        """Return the same plugins, to be switched and counted apart from these."""
        copies = {plugin.name: replace(plugin) for plugin in self.plugins}
        authors = {strategy: copies[author.name] for strategy, author in self.authors.items()}
        return Loaded(list(copies.values()), authors)


def load(modules: Sequence[str] = ()) -> Loaded:
    """Load the built-in plugins, those of these modules, and the installed ones. Raises
    ConfigError."""
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
    return Loaded(plugins, _authors(plugins))


def _register(manager: pluggy.PluginManager, module: str, name: str) -> None:
    try:
        imported = importlib.import_module(module)
    except Exception as error:  # a module may contain any code and raise anything
        raise ConfigError(
            f"scheduler.plugins: {module!r} cannot be imported ({error!r}); "
            "give the dotted name of an installed Python module"
        ) from error
    try:
        manager.register(imported, name)
    except pluggy.PluginValidationError as error:
        raise _refusal(manager, error) from error
    except ValueError as error:
        raise ConfigError(
            f"scheduler.plugins: there is a plugin {name!r} already; name each once"
        ) from error


def _load_installed(manager: pluggy.PluginManager) -> None:
    try:
        manager.load_setuptools_entrypoints(ENTRY_POINTS)
    except pluggy.PluginValidationError as error:
        raise _refusal(manager, error) from error
    except Exception as error:  # as above
        raise ConfigError(f"an installed plugin cannot be loaded: {error!r}") from error


def _check_names(manager: pluggy.PluginManager) -> None:
    """Raise ConfigError for a misspelt hook, which would otherwise go unnoticed."""
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _refusal(manager, error) from error


def _refusal(manager: pluggy.PluginManager, error: pluggy.PluginValidationError) -> ConfigError:
    """Return an error that names the plugin, what is misspelt, and what is allowed."""
    module = error.plugin
    found = next(filter(None, (_misfit(manager, module, name) for name in dir(module))), error)
    name = manager.get_name(module) or getattr(module, "__name__", repr(module))
    return ConfigError(f"plugin {name!r}: {found}")


def _misfit(manager: pluggy.PluginManager, module: Any, name: str) -> str:
    """Return how an object in a module differs from the hook that it is marked as.

    The text is empty if it does not differ, or is not marked.
    """
    options = manager.parse_hookimpl_opts(module, name)
    if options is None:
        return ""
    hook = options.get("specname") or name
    spec = getattr(manager.hook, hook).spec
    if spec is None:
        return f"{hook!r} is no hook; allowed: {', '.join(sorted(HOOKS))}"
    wanted = inspect.signature(getattr(module, name)).parameters.values()
    unknown = [
        each.name
        for each in wanted
        if each.default is each.empty and each.name not in spec.argnames
    ]
    allowed = ", ".join(spec.argnames) or "none"
    return f"{hook} has no argument {unknown[0]!r}; allowed: {allowed}" if unknown else ""


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
        _labels(name, hooks),
        _strategies(name, hooks),
        BUILT_IN.get(name, 1.0),
    )


def _adapted(manager: pluggy.PluginManager, hook: str, implementation: Any) -> Callable[..., Any]:
    """Return the implementation as a function of all arguments of its specification, by
    position."""
    spec = getattr(manager.hook, hook).spec
    wanted = tuple(implementation.argnames)
    function: Callable[..., Any] = implementation.function
    if wanted == tuple(spec.argnames):
        return function
    places = [spec.argnames.index(argument) for argument in wanted]
    return lambda *arguments: function(*(arguments[place] for place in places))


def _labels(name: str, hooks: Mapping[str, Callable[..., Any]]) -> frozenset[str] | None:
    if "task_labels" not in hooks:
        return ALL_LABELS if any(hook in hooks for hook in ASKED) else frozenset()
    labels = _answer(name, hooks, "task_labels")
    if not isinstance(labels, Collection) or not _are_texts(labels):
        raise ConfigError(f"plugin {name!r}: task_labels returned {labels!r}; texts are allowed")
    return frozenset(labels)


def _strategies(name: str, hooks: Mapping[str, Callable[..., Any]]) -> Mapping[str, Any]:
    if "strategies" not in hooks:
        return {}
    brought = _answer(name, hooks, "strategies")
    sound = isinstance(brought, Mapping) and _are_texts(brought)
    if not sound or not all(callable(strategy) for strategy in brought.values()):
        raise ConfigError(
            f"plugin {name!r}: strategies returned {brought!r}; allowed are names with functions "
            "or classes derived from Strategy"
        )
    return dict(brought)


def _answer(name: str, hooks: Mapping[str, Callable[..., Any]], hook: str) -> Any:
    try:
        return hooks[hook]()
    except Exception as error:
        raise ConfigError(f"plugin {name!r}: {hook} failed: {error!r}") from error


def _are_texts(answer: Collection[Any]) -> bool:
    return not isinstance(answer, str) and all(isinstance(each, str) for each in answer)


def _package(manager: pluggy.PluginManager, module: Any) -> str:
    for plugin, distribution in manager.list_plugin_distinfo():
        if plugin is module:
            return f"{distribution.metadata['name']} {distribution.version}"
    return "settings"


def _authors(plugins: Iterable[Plugin]) -> Mapping[str, Plugin]:
    authors: dict[str, Plugin] = {}
    for plugin in plugins:
        for name in plugin.strategies:
            if name in authors:
                raise ConfigError(
                    f"plugins {authors[name].name!r} and {plugin.name!r} both bring a strategy "
                    f"named {name!r}; rename one"
                )
            authors[name] = plugin
    return authors
