"""Crawl settings laid over others: the worker's, then the spider's, then the task's.

Fields, types and ranges are those of `CrawlSettings`, checked as in the settings file.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from crawler.errors import InvalidArgument
from crawler.schemas.readers import Faulty
from crawler.settings.crawl import CrawlSettings
from crawler.settings.schema import from_text, meant, readers_of

_READERS = readers_of(CrawlSettings)
_HINTS = typing.get_type_hints(CrawlSettings)
_SECRET = {item.name for item in dataclasses.fields(CrawlSettings) if item.metadata["secret"]}


def override(base: CrawlSettings, changes: Any, where: str) -> CrawlSettings:
    """Return the settings with some fields changed.

    Raises InvalidArgument that lists every fault: path below `where`, value, and what is allowed.
    """
    found = faults(changes, where)
    if found:
        raise InvalidArgument("; ".join(found))
    given = {key: _READERS[key].read(value) for key, value in changes.items()}
    return dataclasses.replace(base, **given)


def faults(changes: Any, where: str) -> list[str]:
    """Return what is wrong with overrides; empty if nothing is."""
    if not isinstance(changes, Mapping):
        return [f"{where}: {changes!r} is not allowed; allowed: a mapping of crawl settings"]
    found = (_fault(key, value, f"{where}.{key}") for key, value in changes.items())
    return [fault for fault in found if fault]


def parsed(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return overrides that are given as text, as on the command line. They are not checked yet."""
    return {key: from_text(text, _HINTS.get(key, str)) for key, text in texts.items()}


def _fault(key: Any, value: Any, path: str) -> str:
    if key not in _READERS:
        known = ", ".join(sorted(_READERS))
        return f"{path}: unknown crawl setting; allowed: {known}{meant(key, _READERS)}"
    try:
        _READERS[key].read(value)
    except Faulty:
        given = "the value given" if key in _SECRET else repr(value)
        return f"{path}: {given} is not allowed; allowed: {_READERS[key].allowed}"
    return ""
