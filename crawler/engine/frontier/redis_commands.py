"""The commands of one step for Redis, as one of our functions takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crawler.engine.frontier.redis_functions import KEYS

_PLACES = {name: place for place, name in enumerate(KEYS, 1)}
_EACH_BYTES = 24
"""About what a command takes besides its texts."""


class Commands:
    """Commands, in the order in which Redis carries them out."""

    def __init__(self) -> None:
        self._commands: list[tuple[int, list[Any]]] = []

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._commands)

    def add(self, name: str, key: str, *arguments: Any) -> None:
        """Add a command on one of the keys of the crawl."""
        size = sum(len(each) for each in arguments if isinstance(each, str | bytes))
        words = [name, _PLACES[key], len(arguments), *arguments]
        self._commands.append((size + _EACH_BYTES, words))

    def parts(self, most_bytes: int) -> Iterator[list[Any]]:
        """What the function takes, in parts of about so many bytes. At least one, perhaps empty."""
        words, size = list[Any](), 0
        for bytes_, command in self._commands:
            if words and size + bytes_ > most_bytes:
                yield words
                words, size = [], 0
            words += command
            size += bytes_
        yield words

    def words(self) -> list[Any]:
        """What the function takes, as one step."""
        return [word for _, command in self._commands for word in command]
