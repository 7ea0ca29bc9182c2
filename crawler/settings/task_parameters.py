"""What is wrong with the parameters of a task, as far as that can be said without its spider.

A master refuses such a task. A worker checks the same, and the rest: what the spider takes, and
what only the worker knows, such as the names of its databases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from crawler.errors import shown
from crawler.model.secrets import without_references
from crawler.settings import overrides, patterns
from crawler.settings.forms import Form
from crawler.settings.live import SETTINGS

RESERVED = frozenset({"name", "custom_settings", "declaration", "item_schema", "pipelines"})
"""Attributes of a spider that a task parameter may not replace. It may replace no method either."""

TURN_EACH = 1000
"""The number of URLs after which others get a turn. To look at these takes about a millisecond."""


def faults(
    parameters: Mapping[str, Any], give_turn: Callable[[], None] = patterns.keep_on
) -> list[str]:
    """Return the faults, each with its path, its value and what is allowed; empty if there is none.
    What names a secret is checked by the worker, which has its value. `give_turn` lets others run;
    it is called now and then, because long lists take their time."""
    parameters = without_references(parameters)
    found = list(spider_faults(parameters, give_turn))
    if SETTINGS in parameters:
        with patterns.giving_turns(give_turn):
            found += overrides.faults(parameters[SETTINGS], f"parameters.{SETTINGS}")
    return found


def spider_faults(
    parameters: Mapping[str, Any], give_turn: Callable[[], None] = patterns.keep_on
) -> Iterator[str]:
    """Yield what is wrong with the parameters that mean the same to all spiders. Of each list it
    names the first fault."""
    for name in sorted(parameters):
        if name in RESERVED or name.startswith("_"):
            yield reserved(name)
    for name, form in _LISTS.items():
        if name in parameters:
            yield from _list_faults(f"parameters.{name}", parameters[name], form, give_turn)
    yield from _pattern_faults(parameters, give_turn)


def reserved(name: str) -> str:
    """Return the refusal of a parameter whose name the spider has for something else."""
    return (
        f"parameters.{name}: not allowed, the spider needs that name itself;"
        " allowed: any other name"
    )


def _list_faults(path: str, value: Any, form: Form, give_turn: Callable[[], None]) -> Iterator[str]:
    """Yield the first fault of a list of texts. A single text stands for a list of it."""
    if isinstance(value, str):
        if not form.check(value):
            yield _refusal(path, value, form.words)
    elif isinstance(value, list | tuple):
        for at, each in enumerate(value):
            if not isinstance(each, str) or not form.check(each):
                yield _refusal(f"{path}[{at}]", each, form.words)
                return
            if at % TURN_EACH == TURN_EACH - 1:
                give_turn()
    else:
        yield _refusal(path, value, f"a list, each {form.words}")


def _pattern_faults(parameters: Mapping[str, Any], give_turn: Callable[[], None]) -> Iterator[str]:
    """Yield what is wrong with the regular expressions of a task for a sitemap."""
    for name, read, inner in _HOLD_PATTERNS:
        if name in parameters:
            with patterns.giving_turns(give_turn):
                fault = patterns.first_fault(map(read, _items(parameters[name])))
            if fault is not None:
                yield f"parameters.{name}[{fault[0]}]{inner}: {fault[1]}"


def _items(value: Any) -> list[Any]:
    """Return the items of a list. A spider itself refuses what is none."""
    return value if isinstance(value, list) else []


def _of_rule(rule: Any) -> str:
    """Return the expression of a rule, which is a list of it and a callback."""
    return str(rule[0]) if isinstance(rule, list | tuple) and rule else ""


def _is_web(url: str) -> bool:
    return _web_check()(url)


@cache  # an import costs more than the check
def _web_check() -> Callable[[str], bool]:
    from crawler.settings.web import is_web  # here, because most commands look at no task

    return is_web


def _refusal(path: str, value: Any, allowed: str) -> str:
    given = "null" if value is None else shown(value)
    return f"{path}: {given} is not allowed; allowed: {allowed}"


_URL = Form(r"(?s:.*)", "an http or https URL", _is_web)
_LISTS = {
    "start_urls": _URL,
    "sitemap_urls": _URL,
    "allowed_domains": Form(r"(?s:.*)", "the name of a host"),
}
"""The parameters that are lists of texts, and what each text must be."""
_HOLD_PATTERNS = (("sitemap_rules", _of_rule, "[0]"), ("sitemap_follow", str, ""))
"""The parameters that hold expressions, where each of their items has its own."""
