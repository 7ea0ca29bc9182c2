"""What is wrong with the parameters of a task, as far as that can be said without its spider.

A master refuses such a task. A worker checks the rest: what the spider takes, and what only the
worker knows, such as the names of its databases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from crawler.settings import overrides, patterns
from crawler.settings.live import SETTINGS


def faults(
    parameters: Mapping[str, Any], give_turn: Callable[[], None] = patterns.keep_on
) -> list[str]:
    """Return the faults, each with its path, its value and what is allowed; empty if there is none.
    `give_turn` lets others run; it is called now and then, because long lists take their time."""
    with patterns.giving_turns(give_turn):
        found = list(pattern_faults(parameters))
        if SETTINGS in parameters:
            found += overrides.faults(parameters[SETTINGS], f"parameters.{SETTINGS}")
    return found


def pattern_faults(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the regular expressions of a task for a sitemap."""
    for name, read, inner in _HOLD_PATTERNS:
        fault = patterns.first_fault(map(read, _items(parameters.get(name))))
        if fault is not None:
            yield f"parameters.{name}[{fault[0]}]{inner}: {fault[1]}"


def _items(value: Any) -> list[Any]:
    """Return the items of a list. A spider itself refuses what is none."""
    return value if isinstance(value, list) else []


def _of_rule(rule: Any) -> str:
    """Return the expression of a rule, which is a list of it and a callback."""
    return str(rule[0]) if isinstance(rule, list | tuple) and rule else ""


_HOLD_PATTERNS = (("sitemap_rules", _of_rule, "[0]"), ("sitemap_follow", str, ""))
"""The parameters that hold expressions, where each of their items has its own."""
