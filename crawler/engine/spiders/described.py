"""What the class of a spider shows of itself: what it is for, and which parameters it takes.

A page makes a form of it. Parameters are the arguments of its constructors, `start_urls`, and
attributes of the class that have an annotation: parameters of a task become attributes.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

from crawler.engine.spiders.spider import Spider
from crawler.model.spiders import MOST_ARGUMENTS, MOST_TEXT, SpiderAbout, SpiderArgument
from crawler.redaction import hidden

MOST_BYTES = 2**18
"""Of the spiders of one process so much is told, as JSON; of the others the names alone."""

_ENGINE = "crawler.engine."
_SECRET = re.compile(r"pass|secret|token|key|auth|login", re.IGNORECASE)
"""The default of such an argument is for those who can read the code."""
_OF_ALL = frozenset({*vars(Spider), *Spider.__annotations__})
"""The attributes of every spider."""
_TYPES: Sequence[tuple[type[Any], str]] = (
    (bool, "boolean"),  # before int: each bool is one
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (Mapping, "object"),
    (Sequence, "array"),
    (set, "array"),
)


def described(spiders: Mapping[str, type[Spider]]) -> dict[str, SpiderAbout]:
    """Return what the classes of spiders show, by name. It raises nothing: of a class that shows
    nothing, nothing is told."""
    found: dict[str, SpiderAbout] = {}
    left = MOST_BYTES
    for name, spider in sorted(spiders.items()):
        try:
            told = about(spider)
            left -= len(json.dumps(told.to_json()))
        except Exception:  # a metaclass or an annotation may do anything
            continue
        if left < 0:
            break
        found[name] = told
    return found


def about(spider: type[Spider]) -> SpiderAbout:
    """Return what the class of a spider shows. Raises whatever its own code raises."""
    lines = (vars(spider).get("__doc__") or "").strip().splitlines()
    arguments, takes_others = _of_constructors(spider)
    for argument in (_start_urls(spider), *_of_attributes(spider)):
        arguments.setdefault(argument.name, argument)
    told = list(arguments.values())[:MOST_ARGUMENTS]
    return SpiderAbout(hidden(lines[0].strip()[:MOST_TEXT]) if lines else "", told, takes_others)


def _of_constructors(spider: type[Spider]) -> tuple[dict[str, SpiderArgument], bool]:
    """Return the arguments of its constructor, and of those to which it passes others on."""
    found: dict[str, SpiderArgument] = {}
    for base in _own_bases(spider):
        made = vars(base).get("__init__")
        if made is None:
            continue
        hints, parameters = _hints(made), list(inspect.signature(made).parameters.values())[1:]
        for each in parameters:
            if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) and each.name != "name":
                is_given = each.default is not each.empty
                default = each.default if is_given else None
                argument = _argument(each.name, hints.get(each.name), default, not is_given)
                found.setdefault(each.name, argument)
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            return found, False
    return found, True


def _of_attributes(spider: type[Spider]) -> Iterator[SpiderArgument]:
    """Yield the attributes that it, or a base of its own, declares with a type."""
    for base in _own_bases(spider):
        declared = vars(base).get("__annotations__", {})
        hints = _hints(base)
        for name in declared:
            is_own = not name.startswith("_") and name not in _OF_ALL
            if is_own and "ClassVar" not in str(declared[name]):
                yield _argument(name, hints.get(name), vars(base).get(name), False)


def _start_urls(spider: type[Spider]) -> SpiderArgument:
    own = spider.start_urls if isinstance(spider.start_urls, list | tuple) else ()
    is_required = not own and not spider.begins_itself()
    return _argument("start_urls", list, list(own) or None, is_required)


def _own_bases(spider: type[Spider]) -> Iterator[type[Any]]:
    """Yield the class and its bases, up to those of the engine."""
    for base in spider.__mro__:
        if base.__module__.startswith(_ENGINE):
            return
        yield base


def _hints(owner: Any) -> Mapping[str, Any]:
    """Return the types of a constructor or a class, or none if a name in them is not known."""
    try:
        return get_type_hints(owner)
    except Exception:  # an annotation is code
        return {}


def _argument(name: str, hint: Any, default: Any, required: bool) -> SpiderArgument:
    told = None if _SECRET.search(name) else _as_json(default)
    return SpiderArgument(name[:MOST_TEXT], _type(hint) or _type(type(default)), told, required)


def _type(hint: Any) -> str:
    """Return the name of a type in JSON Schema; empty for one that has none, or for several."""
    if get_origin(hint) in (Union, types.UnionType):
        inner = {_type(each) for each in get_args(hint) if each is not type(None)}
        return inner.pop() if len(inner) == 1 else ""
    kind = get_origin(hint) or hint
    if not isinstance(kind, type):
        return ""
    return next((word for known, word in _TYPES if issubclass(kind, known)), "")


def _as_json(default: Any) -> Any:
    """Return a default that JSON can say shortly, or else None."""
    try:
        text = json.dumps(default, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return hidden(json.loads(text)) if len(text) <= MOST_TEXT else None
