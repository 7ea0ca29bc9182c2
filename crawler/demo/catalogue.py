"""Generates the books of the demo shop: the same ones in every process, on every machine.

Nothing here is random. Each choice is a checksum of its key, so the catalogue depends on no random
generator, and is the same in every version of Python.
"""

from __future__ import annotations

import enum
import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from crawler.demo.words import DEPARTMENTS, FIRST_NAMES, LAST_NAMES, SENTENCES, Department

T = TypeVar("T")

OUT_OF_PRINT = 2
"""The number of links of each department that lead to a missing book."""


class Route(enum.Enum):
    """How a crawler reaches a book, or why it must not."""

    LISTED = "listed"
    """The listings of its categories link to the book."""
    MOVED = "moved"
    """The listings link to an old address, which redirects to the book."""
    MOVED_TWICE = "moved twice"
    """Like MOVED, with two redirects, the second with a relative location."""
    COLLECTOR = "collector"
    """The listings link to the book, but robots.txt forbids its page."""
    MOVED_COLLECTOR = "moved collector"
    """The listings link to an old address, which redirects to a forbidden page."""
    RESERVED = "reserved"
    """Only a shelf that robots.txt forbids links to the book."""
    OPEN_ACCESS = "open access"
    """Only a page that robots.txt allows inside a forbidden part links to the book."""
    STAFF = "staff"
    """Only the staff's pages, which robots.txt forbids, link to the book."""

    @property
    def listed(self) -> bool:
        """Whether the listings of the book's categories show it."""
        return self not in (Route.RESERVED, Route.OPEN_ACCESS, Route.STAFF)


_FIRST_ROUTES = (
    *(Route.LISTED, Route.LISTED, Route.LISTED, Route.MOVED, Route.MOVED_TWICE),
    *(Route.COLLECTOR, Route.MOVED_COLLECTOR),
    *(Route.RESERVED,) * 6,
    *(Route.STAFF,) * 3,
)
"""The routes of a department's first books. The first three have the special titles."""


@dataclass(frozen=True, slots=True)
class Charset:
    """The encoding of a page, and where the page declares it."""

    codec: str
    header: str = ""
    """The charset in the Content-Type header. Empty if the header names none."""
    meta: str = ""
    """The charset in a <meta> element. Empty if there is none."""


UTF_8 = Charset("utf-8", header="utf-8", meta="utf-8")
WINDOWS_1252 = Charset("cp1252", header="windows-1252")
LATIN_1 = Charset("latin-1", meta="ISO-8859-1")


@dataclass(frozen=True, slots=True)
class Book:
    """A book of the shop."""

    id: int
    department: str
    categories: tuple[str, ...]
    title: str
    author: str
    pence: int
    stock: int
    isbn: str
    description: tuple[str, ...]
    route: Route
    charset: Charset
    address: str
    """The path and query of the book's page."""

    @property
    def price(self) -> str:
        """The price in pounds, as the pages show it."""
        return f"£{self.pence // 100}.{self.pence % 100:02d}"


def all_books() -> tuple[Book, ...]:
    """All books of the shop, in the order of their ids, which start at 1."""
    books: list[Book] = []
    for department in DEPARTMENTS:
        taken: set[str] = set()
        for index in range(department.books):
            book_id = len(books) + 1
            books.append(_book(book_id, index, department, taken))
    return tuple(books)


def pick(choices: Sequence[T], *key: object) -> T:
    """One of the choices, always the same one for the same key."""
    return choices[number(len(choices), *key)]


def number(limit: int, *key: object) -> int:
    """A number from 0 to `limit` - 1, always the same one for the same key."""
    text = "/".join(map(str, key))
    return zlib.crc32(text.encode()) // 7 % limit


def _book(book_id: int, index: int, department: Department, taken: set[str]) -> Book:
    title = _title(department, index, taken)
    route = _route(department, index)
    return Book(
        id=book_id,
        department=department.name,
        categories=_categories(department, index),
        title=title,
        author=f"{pick(FIRST_NAMES, 'first', book_id)} {pick(LAST_NAMES, 'last', book_id)}",
        pence=399 + 50 * number(80, "price", book_id),
        stock=number(40, "stock", book_id),
        isbn=_isbn(book_id),
        description=tuple(_description(book_id)),
        route=route,
        charset={0: WINDOWS_1252, 1: LATIN_1}.get(index, UTF_8),
        address=_address(book_id, title, route),
    )


def _title(department: Department, index: int, taken: set[str]) -> str:
    if index < len(department.special_titles):
        return department.special_titles[index]
    for attempt in range(1000):
        key = (department.name, index, attempt)
        title = pick(department.patterns, "pattern", *key).format(
            a=pick(department.adjectives, "adjective", *key),
            n=pick(department.nouns, "noun", *key),
            m=pick(department.nouns, "second noun", *key),
        )
        if title not in taken:
            taken.add(title)
            return title
    raise AssertionError(f"{department.name} has too few words for {department.books} titles")


def _route(department: Department, index: int) -> Route:
    if index < len(_FIRST_ROUTES):
        return _FIRST_ROUTES[index]
    if department.name == "science" and index < len(_FIRST_ROUTES) + 5:
        return Route.OPEN_ACCESS
    return Route.LISTED


def _categories(department: Department, index: int) -> tuple[str, ...]:
    # Every eighth book stands on two shelves. A crawl that does not notice this finds it twice.
    count = 2 if index % 8 == 7 else 1
    names = department.categories
    return tuple(names[(index + step) % len(names)] for step in range(count))


def _isbn(book_id: int) -> str:
    digits = f"978095{book_id * 97 % 1_000_000:06d}"
    checksum = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-checksum % 10}"


def _description(book_id: int) -> Iterator[str]:
    start = number(len(SENTENCES), "start", book_id)
    for paragraph in range(3):
        places = (start + 3 * paragraph + step * (1 + book_id % 3) for step in range(3))
        yield " ".join(SENTENCES[place % len(SENTENCES)] for place in places)


def _address(book_id: int, title: str, route: Route) -> str:
    folder = "/book"
    if route in (Route.COLLECTOR, Route.MOVED_COLLECTOR):
        folder = "/book/reserved"
    # Some addresses have a query of two parts, and links write these in either order.
    query = "?binding=hardback&lang=en" if book_id % 40 == 0 and route is Route.LISTED else ""
    return f"{folder}/{book_id:04d}-{_slug(title)}/{query}"


def _slug(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "book"
