"""Loads the engine's plugins: fetchers and pipelines. Only this and hookspecs.py use pluggy."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pluggy

from crawler.engine import hookspecs
from crawler.engine.download.downloader import BUILT_IN, Makers
from crawler.engine.hookspecs import Fetcher
from crawler.engine.http.failures import FAULTS
from crawler.errors import ConfigError, InvalidArgument

ENTRY_POINTS = "crawler.engine"
"""The entry point group in which an installed package announces its plugins of the engine."""


@dataclass(frozen=True)
class Brought:
    """The fetchers and pipelines of all plugins."""

    fetchers: Makers
    pipelines: Callable[[Any], list[Any]]
    """Spider → the pipelines for its items. Raises InvalidArgument if a plugin fails."""


def load(modules: Sequence[str] = ()) -> Brought:
    """Load these modules, and the plugins of installed packages. Raises ConfigError."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for name in modules:
        try:
            manager.register(importlib.import_module(name), name)
        except FAULTS as error:  # it may raise anything
            raise ConfigError(
                f"worker.plugins: {name!r} cannot be loaded ({error!r}); give the dotted name of an"
                " installed Python module"
            ) from error
    try:
        manager.load_setuptools_entrypoints(ENTRY_POINTS)
        manager.check_pending()
    except FAULTS as error:  # it may raise anything
        raise ConfigError(f"a plugin of the engine cannot be loaded: {error!r}") from error
    return Brought(_fetchers(manager), lambda spider: _pipelines(manager, spider))


def _pipelines(manager: pluggy.PluginManager, spider: Any) -> list[Any]:
    try:
        return [each for brought in manager.hook.pipelines(spider=spider) for each in brought]
    except FAULTS as error:  # it may raise anything
        raise InvalidArgument(
            f"an engine plugin failed to name pipelines of spider {spider.name!r}: {error!r};"
            " allowed: a list, which may be empty"
        ) from error


def _fetchers(manager: pluggy.PluginManager) -> Makers:
    found: dict[str, Callable[[], Fetcher]] = {}
    for brought in manager.hook.fetchers():
        for name, make in brought.items():
            if name in found or name == BUILT_IN:
                raise ConfigError(f"two plugins bring a fetcher named {name!r}; rename one")
            found[name] = make
    return found
