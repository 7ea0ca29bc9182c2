"""Asks plugins one question each, and sees to what they raise.

A plugin that fails is named in the log, counted, and left out for the rest of the pass. If it fails
about single workers or domains, it is left out for these alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from time import perf_counter
from typing import Any

from crawler.logs import get_logger
from crawler.model.constraints import NODE
from crawler.model.policy import Fault
from crawler.scheduler.faults import MOST_CULPRITS, Faults, P, Question, culprits, shown, told
from crawler.scheduler.hookspecs import Cluster, Place, Task
from crawler.scheduler.loader import Plugin

log = get_logger(__name__)

Sound = Callable[[Any, int], bool]
"""Whether an answer about so many objects is one that docs/hooks.md allows."""


class Asker:
    """Asks about tasks of one shape, in one pass."""

    def __init__(self, task: Task, cluster: Cluster, faults: Faults, slow_s: float) -> None:
        self._task = task
        self._cluster = cluster
        self._faults = faults
        self._slow_s = slow_s

    def ask(self, plugin: Plugin, hook: str, sound: Sound, count: int, *arguments: Any) -> Any:
        """Return the answer of one plugin about `count` objects, or None if it failed now or
        earlier in this pass."""
        if plugin.name in self._faults.plugins:
            return None
        try:
            return self._answer(plugin, hook, sound, count, *arguments)
        except Exception as error:
            self._fault(plugin, hook, error)
            return None

    def _answer(self, plugin: Plugin, hook: str, sound: Sound, count: int, *arguments: Any) -> Any:
        """Return the answer of one plugin, and measure it. Raises what it raises, and TypeError for
        an answer that is not allowed."""
        started_s = perf_counter()
        try:
            answer = plugin.hooks[hook](*arguments)
            if answer is not None and not sound(answer, count):
                raise TypeError(f"{hook} returned {answer!r:.200}")
            return answer
        finally:
            took_s = perf_counter() - started_s
            plugin.calls += 1
            plugin.seconds += took_s
            if took_s > self._slow_s:
                self._tell_slow(plugin, hook, took_s)

    def _fault(self, plugin: Plugin, hook: str, error: Exception) -> None:
        plugin.failures += 1
        self._faults.plugins[plugin.name] = Fault(plugin.name, hook, told(error))
        log.error(
            "a plugin failed; the pass goes on without it",
            exc_info=error,
            hook=hook,
            plugin=plugin.name,
            task=self._task.name,
            error=str(error),
        )

    def _tell_slow(self, plugin: Plugin, hook: str, took_s: float) -> None:
        plugin.slow += 1
        if plugin.slow & (plugin.slow - 1) == 0:  # the 1st, 2nd, 4th, 8th … time
            log.warning(
                "a plugin is slow and delays all placements; "
                f"it can be turned off: crawler plugins --disable {plugin.name}",
                plugin=plugin.name,
                hook=hook,
                took_s=round(took_s, 3),
                slow_calls=plugin.slow,
            )

    def ask_about(
        self,
        plugin: Plugin,
        hook: str,
        sound: Sound,
        places: Sequence[P],
        *more: Any,
        over: str | None = None,
    ) -> tuple[Sequence[P], Any]:
        """Ask a plugin about the workers, or the domains of the label `over`, about which it does
        not fail. Return these, and the answer; None if the plugin fails as a whole."""
        if plugin.name in self._faults.plugins:
            return places, None
        first = (self._task,) if over is None else (self._task, over)

        def ask(some: Sequence[P]) -> Any:
            return self._answer(plugin, hook, sound, len(some), *first, some, *more)

        try:
            return self.spare((plugin.name, hook, over or NODE), plugin, places, ask)
        except Exception as error:
            self._fault(plugin, hook, error)
            return places, None

    def spare(
        self,
        question: Question,
        plugin: Plugin,
        places: Sequence[P],
        ask: Callable[[Sequence[P]], Any],
    ) -> tuple[Sequence[P], Any]:
        """Ask about the workers or domains about which a plugin does not fail. Return these, and
        the answer; an empty one if none is left. Raises what it raises if it fails as a whole."""
        while True:
            about = self._faults.about(question)
            left = [place for place in places if place.value not in about] if about else places
            if not left:
                return left, ()
            started_s = perf_counter()
            try:
                answer = ask(left)
            except Exception as error:
                quick_s = self._slow_s - (perf_counter() - started_s)
                found = culprits(ask, left, error, quick_s)
                if self._fails_as_a_whole(question, left, found):
                    raise
                self._blame(question, plugin, found)
            else:
                self._faults.heard.add(question)
                return left, answer

    def _fails_as_a_whole(
        self, question: Question, asked: Sequence[Place], found: Collection[str]
    ) -> bool:
        """Whether a plugin is at fault itself, and not the workers or domains found. It is if it
        has failed about all of several, about too many, or about all that there are."""
        blamed = {*self._faults.about(question), *found}
        if not found or len(blamed) > MOST_CULPRITS:
            return True
        if question in self._faults.heard:
            return False
        _, _, key = question
        return 1 < len(asked) == len(found) or all(
            place.value in blamed for place in self._cluster.places(key)
        )

    def _blame(self, question: Question, plugin: Plugin, found: Mapping[str, Exception]) -> None:
        """Note the workers or domains about which a plugin fails."""
        _, hook, key = question
        plugin.failures += 1
        self._faults.note(question, plugin.name, found)
        kind = "workers" if key == NODE else "domains"
        log.error(
            f"a plugin failed about some {kind}; the pass goes on, and each of them pays for "
            "that alone; mend the plugin, or what these workers register",
            exc_info=next(iter(found.values())),
            hook=hook,
            plugin=plugin.name,
            task=self._task.name,
            **{kind: {shown(key, value): told(each) for value, each in found.items()}},
        )


def is_mapping(answer: Any, count: int) -> bool:
    """Whether this is a mapping."""
    return isinstance(answer, Mapping)


def are_texts(answer: Any, count: int) -> bool:
    """Whether these are texts."""
    return not isinstance(answer, str) and all(isinstance(each, str) for each in answer)


def are_numbers(answer: Any, count: int) -> bool:
    """Whether these are `count` finite numbers. A sum is finite only if all its terms are; no
    quicker test sees them all."""
    try:
        return len(answer) == count and math.isfinite(sum(answer))
    except TypeError:
        return False


def are_points(answer: Any, count: int) -> bool:
    """Whether these are `count` numbers from 0 to 1."""
    if not are_numbers(answer, count):
        return False
    return not count or (min(answer) >= 0 and max(answer) <= 1)
