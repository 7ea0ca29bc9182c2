"""The order of a listing, and the tokens with which its pages go on."""

from __future__ import annotations

import base64
import binascii
import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from crawler.errors import InvalidArgument, shown
from crawler.model.records import Counts, Query, Resource, Sort
from crawler.model.sorting import number_of, text_of

_COMPLEMENT = bytes(range(255, -1, -1))
_LAST = b"\xff"
"""Ends a complemented text, so that a longer text sorts before its beginning."""


class Place(NamedTuple):
    """Where a task stands in an order. No two tasks have the same place."""

    value: int | bytes
    """What it is sorted by, so that the smallest comes first."""
    name: str


class _Token(NamedTuple):
    """What the token of a page says: the order that it is of, and the last place of that page."""

    sort: str
    descending: bool
    value: int | bytes
    name: str


class Order:
    """Sorts tasks by something, and by name where they are alike."""

    def __init__(self, query: Query, counts_of: Callable[[Resource], Counts]) -> None:
        """`counts_of` tells the latest counts of a task."""
        self._sort, self._descending = query.sort, query.descending
        self._value = _value_of(query.sort, query.descending, counts_of)

    def __str__(self) -> str:
        return f"{self._sort.value}{', descending' if self._descending else ''}"

    @property
    def is_by_name(self) -> bool:
        """Whether it is the order in which names stand in the index."""
        return self._sort is Sort.NAME and not self._descending

    def place(self, task: Resource) -> Place:
        """Return the place of a task, as it is now."""
        return Place(self._value(task), task.spec.name)

    def first(
        self, most: int, tasks: Iterable[Resource], after: Place | None
    ) -> list[tuple[Place, Resource]]:
        """Return the first tasks behind a place, in order."""
        return heapq.nsmallest(most, self._placed(tasks, after))

    def token(self, place: Place) -> str:
        """Return the token of a page that ends at that place."""
        if self.is_by_name:
            return place.name
        return _written(_Token(self._sort.value, self._descending, *place))

    def place_after(self, token: str) -> Place | None:
        """Return the place at which the page before ended; None for the first page. Raises
        InvalidArgument if the token is of another order, or none."""
        if not token:
            return None
        found = _read(token)
        if self.is_by_name and found is None:
            return Place(_text(token), token)
        if found is None or not self._made(found):
            raise InvalidArgument(
                f"page_token: {shown(token)} is not allowed; allowed is the token of a page in the "
                f"same order, by {self}; give none to begin with the first page"
            )
        return Place(found.value, found.name)

    def _made(self, token: _Token) -> bool:
        """Whether a token is of this order."""
        is_text = text_of(self._sort) is not None
        same = (token.sort, token.descending) == (self._sort.value, self._descending)
        return same and isinstance(token.value, bytes) == is_text

    def _placed(
        self, tasks: Iterable[Resource], after: Place | None
    ) -> Iterator[tuple[Place, Resource]]:
        for task in tasks:
            place = self.place(task)
            if after is None or place > after:
                yield place, task


def _value_of(
    sort: Sort, descending: bool, counts_of: Callable[[Resource], Counts]
) -> Callable[[Resource], int | bytes]:
    """Return what tells the value of a task's place."""
    text = text_of(sort)
    if text is not None:
        turned = _turned if descending else _text
        return lambda task: turned(text(task))
    number = number_of(sort, counts_of)
    return (lambda task: -number(task)) if descending else number


def _text(text: str) -> bytes:
    """Return bytes that sort as the text does."""
    return text.encode(errors="surrogatepass")


def _turned(text: str) -> bytes:
    """Return bytes that sort the other way round than the text does."""
    return _text(text).translate(_COMPLEMENT) + _LAST


_DECODER = msgspec.msgpack.Decoder(_Token)


def _written(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(token)).decode().rstrip("=")


def _read(token: str) -> _Token | None:
    """Return what a token says; None if it is no such token, or somebody changed it."""
    try:
        packed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        found = _DECODER.decode(packed)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        return None
    return found if _written(found) == token else None
