"""Texts of settings that stand elsewhere: in variables of the environment, and in files.

`${NAME}` and `${NAME:-default}` stand for a variable, anywhere in a text; `$${` is a literal `${`.
Any other `${` is a fault. A setting whose text is `file:PATH` is what that file holds, without the
line break at its end; a `file:` that a variable holds means nothing. What was read so is shown
nowhere: in its place an error has where it came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crawler.redaction import Redactor

FILE = "file:"
MOST_BYTES = 1_000_000
"""The largest file that a setting is read from."""

LEAST_TOLD = 4
"""Shorter values may stand in what an error says of another setting: they are in too many words."""
LEAST_LOGGED = 8
"""Shorter values are no good secrets, but parts of many words in a log, as names of folders are."""
_PLAIN = frozenset({"node", "coordination", "scheduler", "api", "logs", "spiders", "tasks"})
"""Parts of the settings that hold no secrets, so that a log may show them."""
_VARIABLE = re.compile(r"\$\$\{|\$\{(\w+)(?::-((?:(?!\$\{)[^}])*))?\}|(\$\{)")
"""A literal `${`, a reference, or the beginning of what is none."""
_OF_VARIABLE = "file\0:"
"""Stands for a `file:` of a variable, until files are read. No variable has such a text."""


class References:
    """Reads what settings refer to, and notes which could not be read."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        """Relative paths start from `folder`."""
        self._environment = environment
        self._folder = folder
        self._own: dict[str, dict[str, str]] = {}
        """What was read for each setting: values, and where they came from."""
        self.faults: list[tuple[str, str]] = []
        """The setting and what is wrong, for each reference that could not be read."""

    def filled(self, value: Any, path: str) -> Any:
        """Return a value with its variables, at any depth."""
        if isinstance(value, dict):
            return {key: self.filled(each, f"{path}.{key}") for key, each in value.items()}
        if isinstance(value, list):
            return [self.filled(each, f"{path}[{at}]") for at, each in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return _VARIABLE.sub(lambda found: self._variable(found, path), value)
        return value

    def filled_alone(self, value: Any, path: str) -> Any:
        """Return a value with its variables, where no files are read."""
        return _as_given(self.filled(value, path))

    def read(self, value: Any, path: str) -> Any:
        """Return a value with what its files hold, at any depth."""
        if isinstance(value, dict):
            return {key: self.read(each, f"{path}[{key}]") for key, each in value.items()}
        if isinstance(value, list):
            return [self.read(each, f"{path}[{at}]") for at, each in enumerate(value)]
        if isinstance(value, str) and value.startswith(FILE):
            return self._file(str(_as_given(value)), path)
        return _as_given(value)

    def note_parts(self, value: Any, path: str) -> None:
        """Note the texts of a list or a map that was read as one text: a log may show one alone."""
        own = self._own.get(_setting(path), {})
        for text in _texts(value):
            names = [name for whole, name in own.items() if text in whole]
            if names and len(text) >= LEAST_LOGGED:
                own.setdefault(text, names[0])

    def hide(self, path: str, told: str) -> str:
        """Return what is told of a setting without any value that was read."""
        told = Redactor(self._all(), LEAST_TOLD).hide(told)
        given, word, rest = told.partition(" given")
        return Redactor(self._own.get(_setting(path), {}), least=1).hide(given) + word + rest

    def secrets(self) -> Mapping[str, str]:
        """Return what was read that no log may show, with where it came from."""
        return self._all(LEAST_LOGGED, _PLAIN)

    def _all(self, least: int = LEAST_TOLD, but: frozenset[str] = frozenset()) -> dict[str, str]:
        return {
            value: name
            for path, values in self._own.items()
            for value, name in values.items()
            if len(value) >= least and re.split(r"[.\[]", path)[0] not in but
        }

    def _variable(self, found: re.Match[str], path: str) -> str:
        name, default, odd = found.groups()
        if odd:
            self._refuse(path)
        if name is None:
            return "${"
        value = self._environment.get(name)
        if value is None and default is None:
            self.faults.append(
                (
                    path,
                    f"${{{name}}} given, but the environment has no variable {name}; set it, give"
                    f" ${{{name}:-default}}, or write $${{ for a literal ${{",
                )
            )
        if value:
            self._note(path, value, f"${{{name}}}")
        return (value or default or "").replace(FILE, _OF_VARIABLE)

    def _refuse(self, path: str) -> None:
        """Note a text that is like a reference. It is not shown: it may be a password."""
        fault = (
            "another value given; it has a ${ that begins no reference; ${NAME} and"
            " ${NAME:-default} are references, where a name has letters, digits and underscores,"
            " and a default has no ${; write $${ for a literal ${"
        )
        if (path, fault) not in self.faults:
            self.faults.append((path, fault))

    def _file(self, text: str, path: str) -> str:
        file = self._folder / text.removeprefix(FILE)
        try:
            if file.stat().st_size > MOST_BYTES:
                raise ValueError(f"it has more than {MOST_BYTES} bytes")
            value = file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or (
                "it is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            )
            self.faults.append(
                (
                    path,
                    f"{text} given, but that file cannot be read: {why}; let this user read a text"
                    " file there, or give another path",
                )
            )
            return ""
        if value:
            self._note(path, value, text)
        return value

    def _note(self, path: str, value: str, name: str) -> None:
        self._own.setdefault(_setting(path), {})[value] = name


def _setting(path: str) -> str:
    """Return the setting in which a path lies: `crawl.headers` of `crawl.headers[Cookie]`."""
    return ".".join(re.split(r"[.\[]", path)[:2])


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a list or a map, at any depth."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        if isinstance(part, str):
            yield part
        yield from _texts(part)


def _as_given(value: Any) -> Any:
    """Return a value with each `file:` of a variable, at any depth."""
    if isinstance(value, dict):
        return {_as_given(key): _as_given(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_given(each) for each in value]
    return value.replace(_OF_VARIABLE, FILE) if isinstance(value, str) else value
