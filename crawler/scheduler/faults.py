"""What went wrong with plugins in one pass: as a whole, or about single workers.

A plugin may raise because of one worker, whose labels nobody thought of. Then that worker alone
pays for it, and the plugin is heard about all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
            found[id] = Fault(author, hook, f"about {id}: {told(error)}"[:MOST_ERROR])


def culprits(
    ask: Callable[[Sequence[Candidate]], Any], nodes: Sequence[Candidate]
) -> Mapping[str, Exception]:
    """Return the workers that make a question raise which raises about all together, each with
    what it raised.

    It is empty if no single worker is the cause: the question raises about every worker, about too
    many, or only about several together.
    """
    found: dict[str, Exception] = {}
    parts = [nodes]
    while parts:
        part = parts.pop()
        try:
            ask(part)
        except Exception as error:
            half = len(part) // 2
            if half:
                parts += [part[half:], part[:half]]
            else:
                found[part[0].id] = error
        if len(found) > MOST_CULPRITS:
            return {}
    return found if len(found) < len(nodes) else {}


def told(error: Exception) -> str:
    """Return the text of an error with its class, because the text of a KeyError is only a key."""
    return f"{type(error).__name__}: {error}"[:MOST_ERROR]
