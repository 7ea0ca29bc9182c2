"""Plugins made of functions, for tests."""

import types

from crawler.scheduler.hookspecs import hookimpl


def module(name, **functions):
    """A plugin module with these hooks."""
    made = types.ModuleType(name)
    for hook, function in functions.items():
        function.__name__ = hook
        setattr(made, hook, hookimpl(function))
    return made


def found(framework, name):
    """The plugin of that name."""
    [plugin] = [each for each in framework.plugins if each.name == name]
    return plugin
