"""What went wrong with plugins in one pass: as a whole, or about single workers.

A plugin may raise because of one worker, whose labels nobody thought of. Then that worker alone
pays for it, and the plugin is heard about all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from crawler.model.policy import Fault
from crawler.scheduler.hookspecs import Candidate

MOST_ERROR = 300
"""The longest description of a plugin's fault, in characters."""

MOST_CULPRITS = 10
"""If a plugin fails about more workers than this, the plugin itself is at fault. The search for the
workers then ends, because each question takes time."""


class Faults:
    """The faults of one pass, from all its plugin runs. The strategy has the name None."""

    def __init__(self) -> None:
        self.plugins: dict[str | None, Fault] = {}
        """Plugin → its fault. It is left out for the rest of the pass."""
        self.heard: set[tuple[str | None, str]] = set()
        """The plugins and hooks that have answered about some worker: they do not always fail."""
        self._workers: dict[tuple[str | None, str], dict[str, Fault]] = {}
        """Plugin and hook → worker id → the fault. The worker is left out there for the rest of the
        pass."""

    @property
    def told(self) -> Sequence[Fault]:
        """All faults, for people."""
        about = (fault for found in self._workers.values() for fault in found.values())
        return [*self.plugins.values(), *about]

    def about(self, plugin: str | None, hook: str) -> Mapping[str, Fault]:
        """Return worker id → the fault of the plugin about that worker."""
        return self._workers.get((plugin, hook), {}) if self._workers else {}

    def note(
        self, plugin: str | None, author: str, hook: str, about: Mapping[str, Exception]
    ) -> None:
        """Note that a plugin fails about single workers."""
        found = self._workers.setdefault((plugin, hook), {})
        for id, error in about.items():
            found[id] = Fault(author, hook, told(error), id)


def culprits(
    ask: Callable[[Sequence[Candidate]], Any],
    nodes: Sequence[Candidate],
    error: Exception,
    most_s: float,
) -> Mapping[str, Exception]:
    """Return the workers that made a question raise `error`, each with what it raised alone.

    It is empty if none are found within `most_s` seconds: the question raises slowly, about too
    many workers, or only about several together.
    """
    if len(nodes) == 1:
        return {nodes[0].id: error}
    found: dict[str, Exception] = {}
    parts = _halves(nodes)
    until_s = perf_counter() + most_s
    while parts:
        if perf_counter() >= until_s or len(found) > MOST_CULPRITS:
            return {}
        part = parts.pop()
        try:
            ask(part)
        except Exception as another:
            if len(part) > 1:
                parts += _halves(part)
            else:
                found[part[0].id] = another
    return found


def _halves(nodes: Sequence[Candidate]) -> list[Sequence[Candidate]]:
    half = len(nodes) // 2
    return [nodes[half:], nodes[:half]]


def told(error: Exception) -> str:
    """Return the text of an error with its class, because the text of a KeyError is only a key."""
    return f"{type(error).__name__}: {error}"[:MOST_ERROR]
