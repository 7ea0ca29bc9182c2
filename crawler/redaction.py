"""Hides the values of secrets in texts that leave a run: logs, reasons, statistics.

A process remembers each value that it was given. In a text its name stands in its place, as
`secret:shop-login`. A value is found also as JSON, Python and URLs write it, line by line, and
where a message cuts it off with dots.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

LEAST = 4
"""The characters of the shortest value that is hidden: a shorter one is in too many words."""
_DOTS = re.compile(r"\.\.\.|…")
"""With these a message cuts a value off."""


class Redactor:
    """Knows values, and what stands for each."""

    def __init__(self, names: Mapping[str, str] | None = None, least: int = LEAST) -> None:
        """`names` are what is shown instead, by value. No value shorter than `least` is hidden."""
        self._least = least
        self._shown: dict[str, str] = {}
        """What is shown, by each form of a value."""
        self._forms = re.compile("(?!)")
        self.add(names or {})

    def add(self, names: Mapping[str, str]) -> None:
        """Hide these values too. It is known what stands for a value: the first name stays."""
        before = len(self._shown)
        for value, name in names.items():
            for form in _forms(value):
                if len(form) >= self._least:
                    self._shown.setdefault(form, name)
        if len(self._shown) > before:
            longest_first = sorted(self._shown, key=len, reverse=True)
            self._forms = re.compile("|".join(map(re.escape, longest_first)))

    def hide(self, text: str) -> str:
        """Return the text without the values."""
        if not self._shown:
            return text
        text = self._forms.sub(lambda found: self._shown[found[0]], text)
        return self._without_beginnings(text) if _DOTS.search(text) else text

    def hidden(self, value: Any) -> Any:
        """Return a value without the secrets in its texts, at any depth."""
        if not self._shown:
            return value
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, Mapping):
            return {self.hidden(key): self.hidden(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.hidden(each) for each in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.hide(str(value))

    def _without_beginnings(self, text: str) -> str:
        """Hide values of which dots have left only the beginning."""
        parts, at = [], 0
        for dots in _DOTS.finditer(text):
            parts += [self._without_beginning(text[at : dots.start()]), dots[0]]
            at = dots.end()
        return "".join([*parts, text[at:]])

    def _without_beginning(self, text: str) -> str:
        for form, name in self._shown.items():
            for size in range(min(len(form), len(text)), self._least - 1, -1):
                if text.endswith(form[:size]):
                    return text[: len(text) - size] + name
        return text


def _forms(value: str) -> Iterator[str]:
    """Yield a value as texts may have it."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    raw = value.encode(errors="surrogatepass")
    yield from (quote(raw), quote(raw, safe=""), quote_plus(raw))
    yield base64.b64encode(raw).decode()
    lines = value.splitlines()
    if len(lines) > 1:
        yield from filter(str.strip, lines)


_known = Redactor()
"""What this process has been given. Its log is one for all parts of the process too."""


def remember(secrets: Mapping[str, str]) -> None:
    """Hide these secrets of tasks, given by their names, from now on."""
    _known.add({value: f"secret:{name}" for name, value in secrets.items()})


def hide_also(names: Mapping[str, str]) -> None:
    """Hide these values too, with what is shown instead."""
    _known.add(names)


def hide(text: str) -> str:
    """Return a text without the values that this process has been given."""
    return _known.hide(text)


def hidden(value: Any) -> Any:
    """Return a value without them, at any depth."""
    return _known.hidden(value)
