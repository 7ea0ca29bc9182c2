"""Crawl settings laid over others: the worker's, then the spider's, then the task's.

Fields, types and ranges are those of `CrawlSettings`, checked as in the settings file.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from itertools import islice
from typing import Any

from crawler.errors import InvalidArgument, shown
from crawler.schemas.readers import Faulty
from crawler.settings import forms
from crawler.settings.crawl import CrawlSettings
from crawler.settings.schema import from_text, meant_or_allowed, readers_of

MOST_TOLD = 10
"""How many faults one error names. To find each takes time, and nobody reads hundreds."""

MOST_SHOWN = 200
"""The longest value that an error shows as a whole. Of a longer one it shows the part at fault."""

_READERS = readers_of(CrawlSettings)
_HINTS = typing.get_type_hints(CrawlSettings)
_SWITCH = {"true": True, "1": True, "false": False, "0": False}
_REGEXES = {
    item.name
    for item in dataclasses.fields(CrawlSettings)
    if item.metadata["form"] is forms.REGEX and typing.get_args(_HINTS[item.name])
}
"""Lists of expressions, which may hold commas."""
_SECRET = {item.name for item in dataclasses.fields(CrawlSettings) if item.metadata["secret"]}


def override(base: CrawlSettings, changes: Any, where: str) -> CrawlSettings:
    """Return the settings with some fields changed.

    Raises InvalidArgument that lists the faults: path below `where`, value, and what is allowed.
    """
    found = faults(changes, where)
    if found:
        raise InvalidArgument("; ".join(found))
    given = {key: _READERS[key].read(value) for key, value in changes.items()}
    return dataclasses.replace(base, **given)


def faults(changes: Any, where: str) -> list[str]:
    """Return what is wrong with overrides, by name, up to MOST_TOLD faults; empty if nothing is."""
    if not isinstance(changes, Mapping):
        return [f"{where}: {_short(changes)} is not allowed; allowed: a mapping of crawl settings"]
    named = sorted(changes.items(), key=lambda item: str(item[0]))  # gRPC's maps have no order
    found = (_fault(key, value, f"{where}.{key}") for key, value in named)
    return list(islice(filter(None, found), MOST_TOLD))


def parsed(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return overrides that are given as text, as on the command line. They are not checked yet."""
    return {key: from_text(text, _HINTS.get(key, str)) for key, text in texts.items()}


def as_type(name: str, value: Any) -> Any:
    """Read the value of a setting that may be given as a text, as in Scrapy.

    A value that cannot be read is returned unchanged; `faults` finds it.
    """
    hint = _HINTS.get(name)
    if hint in (bool, int, float):
        return _scalar(value, hint)
    inner = typing.get_args(hint)
    if len(inner) != 1 or dataclasses.is_dataclass(inner[0]):
        return from_json(value)
    value = from_json(value) if inner[0] is not str or _is_list(from_json(value)) else value
    if isinstance(value, str):
        parts = [value] if name in _REGEXES else value.split(",")
        value = [part.strip() for part in parts if part.strip()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_scalar(each, inner[0]) for each in value]
    return value


def switch(value: Any) -> Any:
    """Read a switch: true, false, 1, 0, or one of these as a text. Returns anything else
    unchanged."""
    if isinstance(value, str):
        return _SWITCH.get(value.strip().lower(), value)
    return bool(value) if isinstance(value, (int, float)) and value in (0, 1) else value


def from_json(value: Any) -> Any:
    """Read a text that holds a list or a mapping in JSON. Returns anything else unchanged."""
    if not isinstance(value, str) or not value.strip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _scalar(value: Any, kind: Any) -> Any:
    """A single value as its type, or unchanged if it is none."""
    if kind is bool:
        return switch(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind not in (int, float) or not isinstance(value, str):
        return value
    try:
        return kind(value)
    except ValueError:
        return value


def _fault(key: Any, value: Any, path: str) -> str:
    if key not in _READERS:
        return f"{path}: unknown crawl setting{meant_or_allowed(key, _READERS)}"
    try:
        _READERS[key].read(value)
    except Faulty as faulty:
        place, what = faulty.faults[0]
        if place and len(repr(value)) > MOST_SHOWN:
            return f"{path}{place}: {what}"
        given = "the value given" if key in _SECRET else _short(value)
        return f"{path}: {given} is not allowed; allowed: {_READERS[key].allowed}"
    return ""


def _short(value: Any) -> str:
    whole = repr(value)
    return whole if len(whole) <= MOST_SHOWN else shown(value)
