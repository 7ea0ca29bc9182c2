"""What went wrong with plugins in one pass: as a whole, or about single workers or domains.

A plugin may raise because of one worker, whose labels nobody thought of, or of one domain. Then
that one alone pays for it, and the plugin is heard about all others. `Place.value` names each; a
worker is a domain of its own here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, TypeVar

from crawler.model.constraints import NODE
from crawler.model.policy import Fault
from crawler.scheduler.hookspecs import Place

P = TypeVar("P", bound=Place)

MOST_ERROR = 300
"""The longest description of a plugin's fault, in characters."""

MOST_CULPRITS = 10
"""If a plugin fails about more workers, or domains, than this, the plugin itself is at fault. The
search for them then ends, because each question takes time."""

Question = tuple[str | None, str, str]
"""The plugin that is asked (None is the strategy), the hook, and the label of the domains that it
is asked about; for workers `NODE`."""


class Faults:
    """The faults of one pass, from all its plugin runs. The strategy has the name None."""

    def __init__(self) -> None:
        self.plugins: dict[str | None, Fault] = {}
        """Plugin → its fault. It is left out for the rest of the pass."""
        self.heard: set[Question] = set()
        """What some plugin has answered about some worker or domain: it does not always fail."""
        self._single: dict[Question, dict[str, Fault]] = {}
        """Question → worker id, or value of the domain → the fault. That one is left out there for
        the rest of the pass."""

    @property
    def told(self) -> Sequence[Fault]:
        """All faults, for people."""
        about = (fault for found in self._single.values() for fault in found.values())
        return [*self.plugins.values(), *about]

    def about(self, question: Question) -> Mapping[str, Fault]:
        """Return worker id, or value of the domain → the fault of the plugin about it."""
        return self._single.get(question, {}) if self._single else {}

    def note(self, question: Question, author: str, about: Mapping[str, Exception]) -> None:
        """Note that a plugin fails about single workers or domains."""
        _, hook, key = question
        found = self._single.setdefault(question, {})
        for value, error in about.items():
            found[value] = Fault(author, hook, told(error), shown(key, value))


def shown(key: str, value: str) -> str:
    """Return a worker, or a domain of a label, as people read it."""
    return value if key == NODE else f"{key}={value}"


def culprits(
    ask: Callable[[Sequence[P]], Any],
    places: Sequence[P],
    error: Exception,
    most_s: float,
) -> Mapping[str, Exception]:
    """Return the workers or domains that made a question raise `error`, each with what it raised
    alone.

    It is empty if none are found within `most_s` seconds: the question raises slowly, about too
    many, or only about several together.
    """
    if len(places) == 1:
        return {places[0].value: error}
    found: dict[str, Exception] = {}
    parts = _halves(places)
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
                found[part[0].value] = another
    return found


def _halves(places: Sequence[P]) -> list[Sequence[P]]:
    half = len(places) // 2
    return [places[half:], places[:half]]


def told(error: Exception) -> str:
    """Return the text of an error with its class, because the text of a KeyError is only a key."""
    return f"{type(error).__name__}: {error}"[:MOST_ERROR]
