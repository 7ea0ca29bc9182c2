"""Secrets of tasks: who names one, and what the cluster tells of it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

PREFIX = "secret:"
"""With this a text in the parameters of a task begins that names a secret."""
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
NAME_WORDS = "1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit"
LEAST_CHARACTERS = 8
"""A shorter value would be hidden in too many words of logs."""
MOST_BYTES = 8192

KEY_BYTES = 32

_NAMED = re.compile(f"{PREFIX}({NAME})")
_WITHIN = re.compile(rf"\b{PREFIX}{NAME}")


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as everybody may know it: without its value."""

    name: str
    set_ns: int = 0
    set_by: str = ""
    key_id: str = ""
    """Under which key its value is sealed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The value of a secret."""

    value: str = field(repr=False)
    former: str = field(default="", repr=False)
    """The value before. A crawl that began with it may still have it, so it is hidden in texts."""


@dataclass(frozen=True, slots=True)
class SecretWish:
    """A secret that somebody sets."""

    name: str
    value: str = field(repr=False)


def is_key(text: str) -> bool:
    """Return whether a text is a key under which secrets are sealed."""
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def names_in(value: Any) -> frozenset[str]:
    """Return the names of the secrets that parameters name, at any depth."""
    return frozenset(_names(value))


def within_texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield where `secret:NAME` is only a part of a text, and what it is there: it stands for no
    secret."""
    if isinstance(value, str):
        found = _WITHIN.search(value)
        if found and _name(value) is None:
            yield path, found[0]
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from within_texts(each, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for at, each in enumerate(value):
            yield from within_texts(each, f"{path}[{at}]")


def filled(value: Any, secrets: Mapping[str, str]) -> Any:
    """Return parameters with the values of secrets. A name that is not among `secrets` stays."""
    if isinstance(value, str):
        name = _name(value)
        return value if name is None else secrets.get(name, value)
    if isinstance(value, Mapping):
        return {key: filled(each, secrets) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [filled(each, secrets) for each in value]
    return value


def without_references(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return parameters without the texts that name secrets, and the lists that have such texts."""
    if not names_in(parameters):
        return parameters
    return {
        key: without_references(value) if isinstance(value, Mapping) else value
        for key, value in parameters.items()
        if isinstance(value, Mapping) or not names_in(value)
    }


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        name = _name(value)
        if name is not None:
            yield name
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _names(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _names(each)


def _name(text: str) -> str | None:
    found = _NAMED.fullmatch(text) if text.startswith(PREFIX) else None
    return found[1] if found else None
