"""Crawl settings laid over others: the worker's, then the spider's, then the task's.

The fields, types and ranges are those of `settings.CrawlSettings`; nothing is listed twice.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from crawler.crawl_settings import CrawlSettings
from crawler.errors import InvalidArgument

_FIELDS = {field.name: field for field in dataclasses.fields(CrawlSettings)}
_TYPES = typing.get_type_hints(CrawlSettings)


def override(base: CrawlSettings, changes: Any, where: str) -> CrawlSettings:
    """The settings with some fields changed.

    Raises InvalidArgument that lists every fault, each as path below `where`, value, what is
    allowed.
    """
    found = faults(changes, where)
    if found:
        raise InvalidArgument("; ".join(found))
    return dataclasses.replace(base, **{key: _cast(key, value) for key, value in changes.items()})


def faults(changes: Any, where: str) -> list[str]:
    """What is wrong with overrides; empty when nothing is."""
    if not isinstance(changes, Mapping):
        return [f"{where}: {changes!r} is not allowed; allowed: a mapping of crawl settings"]
    found = (_fault(key, value, f"{where}.{key}") for key, value in changes.items())
    return [fault for fault in found if fault]


def _fault(key: Any, value: Any, path: str) -> str:
    if key not in _FIELDS:
        return f"{path}: unknown crawl setting; allowed: {', '.join(sorted(_FIELDS))}"
    allowed = _allowed(key)
    values = [value]
    if _is_list(key):
        if not isinstance(value, Sequence) or isinstance(value, str):
            return f"{path}: {value!r} is not allowed; allowed: a list, each {allowed}"
        values = list(value)
    if all(_fits(key, each) for each in values):
        return ""
    return f"{path}: {value!r} is not allowed; allowed: {allowed}"


def _fits(key: str, value: Any) -> bool:
    kind = _kind(key)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        return False
    least, most = _FIELDS[key].metadata["least"], _FIELDS[key].metadata["most"]
    return (least is None or value >= least) and (most is None or value <= most)


def _allowed(key: str) -> str:
    metadata = _FIELDS[key].metadata
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    text = words[_kind(key)]
    if metadata["least"] is not None:
        text += f" from {metadata['least']:g} to {metadata['most']:g}"
    return f"{text} {metadata['unit']}".rstrip()


def _cast(key: str, value: Any) -> Any:
    return float(value) if _kind(key) is float else value


def _kind(key: str) -> type:
    kind = typing.get_args(_TYPES[key])[0] if _is_list(key) else _TYPES[key]
    return typing.cast(type, kind)


def _is_list(key: str) -> bool:
    return typing.get_origin(_TYPES[key]) is Sequence
